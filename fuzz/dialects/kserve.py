"""KServe's V1 protocol."""

from typing import Any

from hypothesis import strategies as st

from fuzz.dialects.base import Dialect, get, post
from fuzz.material import JSON, MODELS, NAMES, asked, nested_rows, posted, spoilt_document
from fuzz.request import Request


@st.composite
def predictions(draw: st.DrawFn) -> Request:
    """``:predict`` and ``:explain``."""
    model = draw(st.sampled_from(sorted(MODELS)))
    rows = draw(nested_rows(model))
    values = [next(iter(row.values())) if len(row) == 1 else row for row in rows]
    key = draw(st.sampled_from(["instances"] * 4 + ["inputs"]))
    document: Any = {key: draw(st.sampled_from([values, values, rows]))}
    if draw(st.integers(0, 3)) == 0:
        document["parameters"] = draw(JSON)
    if draw(st.integers(0, 3)) == 0:
        document = draw(spoilt_document(document))
    name = draw(st.just(model) | st.just(model) | st.just(model) | NAMES)
    verb = draw(st.sampled_from(["predict"] * 8 + ["explain", "PREDICT", "predict/", ""]))
    return draw(posted(f"/v1/models/{name}:{verb}", document))


QUESTIONS = st.builds(
    "/v1/models/{}{}".format, NAMES, st.sampled_from(["", "", "/", ":predict", "/ready"])
) | st.sampled_from(
    ["/v1/models", "/v1/models/", "/", "/v2", "/v2/models", "/v2/health/live", "/metrics"]
)

dialect = Dialect(
    "kserve",
    predictions() | predictions() | predictions() | asked(QUESTIONS),
    (
        get("/v1/models", None),
        get("/v1/models/linear", None),
        post("/v1/models/linear:predict", {"instances": [[1, 2, 3, 0]]}, None),
        post("/v1/models/linear:predict", b"{", None, status=400),
        get("/v1/models/nobody", None, status=404),
    ),
    ("kserve",),
)
