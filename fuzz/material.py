"""What the requests of all dialects are made from: models, values, JSON, headers, URLs."""

import json
from math import prod
from typing import Any

from hypothesis import strategies as st

from fuzz.codings import FORMS, RIGHT
from fuzz.request import Request

Input = tuple[str, str, tuple[int, ...]]

MODELS: dict[str, tuple[tuple[Input, ...], tuple[str, ...]]] = {
    "linear": ((("X", "FP32", (4,)),), ("label", "scores")),
    "words": ((("text", "BYTES", (1,)),), ("same",)),
    "mixed": (
        (
            ("amount", "FP64", (1,)),
            ("count", "INT64", (1,)),
            ("flag", "BOOL", (1,)),
            ("code", "BYTES", (1,)),
        ),
        ("amount_out", "count_out", "flag_out", "code_out"),
    ),
    "cube": ((("cells", "UINT8", (2, 3)),), ("copy",)),
    "line": ((("x", "FP32", (1,)),), ("y",)),
}
"""Each model's inputs (name, datatype, shape of a row) and the names of its outputs."""
DEFAULT = "linear"
METHODS = [
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
]
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
WORDS = st.sampled_from(
    [
        "inputs",
        "name",
        "shape",
        "data",
        "features",
        "instances",
        "signature_name",
        "examples",
        "context",
        "b64",
        "columns",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | TEXT, inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [*MODELS, *MODELS, "nobody", "%6cinear", "LINEAR", "a%2Fb", "%00", "é", "%c3%28", "a:b", ".."]
)
VERSIONS = st.sampled_from(
    [""] * 6
    + ["/versions/1", "/versions/1", "/versions/2", "/versions/x", "/versions/01", "/versions/"]
    + ["/versions/18446744073709551616", "/versions/-1", "/versions/%31"]
)
LABELS = st.sampled_from(["/labels/stable", "/labels/", "/labels/a%2Fb", "/labels/x/versions/1"])
SAFE = "abcXYZ0189-._~!$&'()*+,;=:@%"
QUERIES = st.sampled_from(["", "", "", "?", "?a=b", "?x=%ff&&=", "?" + "q" * 300])
PATHS = st.lists(st.text(SAFE, max_size=6), max_size=4).map(lambda parts: "/" + "/".join(parts))
CONTENT_TYPES = (
    "application/json",
    "application/json; charset=utf-8",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "text/csv",
    "",
)
ACCEPTED = (
    "gzip",
    "deflate",
    "gzip, br",
    "deflate;q=1, gzip;q=0.5",
    "*",
    "identity;q=0, *;q=0",
    "gzip;q=0",
    "gzip;q=x, ;;",
    "br;q=1, deflate;q=0.5",
)
HEADERS = st.lists(
    st.sampled_from(
        [("content-type", kind) for kind in CONTENT_TYPES]
        + [("accept-encoding", accepted) for accepted in ACCEPTED] * 2
        + [
            ("accept", "*/*"),
            ("user-agent", "x" * 200),
            ("x-empty", ""),
            ("x-request-id", "an id"),
            ("x-request-id", "\xff" * 300),
            ("expect", "100-continue"),
        ]
    ),
    max_size=3,
    unique_by=lambda header: header[0],
).map(tuple)
SIZES = st.lists(st.integers(1, 200), min_size=1, max_size=4).map(tuple)
CHUNKS = st.just(()) | st.just(()) | SIZES
EXTENSIONS = st.sampled_from(["", "", "", ";a", ";name=value", ';q="a;b"', ";" + "e" * 200])
NONE = st.just("")
CODINGS = NONE | NONE | NONE | st.sampled_from(list(RIGHT)) | st.sampled_from(list(FORMS))


@st.composite
def inputs(draw: st.DrawFn, model: str, *, least: int = 0) -> list[dict[str, Any]]:
    """The tensors of *model*, right, as the Open Inference Protocol has them."""
    rows = draw(st.integers(least, 4))
    made = []
    for name, kind, inner in MODELS[model][0]:
        count = rows * prod(inner)
        data = draw(st.lists(VALUES[kind], min_size=count, max_size=count))
        made.append({"name": name, "shape": [rows, *inner], "datatype": kind, "data": data})
    return made


@st.composite
def nested_rows(draw: st.DrawFn, model: str) -> list[dict[str, Any]]:
    """Rows of *model*: each a mapping of its inputs to values nested as their shapes are."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        row = {}
        for name, kind, inner in MODELS[model][0]:
            flat = [draw(VALUES[kind]) for _ in range(prod(inner))]
            row[name] = nest(flat, inner)
        made.append(row)
    return made


def nest(flat: list[Any], shape: tuple[int, ...]) -> Any:
    """*flat* values as lists of lists, of *shape*."""
    if len(shape) <= 1:
        return flat
    size = prod(shape[1:])
    return [nest(flat[at : at + size], shape[1:]) for at in range(0, len(flat), size)]


@st.composite
def spoilt_document(draw: st.DrawFn, document: Any) -> Any:
    """*document* with one of its keys gone, renamed, or of another kind."""
    if not isinstance(document, dict) or not document:
        return draw(JSON)
    changed, key = dict(document), draw(st.sampled_from(sorted(document)))
    match draw(st.integers(0, 3)):
        case 0:
            del changed[key]
        case 1:
            changed[draw(WORDS | TEXT)] = changed.pop(key)
        case 2:
            changed[draw(WORDS | TEXT)] = draw(JSON)
        case _:
            changed[key] = draw(JSON)
    return changed


@st.composite
def posted(draw: st.DrawFn, target: str, document: Any) -> Request:
    """*document* on its way to *target*."""
    ascii_only, indent = draw(st.booleans()), draw(st.sampled_from([None, None, 1]))
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    if isinstance(document, dict) and document and draw(st.integers(0, 15)) == 0:
        first = json.dumps(next(iter(document)))
        text = f"{{{first}: {json.dumps(draw(JSON))}, {text.strip()[1:]}"  # a key twice
    return draw(sent(target, text.encode("utf-8", "surrogatepass")))


@st.composite
def sent(
    draw: st.DrawFn, target: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()
) -> Request:
    """*body* on its way to *target*, in any of the ways that HTTP has."""
    names = {name for name, _ in headers}
    others = tuple(field for field in draw(HEADERS) if field[0] not in names)
    return Request(
        "POST",
        url(target, draw(QUERIES), absolute=draw(st.integers(0, 9)) == 0),
        headers + others,
        body,
        draw(CHUNKS),
        draw(CODINGS),
        draw(EXTENSIONS),
    )


@st.composite
def asked(draw: st.DrawFn, targets: st.SearchStrategy[str]) -> Request:
    """A request without a document, by any method."""
    absolute = draw(st.integers(0, 9)) == 0
    target = url(draw(targets | PATHS), draw(QUERIES), absolute=absolute)
    body = draw(st.none() | st.binary(max_size=40))
    return Request(draw(st.sampled_from(METHODS)), target, draw(HEADERS), body)


def url(path: str, query: str = "", *, absolute: bool = False) -> str:
    """What the request line says."""
    target = (path + query).encode("ascii", "ignore").decode() or "/"
    return f"http://localhost{target}" if absolute and target.startswith("/") else target
