"""The seed corpus: valid and nearly valid requests of every dialect, made by hypothesis."""

import json
from math import prod
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st


class Request(NamedTuple):
    """A request in its parts."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    """None: no body, and no header that announces one."""
    chunks: tuple[int, ...]
    """Sizes of the chunks that the body is sent in; empty: it is announced by its length."""

    def serialise(self) -> bytes:
        """The request as bytes."""
        headers, body = list(self.headers), self.body or b""
        if self.body is not None:
            if self.chunks:
                headers.append(("transfer-encoding", "chunked"))
                body = _chunked(body, self.chunks)
            else:
                headers.append(("content-length", str(len(body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"{self.method} {self.target} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n"
        return head.encode("latin-1") + body


def _chunked(body: bytes, sizes: tuple[int, ...]) -> bytes:
    parts, at, turn = [], 0, 0
    while at < len(body):
        piece = body[at : at + sizes[turn % len(sizes)]]
        parts.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        at, turn = at + len(piece), turn + 1
    return b"".join([*parts, b"0\r\n\r\n"])


MODELS = {
    "linear": ((("X", "FP32", (4,)),), ("label", "scores")),
    "words": ((("text", "BYTES", (1,)),), ("same",)),
    "mixed": (
        tuple(
            (name, kind, (1,))
            for name, kind in zip(
                ("amount", "count", "flag", "code"), ("FP64", "INT64", "BOOL", "BYTES"), strict=True
            )
        ),
        ("amount_out", "count_out", "flag_out", "code_out"),
    ),
    "cube": ((("cells", "UINT8", (2, 3)),), ("copy",)),
}
DEFAULT = "linear"
METHODS = (
    "GET",
    "GET",
    "GET",
    "HEAD",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
)
KINDS = [
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
    "BF16",
]

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
REAL = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = {
    "FP32": REAL,
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "UINT8": st.integers(0, 255),
    "BOOL": st.booleans(),
    "BYTES": TEXT,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["inputs", "name", "shape", "data", "features"]) | TEXT, inner
        )
    ),
    max_leaves=8,
)
NAMES = st.sampled_from([*MODELS, *MODELS, "nobody", "%6cinear", "LINEAR", "a%2Fb", "%00", "é"])
SAFE = "abcXYZ0189-._~!$&'()*+,;=:@%"


@st.composite
def inputs(draw: st.DrawFn, model: str) -> list[dict[str, Any]]:
    """The tensors of *model*, right."""
    rows = draw(st.integers(0, 4))
    made = []
    for name, kind, inner in MODELS[model][0]:
        count = rows * prod(inner)
        data = draw(st.lists(VALUES[kind], min_size=count, max_size=count))
        made.append({"name": name, "shape": [rows, *inner], "datatype": kind, "data": data})
    return made


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
def oip_requests(draw: st.DrawFn) -> Request:
    """An inference in the Open Inference Protocol."""
    model = draw(st.sampled_from(sorted(MODELS)))
    document: dict[str, Any] = {"inputs": draw(inputs(model) | inputs(model) | spoilt(model))}
    if draw(st.booleans()):
        document["id"] = draw(TEXT)
    if draw(st.booleans()):
        names = st.sampled_from([*MODELS[model][1], "nothing"])
        document["outputs"] = [{"name": name} for name in draw(st.lists(names, max_size=3))]
    if draw(st.integers(0, 3)) == 0:
        document["parameters"] = draw(st.dictionaries(TEXT, JSON, max_size=2))
    name = draw(st.just(model) | st.just(model) | st.just(model) | NAMES)
    version = draw(st.sampled_from(["", "", "", "", "/versions/1", "/versions/2", "/versions/x"]))
    return draw(posted(f"/v2/models/{name}{version}/infer", document))


@st.composite
def plain_requests(draw: st.DrawFn) -> Request:
    """A prediction in the plain protocol."""
    model = draw(st.sampled_from(sorted(MODELS)))
    row = st.tuples(
        *(VALUES[kind] for _, kind, inner in MODELS[model][0] for _ in range(prod(inner)))
    )
    features = draw(row | row | st.lists(row, min_size=1, max_size=4) | st.lists(JSON, max_size=5))
    name = draw(st.just(model) | st.just(model) | st.just(model) | NAMES)
    unnamed = 3 if model == DEFAULT else 1
    targets = ["/predict", "/v1/predict"] * unnamed + [f"/v1/predict/{name}"] * 6
    target = draw(st.sampled_from(targets))
    key = draw(st.just("features") | TEXT) if draw(st.integers(0, 9)) == 0 else "features"
    return draw(posted(target, {key: features}))


@st.composite
def posted(draw: st.DrawFn, target: str, document: Any) -> Request:
    """*document* on its way to *target*."""
    ascii_only, indent = draw(st.booleans()), draw(st.sampled_from([None, None, 1]))
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    body = text.encode("utf-8", "surrogatepass")
    sizes = st.lists(st.integers(1, 200), min_size=1, max_size=4).map(tuple)
    chunks = draw(st.just(()) | st.just(()) | sizes)
    return Request("POST", _target(target, draw(QUERIES)), draw(HEADERS), body, chunks)


QUERIES = st.sampled_from(["", "", "", "?", "?a=b", "?x=%ff&&=", "?" + "q" * 300])
HEADERS = st.lists(
    st.sampled_from(
        [
            ("content-type", "application/json"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip, br"),
            ("user-agent", "x" * 200),
            ("x-empty", ""),
        ]
        * 4
        + [("content-encoding", "gzip"), ("inference-header-content-length", "10")]
    ),
    max_size=3,
).map(tuple)


@st.composite
def questions(draw: st.DrawFn) -> Request:
    """A request without a document: health, metadata, the app's pages, unknown URLs."""
    name = draw(NAMES)
    known = (
        "/health /ready /v2 /v2/health/live /v2/health/ready /docs /openapi.json / "
        f"/v2/models/{name} /v2/models/{name}/ready /v2/models/{name}/versions/1 /predict"
    ).split()
    paths = st.lists(st.text(SAFE, max_size=6), max_size=4).map(lambda parts: "/" + "/".join(parts))
    target = _target(draw(st.sampled_from(known) | paths), draw(QUERIES))
    body = draw(st.none() | st.binary(max_size=40))
    return Request(draw(st.sampled_from(METHODS)), target, draw(HEADERS), body, ())


def _target(path: str, query: str) -> str:
    return (path + query).encode("ascii", "ignore").decode() or "/"


def make_corpus(number: int, count: int) -> list[Request]:
    """*count* requests, the same for the same *number*."""
    corpus: list[Request] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(oip_requests() | oip_requests() | plain_requests() | plain_requests() | questions())
    def collect(request: Request) -> None:
        corpus.append(request)

    collect()
    return corpus
