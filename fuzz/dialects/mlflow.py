"""MLflow's scoring protocol: ``/invocations`` in JSON of four forms, and in CSV."""

from typing import Any

from hypothesis import strategies as st

from fuzz.dialects.base import Dialect, get, post
from fuzz.material import (
    DEFAULT,
    JSON,
    MODELS,
    TEXT,
    asked,
    nested_rows,
    posted,
    sent,
    spoilt_document,
)
from fuzz.request import Request

COLUMNS: st.SearchStrategy[list[Any]] = st.sampled_from(
    [["a", "b", "c", "d"], ["X"], ["a", "a", "b", "c"], [], [0, 1, 2, 3]]
)


@st.composite
def documents(draw: st.DrawFn) -> Request:
    """JSON."""
    model = draw(st.sampled_from([DEFAULT] * 4 + sorted(MODELS)))
    rows = draw(nested_rows(model))
    first = [next(iter(row.values())) for row in rows]
    columns = draw(COLUMNS)
    split: dict[str, Any] = {"columns": columns, "data": first}
    if draw(st.booleans()):
        split["index"] = draw(st.lists(st.integers(0, 9), max_size=4))
    records = [dict(zip(columns, values, strict=False)) for values in first] if columns else rows
    document: Any = draw(
        st.sampled_from(
            [
                {"dataframe_split": split},
                {"dataframe_records": records},
                {"dataframe_records": rows},
                {"instances": first},
                {"instances": rows},
                {"inputs": first},
                {"inputs": {key: [row[key] for row in rows] for key in rows[0]}},
                {"inputs": first, "instances": first},
            ]
        )
    )
    if draw(st.integers(0, 3)) == 0:
        document["params"] = draw(JSON)
    if draw(st.integers(0, 3)) == 0:
        document = draw(spoilt_document(document))
    return draw(posted("/invocations", document))


CELLS = (
    st.sampled_from(
        [
            "1",
            "2.5",
            "-0",
            "1e400",
            "nan",
            "",
            " 3 ",
            '"4"',
            '"a""b"',
            '"5',
            "é",
            "true",
            "0x1",
            "\x00",
        ]
    )
    | TEXT
)
LINE_ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n"])
CSV_TYPES = st.sampled_from(
    ["text/csv", "text/csv", "text/csv; charset=utf-8", "text/csv; charset=utf-16", "TEXT/CSV"]
)


@st.composite
def tables(draw: st.DrawFn) -> Request:
    """CSV."""
    header = [str(name) for name in draw(COLUMNS | st.lists(CELLS, max_size=5))]
    width = len(header) if draw(st.integers(0, 5)) else draw(st.integers(0, 6))
    number = st.integers(-99, 99).map(str)
    cell = draw(st.sampled_from([number, number, number | CELLS]))
    rows = [",".join(draw(cell) for _ in range(width)) for _ in range(draw(st.integers(0, 5)))]
    text = draw(LINE_ENDS).join([",".join(header), *rows]) + draw(LINE_ENDS)
    mark = draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe"]))
    body = mark + text.encode("utf-8", "surrogatepass")
    return draw(sent("/invocations", body, (("content-type", draw(CSV_TYPES)),)))


QUESTIONS = st.sampled_from(
    ["/ping", "/health", "/version", "/invocations", "/ping/", "/version?x"]
)

dialect = Dialect(
    "mlflow",
    documents() | documents() | tables() | asked(QUESTIONS),
    (
        get("/ping", None),
        get("/version", None),
        post("/invocations", {"inputs": [[1, 2, 3, 0]]}, None),
        post("/invocations", {"instances": [[1, 2, 3, 0]]}, None, coding="gzip"),
        post("/invocations", b"{", None, status=400),
    ),
)
