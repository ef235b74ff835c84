"""The Open Inference Protocol in JSON, with the extensions that need no binary data."""

from typing import Any

from hypothesis import strategies as st

from fuzz.dialects.base import Dialect, get, post
from fuzz.material import (
    JSON,
    KINDS,
    LABELS,
    MODELS,
    NAMES,
    TEXT,
    VERSIONS,
    asked,
    inputs,
    posted,
    spoilt_document,
)
from fuzz.request import MAIN, Request


@st.composite
def spoilt(draw: st.DrawFn, model: str) -> list[dict[str, Any]]:
    """The tensors of *model* with one thing wrong."""
    tensors = draw(inputs(model))
    tensor = draw(st.sampled_from(tensors))
    match draw(
        st.sampled_from(["name", "shape", "datatype", "data", "drop", "twice", "none", "more"])
    ):
        case "name":
            tensor["name"] = draw(TEXT)
        case "shape":
            tensor["shape"] = draw(st.lists(st.integers(-3, 2**65), max_size=5))
        case "datatype":
            tensor["datatype"] = draw(st.sampled_from(KINDS) | TEXT)
        case "data":
            tensor["data"] = draw(st.lists(JSON, max_size=5))
        case "drop":
            tensors.remove(tensor)
        case "twice":
            tensors.append(tensor)
        case "none":
            del tensor[draw(st.sampled_from(sorted(tensor)))]
        case _:
            tensor[draw(TEXT)] = draw(JSON)
    return tensors


@st.composite
def outputs(draw: st.DrawFn, model: str) -> list[dict[str, Any]]:
    """What is asked for: some outputs, with the parameters of the extensions."""
    asked_for = []
    for name in draw(st.lists(st.sampled_from([*MODELS[model][1], "nothing"]), max_size=3)):
        output: dict[str, Any] = {"name": name}
        if draw(st.booleans()):
            output["parameters"] = draw(PARAMETERS)
        asked_for.append(output)
    return asked_for


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "classification": st.integers(-1, 5) | st.sampled_from([2**63, 1_000_001]) | JSON,
        "binary_data": st.booleans() | JSON,
        "shared_memory_region": TEXT,
        "shared_memory_byte_size": st.integers(-1, 2**65),
        "binary_data_size": st.integers(-1, 2**65),
    },
)
REQUEST_PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "binary_data_output": st.booleans() | JSON,
        "sequence_id": st.integers(0, 2**65) | TEXT,
        "sequence_start": st.booleans(),
        "priority": st.integers(-1, 2**64),
        "timeout": st.integers(-1, 2**64),
        "triton_own": JSON,
    },
)


@st.composite
def inferences(draw: st.DrawFn) -> Request:
    """An inference."""
    model = draw(st.sampled_from(sorted(MODELS)))
    document: dict[str, Any] = {"inputs": draw(inputs(model) | inputs(model) | spoilt(model))}
    if draw(st.booleans()):
        document["id"] = draw(TEXT)
    if draw(st.booleans()):
        document["outputs"] = draw(outputs(model))
    if draw(st.integers(0, 3)) == 0:
        document["parameters"] = draw(REQUEST_PARAMETERS | st.dictionaries(TEXT, JSON, max_size=2))
    name = draw(st.just(model) | st.just(model) | st.just(model) | NAMES)
    version = draw(VERSIONS | VERSIONS | VERSIONS | LABELS)
    return draw(posted(f"/v2/models/{name}{version}/infer", document))


@st.composite
def generations(draw: st.DrawFn) -> Request:
    """A flat document of the generate extension."""
    model = draw(st.sampled_from(sorted(MODELS)))
    document: dict[str, Any] = {}
    for tensor in draw(inputs(model, least=1)):
        data = tensor["data"]
        document[tensor["name"]] = data[0] if len(data) == 1 else data
    if draw(st.booleans()):
        document["parameters"] = draw(REQUEST_PARAMETERS | JSON)
    if draw(st.integers(0, 3)) == 0:
        document = draw(spoilt_document(document))
    verb = draw(st.sampled_from(["generate", "generate_stream"]))
    name, version = draw(st.just(model) | st.just(model) | NAMES), draw(VERSIONS)
    return draw(posted(f"/v2/models/{name}{version}/{verb}", document))


@st.composite
def administrations(draw: st.DrawFn) -> Request:
    """The repository, settings and shared memory: most of it is refused."""
    name = draw(NAMES)
    target = draw(
        st.sampled_from(
            [
                "/v2/repository/index",
                "/v2/repository/index",
                "/v2/repository/r/index",
                "/v2/repository/models/nobody/load",
                "/v2/repository/models/nobody/unload",
                "/v2/trace/setting",
                f"/v2/models/{name}/trace/setting",
                "/v2/logging",
                "/v2/systemsharedmemory/region/x/register",
                "/v2/cudasharedmemory/unregister",
            ]
        )
    )
    ready = st.fixed_dictionaries({}, optional={"ready": st.booleans() | JSON})
    return draw(posted(target, draw(ready | JSON)))


QUESTIONS = st.builds(
    "/v2/models/{}{}{}".format,
    NAMES,
    VERSIONS | LABELS,
    st.sampled_from(["", "/ready", "/config", "/stats", "/infer", "/generate", "/", "//ready"]),
) | st.sampled_from(
    [
        "/v2",
        "/v2/",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models",
        "/v2/models/stats",
        "/v2/repository/index",
        "/v2/trace/setting",
        "/v2/logging",
        "/v2/systemsharedmemory/status",
        "/V2",
    ]
)
WORDS = {"inputs": [{"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]}]}
SAME = {
    "model_name": "words",
    "model_version": "1",
    "outputs": [{"name": "same", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "b"]}],
}
ROW = {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 0]}]}
SCORES = {
    "id": "an id",
    "model_name": "linear",
    "model_version": "1",
    "outputs": [{"name": "scores", "datatype": "FP32", "shape": [1, 3], "data": [1.0, 4.0, 9.0]}],
}

dialect = Dialect(
    "oip",
    inferences()
    | inferences()
    | inferences()
    | generations()
    | administrations()
    | asked(QUESTIONS),
    (
        get("/v2/health/live", None),
        get("/v2/health/ready", None),
        get("/v2/models/linear", None),
        get("/v2/models/linear/versions/1/ready", None),
        post("/v2/models/words/infer", WORDS, SAME),
        post("/v2/models/words/versions/1/infer", WORDS, SAME, chunks=(3,), coding="gzip"),
        post(
            "/v2/models/linear/infer",
            ROW | {"id": "an id", "outputs": [{"name": "scores"}]},
            SCORES,
        ),
        post("/v2/models/nobody/infer", WORDS, None, status=404),
        get("/v2/models/nobody", None, status=404),
    ),
    (MAIN, "triton"),
)
