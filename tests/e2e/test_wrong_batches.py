"""Nobody gets another's rows over a real socket: a connection asks for any mixture at once, which
is joined to whatever calls it can be."""

import json
import socket
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

import inferd
from inferd.server.embedded import Server
from tests.unit import onnx_files

LIMIT = 10.0  # seconds for any answer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Models that take several inputs, any shape, strings, and one that fails on some rows; none of
    which is ever run at once."""
    folder = tmp_path_factory.mktemp("mixed")
    models = [
        onnx_files.adder(folder / "simple.onnx"),
        onnx_files.identity(folder / "free.onnx", [None, None, None]),
        onnx_files.identity(folder / "text.onnx", [None, 2], onnx_files.STRING),
        onnx_files.lookup_table(folder / "table.onnx"),
    ]
    queue: dict[str, Any] = {
        "max_batch_size": 6,
        "inline_limit_microseconds": 0,
        "priority_levels": 2,
    }
    with inferd.serve(*models, **queue) as running:
        yield running


class Asked(NamedTuple):
    """A request, and the outputs by name that it is to have; none where it is poison."""

    model: str
    document: dict[str, Any]
    outputs: dict[str, list[Any]] | None


def tensor(name: str, datatype: str, values: Any) -> dict[str, Any]:
    """An input, as JSON."""
    array = np.asarray(values)
    return {
        "name": name,
        "shape": array.shape,
        "datatype": datatype,
        "data": array.ravel().tolist(),
    }


ROWS = st.integers(1, 3) | st.integers(1, 16)
NUMBERS = st.integers(-100, 100)


@st.composite
def added(draw: st.DrawFn) -> Asked:
    """Two inputs, in any order and of any datatype that the model's holds; one output or both."""
    rows = draw(ROWS)
    values = [draw(st.lists(NUMBERS, min_size=4 * rows, max_size=4 * rows)) for _ in range(2)]
    kinds = [draw(st.sampled_from(["INT32", "INT32", "INT16", "INT8"])) for _ in range(2)]
    inputs = [
        tensor(f"INPUT{at}", kinds[at], np.reshape(values[at], (rows, 4)))
        for at in draw(st.permutations([0, 1]))
    ]
    first, second = np.array(values)
    made = {"OUTPUT0": (first + second).tolist(), "OUTPUT1": (first - second).tolist()}
    wanted = draw(st.sampled_from([["OUTPUT0", "OUTPUT1"], ["OUTPUT1"], ["OUTPUT0"]]))
    document = {"inputs": inputs, "outputs": [{"name": name} for name in wanted]}
    return Asked("simple", document, {name: made[name] for name in wanted})


@st.composite
def shaped(draw: st.DrawFn) -> Asked:
    """A cube of any shape."""
    shape = draw(ROWS), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    values = draw(st.lists(NUMBERS, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    sent = tensor("X", "FP32", np.reshape(values, shape))
    return Asked("free", {"inputs": [sent]}, {"Y": values})


@st.composite
def told(draw: st.DrawFn) -> Asked:
    """Texts of any kind."""
    rows = draw(ROWS)
    texts = draw(st.lists(st.text(max_size=3), min_size=2 * rows, max_size=2 * rows))
    sent = {"name": "X", "shape": [rows, 2], "datatype": "BYTES", "data": texts}
    return Asked("text", {"inputs": [sent]}, {"Y": texts})


@st.composite
def looked_up(draw: st.DrawFn) -> Asked:
    """Positions of a table of three, of which a fourth one is poison."""
    places = draw(st.lists(st.sampled_from([0, 1, 2, 0, 1, 2, 0, 1, 7]), min_size=1, max_size=8))
    sent = tensor("X", "INT64", places)
    found = None if 7 in places else {"Y": [10.0 * (place + 1) for place in places]}
    return Asked("table", {"inputs": [sent]}, found)


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.integers(0, 3),
        "timeout": st.just(10_000_000),
        "mine": st.text(max_size=3),
    },
)
MIXTURE = st.lists(
    st.tuples(added() | shaped() | told() | looked_up(), PARAMETERS), min_size=1, max_size=24
)


def read(answers: BinaryIO) -> tuple[int, dict[str, Any]]:
    """The next answer: its status, and its document."""
    status = int(answers.readline().split()[1])
    length = 0
    while line := answers.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, json.loads(answers.read(length))


def ask_all(served: Server, mixture: list[tuple[Asked, dict[str, Any]]]) -> list[Any]:
    """Every request in one piece on one connection, and the answers in their order."""
    host, port = served.url.removeprefix("http://").split(":")
    pieces = []
    for at, (asked, parameters) in enumerate(mixture):
        document = {**asked.document, "id": str(at), "parameters": parameters}
        body = json.dumps(document).encode()
        head = f"POST /v2/models/{asked.model}/infer HTTP/1.1\r\nhost: x\r\n"
        pieces.append(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    with (
        socket.create_connection((host, int(port)), LIMIT) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall(b"".join(pieces))
        return [read(answers) for _ in mixture]


@settings(max_examples=40, deadline=None)
@given(MIXTURE)
def test_everybody_gets_his_own(
    served: Server, mixture: list[tuple[Asked, dict[str, Any]]]
) -> None:
    """Mixed models, shapes, datatypes, outputs and parameters; and poison, which hurts nobody
    else."""
    for at, ((asked, _), (status, document)) in enumerate(
        zip(mixture, ask_all(served, mixture), strict=True)
    ):
        if asked.outputs is None:
            assert status == 500
            assert "failed on this request" in document["error"]
            continue
        assert (status, document.get("error")) == (200, None)
        assert document["id"] == str(at)
        assert document["model_name"] == asked.model
        got = {output["name"]: output["data"] for output in document["outputs"]}
        assert got == asked.outputs


def test_they_are_joined_indeed(served: Server) -> None:
    """What one piece of bytes asked is fewer calls than requests; and none has too many rows."""
    url = f"{served.url}/v2/models/simple"
    one = {"inputs": [tensor(f"INPUT{at}", "INT32", [[1, 2, 3, 4]]) for at in (0, 1)]}
    before = requests.get(f"{url}/stats", timeout=LIMIT).json()["model_stats"][0]
    ask_all(served, [(Asked("simple", one, None), {})] * 12)
    after = requests.get(f"{url}/stats", timeout=LIMIT).json()["model_stats"][0]
    assert after["inference_count"] - before["inference_count"] == 12
    assert 2 <= after["execution_count"] - before["execution_count"] <= 4
    assert max(each["batch_size"] for each in after["batch_stats"]) == 6
