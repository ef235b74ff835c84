"""Every dialect keeps the contract of dialects."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferd import plugins
from inferd.calls import Call, Lookup, ServerLive
from inferd.config import Settings
from inferd.errors import InferdError
from inferd.pipeline import Pipeline
from inferd.protocols.base import Dialect, Message, Operation, Payload, check_dialect, variables

BODIES = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"{}",
    b"[]",
    b"null",
    b"0",
    b'"',
    b"NaN",
    b"{" * 50_000,
    b"[" * 50_000,
    b'{"inputs":[NaN]}',
    b'{"features":[[]]}',
    b'{"features":[{}]}',
    b'{"inputs":[{"name":"\\ud800"}]}',
    json.dumps({"features": [1, 2, 3, 4]}).encode(),
    json.dumps(
        {"inputs": [{"name": "X", "shape": [0, 4], "datatype": "FP32", "data": []}]}
    ).encode(),
]


@pytest.fixture(scope="module")
def pipeline(onnx_models: dict[str, Path]) -> Iterator[Pipeline]:
    """A server's inside, with one model under the name that every path asks for."""
    served = Pipeline(Settings(), cores=1)
    served.load([onnx_models["classifier"]], "nobody")
    yield served
    served.close()


@pytest.mark.parametrize("name", plugins.names("protocols"))
def test_every_body_becomes_a_call_or_an_error(name: str, pipeline: Pipeline) -> None:
    """However wrong a body is, it is read or refused in our own words."""
    dialect: Dialect = plugins.load("protocols", name)
    check_dialect(dialect, pipeline.manager.lookup, BODIES)


DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["X", "FP32", "label"]),
    lambda v: (
        st.lists(v, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "features",
                    "inputs",
                    "outputs",
                    "name",
                    "shape",
                    "datatype",
                    "data",
                    "id",
                    "parameters",
                    "X",
                ]
            ),
            v,
            max_size=5,
        )
    ),
)


@pytest.mark.parametrize("name", plugins.names("protocols"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=40) | DOCUMENTS.map(lambda v: json.dumps(v).encode()))
def test_any_body_at_all(name: str, pipeline: Pipeline, body: bytes) -> None:
    """The same, for what nobody thought of."""
    check_dialect(plugins.load("protocols", name), pipeline.manager.lookup, [body])


@pytest.mark.parametrize("name", plugins.names("protocols"))
def test_its_operations_are_documented(name: str, pipeline: Pipeline) -> None:
    """Each route tells people something about the model that it asks, unless it refuses everybody;
    and the dialect is called as its file."""
    dialect: Dialect = plugins.load("protocols", name)
    assert dialect.name == name
    handle = pipeline.manager.lookup(None)
    for route in dialect.routes:
        names = variables(route.path)
        assert set(names) <= {"model", "version", "label", "repository", "region"}
        page = route.operation.document(handle)
        if page is None:
            with pytest.raises(InferdError):
                route.operation.decode(
                    Message(b"{}", dict.fromkeys(names, "nobody")), pipeline.manager.lookup
                )
        else:
            json.dumps([page.example, page.request, page.response])


def test_an_operation_need_not_be_documented_nor_end_in_words() -> None:
    """What most operations have nothing to say about is nothing."""

    class Quiet(Operation):
        call = ServerLive

        def decode(self, message: Message, lookup: Lookup) -> Call:
            return ServerLive()

        def encode(self, call: Call, response: object) -> Payload:
            return Payload(b"")

    assert Quiet().document(None) is None
    assert Quiet().encode_end(ServerLive()) == b""


def test_no_two_dialects_have_one_precedence() -> None:
    """Who answers a URL that two claim does not depend on the order of loading."""
    found = [dialect.precedence for _, dialect in plugins.load_all("protocols")]
    assert len(set(found)) == len(found)
