"""TensorFlow Serving's REST API."""

import base64
from typing import Any

from hypothesis import strategies as st

from fuzz.dialects.base import Dialect, get, post
from fuzz.material import (
    JSON,
    LABELS,
    MODELS,
    NAMES,
    TEXT,
    VERSIONS,
    asked,
    nested_rows,
    posted,
    spoilt_document,
)
from fuzz.request import MAIN, Request

B64 = st.binary(max_size=8).map(
    lambda raw: {"b64": base64.b64encode(raw).decode()}
) | st.fixed_dictionaries({"b64": TEXT | JSON}, optional={"x": JSON})
SIGNATURES = st.sampled_from(["serving_default", "", "predict", "nobody"]) | JSON


def _named(row: dict[str, Any]) -> Any:
    """A row as TensorFlow Serving takes it: the value alone where there is one input."""
    return next(iter(row.values())) if len(row) == 1 else row


@st.composite
def predictions(draw: st.DrawFn) -> Request:
    """``:predict`` by rows or by columns."""
    model = draw(st.sampled_from(sorted(MODELS)))
    rows = draw(nested_rows(model))
    if model == "words" and draw(st.booleans()):
        rows = [{"text": [draw(B64)]} for _ in rows]
    if draw(st.booleans()):
        named = draw(st.booleans())
        document: Any = {"instances": [row if named else _named(row) for row in rows]}
    else:
        document = {"inputs": _named({key: [row[key] for row in rows] for key in rows[0]})}
    if draw(st.integers(0, 3)) == 0:
        document["signature_name"] = draw(SIGNATURES)
    return draw(posted(draw(targets(model, "predict")), draw(maybe_spoilt(document))))


@st.composite
def examples(draw: st.DrawFn) -> Request:
    """``:classify`` and ``:regress``."""
    model = draw(st.sampled_from(["linear", "linear", "line", "line", "mixed", "words"]))
    rows = draw(nested_rows(model))
    document: dict[str, Any] = {"examples": [draw(_flattened(row)) for row in rows]}
    if draw(st.integers(0, 3)) == 0:
        document["context"] = draw(st.dictionaries(TEXT, JSON, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        document["signature_name"] = draw(SIGNATURES)
    verb = draw(st.sampled_from(["classify", "regress"]))
    return draw(posted(draw(targets(model, verb)), draw(maybe_spoilt(document))))


@st.composite
def _flattened(draw: st.DrawFn, row: dict[str, Any]) -> dict[str, Any]:
    """A feature of one value as that value, sometimes."""
    return {
        key: value[0] if len(value) == 1 and draw(st.booleans()) else value
        for key, value in row.items()
    }


@st.composite
def targets(draw: st.DrawFn, model: str, verb: str) -> str:
    """A URL of *model*, mostly right."""
    name = draw(st.just(model) | st.just(model) | st.just(model) | NAMES)
    version = draw(VERSIONS | VERSIONS | LABELS)
    ending = draw(st.sampled_from([verb] * 8 + [verb.upper(), f"{verb}/", "%70redict", "", "x:y"]))
    prefix = draw(st.sampled_from(["/v1/models"] * 9 + ["/V1/models", "/v1/models/"]))
    return f"{prefix}/{name}{version}:{ending}"


@st.composite
def maybe_spoilt(draw: st.DrawFn, document: Any) -> Any:
    """*document*, or one that is wrong."""
    return draw(spoilt_document(document)) if draw(st.integers(0, 3)) == 0 else document


QUESTIONS = st.builds(
    "/v1/models/{}{}{}".format,
    NAMES,
    VERSIONS | LABELS,
    st.sampled_from(["", "", "/metadata", "/", ":predict", "/metadata/", ":", ":predict:predict"]),
) | st.sampled_from(["/v1/models", "/v1/models/", "/v1/models/metadata", "/v1", "/v1/"])
SCORES = {"label": 2, "scores": [1.0, 4.0, 9.0]}
TARGET = "/v1/models/linear:predict"

dialect = Dialect(
    "tfserving",
    predictions() | predictions() | predictions() | examples() | asked(QUESTIONS),
    (
        post(TARGET, {"instances": [[1, 2, 3, 0]]}, {"predictions": [SCORES]}),
        post(TARGET, {"instances": [{"X": [1, 2, 3, 0]}]}, {"predictions": [SCORES]}, chunks=(1,)),
        post(
            "/v1/models/linear/versions/1:predict",
            {"signature_name": "serving_default", "inputs": [[1, 2, 3, 0]]},
            {"outputs": {"label": [2], "scores": [[1.0, 4.0, 9.0]]}},
            coding="gzip",
        ),
        post(
            "/v1/models/words:predict",
            {"instances": [["a"], [{"b64": "Yg=="}]]},
            {"predictions": [["a"], ["b"]]},
        ),
        get("/v1/models/linear", None),
        get("/v1/models/linear/metadata", None),
        get("/v1/models/nobody", None, status=404),
        post("/v1/models/nobody:predict", {"instances": [1]}, None, status=404),
        post(TARGET, b"", None, status=400),
        post(
            "/v1/models/linear/labels/none:predict", {"instances": [[1, 2, 3, 0]]}, None, status=400
        ),
    ),
    (MAIN, "tfserving"),
)
