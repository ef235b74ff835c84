"""tritonclient.http, both its clients, as its users write it: on the main port and on Triton's."""

import asyncio
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import requests
import tritonclient.http as triton
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

import inferd
from inferd.server.embedded import Server
from tests.conftest import Models
from tests.unit import onnx_files
from tests.unit.oip_models import KINDS, write_identities


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    """A client of the running server."""
    made = triton.InferenceServerClient(server.url.removeprefix("http://"))
    yield made
    made.close()


def tensor(name: str, values: Any, datatype: str) -> Any:
    """An input as JSON."""
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=False)
    return made


def wanted(*names: str) -> list[Any]:
    """Outputs as JSON."""
    return [triton.InferRequestedOutput(name, binary_data=False) for name in names]


def test_health(client: Any) -> None:
    """Live and ready, server and models."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert not client.is_model_ready("nobody")
    assert not client.is_model_ready("iris", "2")


def test_metadata(client: Any) -> None:
    """What the server and a model say of themselves."""
    assert client.get_server_metadata()["name"] == "inferd"
    metadata = client.get_model_metadata("iris")
    assert metadata["name"] == "iris"
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]


def test_infer(client: Any, models: Models, answers: Any) -> None:
    """All rows, all outputs: ONNX Runtime's own answers."""
    own = answers(models.iris, {"X": models.rows})
    result = client.infer(
        "iris", [tensor("X", models.rows, "FP32")], outputs=wanted(*own), request_id="seven"
    )
    assert result.get_response()["id"] == "seven"
    for name, expected in own.items():
        np.testing.assert_array_equal(result.as_numpy(name), expected)


def test_infer_one_output(client: Any, models: Models, answers: Any) -> None:
    """Only what is asked for comes back."""
    name = list(answers(models.iris, {"X": models.rows[:1]}))[1]
    result = client.infer("iris", [tensor("X", models.rows[:1], "FP32")], outputs=wanted(name))
    assert [output["name"] for output in result.get_response()["outputs"]] == [name]


def test_infer_strings(client: Any, models: Models, answers: Any) -> None:
    """Strings go in and come out."""
    inputs = {
        "colour": np.array([["red"], ["blue"]], np.object_),
        "size": np.array([[1.0], [5.0]], np.float32),
    }
    own = answers(models.columns, inputs)
    sent = [tensor("colour", inputs["colour"], "BYTES"), tensor("size", inputs["size"], "FP32")]
    result = client.infer("columns", sent, outputs=wanted(*own))
    for name, expected in own.items():
        np.testing.assert_array_equal(result.as_numpy(name), expected)


def test_labels_that_are_strings(client: Any, models: Models, answers: Any) -> None:
    """A classifier's names come back as names."""
    name, own = next(iter(answers(models.species, {"X": models.rows}).items()))
    result = client.infer("species", [tensor("X", models.rows, "FP32")], outputs=wanted(name))
    got = result.get_response()["outputs"][0]["data"]
    assert got == own.tolist()


@pytest.mark.parametrize(
    ("name", "shape", "datatype", "told"),
    [
        ("Y", (1, 4), "FP32", "unexpected inference input 'Y' for model 'iris'"),
        ("X", (1, 3), "FP32", "unexpected shape for input 'X' for model 'iris'"),
        ("X", (4,), "FP32", "unexpected shape for input 'X' for model 'iris'"),
        ("X", (1, 4), "FP64", "data-type is 'FP64'"),
    ],
)
def test_errors(client: Any, name: str, shape: tuple[int, ...], datatype: str, told: str) -> None:
    """Errors are Triton's, in its words."""
    kind = np.float64 if datatype == "FP64" else np.float32
    with pytest.raises(InferenceServerException, match=told) as raised:
        client.infer("iris", [tensor(name, np.zeros(shape, kind), datatype)])
    assert raised.value.status() == "400"


def test_unknown_model(client: Any) -> None:
    """A model that is not there is Triton's 'unknown model'."""
    with pytest.raises(InferenceServerException, match="unknown model: 'nobody'"):
        client.infer("nobody", [tensor("X", np.zeros((1, 4), np.float32), "FP32")])
    with pytest.raises(InferenceServerException, match="unknown model: 'nobody'"):
        client.get_model_metadata("nobody")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one model of each datatype, with Triton's port open."""
    folder = tmp_path_factory.mktemp("kinds")
    simple = onnx_files.adder(folder / "simple.onnx", 16)
    with inferd.serve(*write_identities(folder), simple, triton=0) as running:
        yield running


@pytest.fixture(params=["main", "triton"])
def door(kinds: Server, request: pytest.FixtureRequest) -> str:
    """The addresses of the main port and of Triton's, one after the other."""
    return kinds.urls[request.param].removeprefix("http://")


@pytest.fixture
def asked(door: str) -> Iterator[Any]:
    """A client of either port."""
    made = triton.InferenceServerClient(door)
    yield made
    made.close()


def given(name: str, values: Any, datatype: str, *, binary: bool = True) -> Any:
    """An input as memory, or as JSON."""
    made = triton.InferInput(name, list(values.shape), datatype)
    return made.set_data_from_numpy(values, binary_data=binary)


def some(datatype: str, rows: int = 3) -> Any:
    """Values of a datatype, its greatest and its least among them."""
    kind: Any = np.dtype(KINDS[datatype][1])
    if datatype == "BYTES":
        return np.array([["a", "\u20ac"], ["", "null"], ["\0", "b"]] * rows, np.object_)[:rows]
    if datatype == "BOOL":
        return np.array([[True, False]] * rows)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    return np.array([[limits.min, limits.max]] * rows, kind)


def same(result: Any, expected: Any, name: str = "Y") -> None:
    """The output is *expected*, its strings as text."""
    got = result.as_numpy(name)
    if expected.dtype.kind == "O":
        texts = [v.decode() if isinstance(v, bytes) else v for v in got.ravel()]
        got = np.array(texts, np.object_).reshape(got.shape)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


@pytest.mark.parametrize("datatype", sorted(KINDS))
def test_every_datatype_as_memory(asked: Any, datatype: str) -> None:
    """With outputs named and without."""
    values = some(datatype)
    for outputs in (None, [triton.InferRequestedOutput("Y")]):
        result = asked.infer(datatype, [given("X", values, datatype)], outputs=outputs)
        same(result, values)
        assert "binary_data_size" in result.get_output("Y")["parameters"]


@pytest.mark.parametrize("datatype", sorted(set(KINDS) - {"FP16"}))
@pytest.mark.parametrize("binary", [(False, False), (False, True), (True, False)])
def test_every_datatype_as_json(asked: Any, datatype: str, binary: tuple[bool, bool]) -> None:
    """Both ways, or one way only."""
    values = some(datatype)
    outputs = [triton.InferRequestedOutput("Y", binary_data=binary[1])]
    result = asked.infer(
        datatype, [given("X", values, datatype, binary=binary[0])], outputs=outputs
    )
    same(result, values)


def test_fp16_as_json_is_for_the_main_port(kinds: Server) -> None:
    """Triton has it as memory only, and says so."""
    values = np.array([[1.5, -2.0]], np.float16)
    sent = given("X", values, "FP16", binary=False)
    outputs = [triton.InferRequestedOutput("Y", binary_data=False)]
    for port, refused in (("main", False), ("triton", True)):
        client = triton.InferenceServerClient(kinds.urls[port].removeprefix("http://"))
        if refused:
            with pytest.raises(
                InferenceServerException, match="receiving FP16 data via JSON is not"
            ):
                client.infer("FP16", [sent], outputs=outputs)
        else:
            same(client.infer("FP16", [sent], outputs=outputs), values)
        client.close()


def test_bf16_is_taken_by_the_main_port_where_fp32_is_expected(kinds: Server) -> None:
    """Nothing is lost; Triton's port asks for the model's own datatype."""
    values = np.array([[1.5, -2.0]], ml_dtypes.bfloat16)
    client = triton.InferenceServerClient(kinds.urls["main"].removeprefix("http://"))
    same(client.infer("FP32", [given("X", values, "BF16")]), values.astype(np.float32))
    client.close()
    client = triton.InferenceServerClient(kinds.urls["triton"].removeprefix("http://"))
    told = "inference input 'X' data-type is 'BF16', but model 'FP32' expects 'FP32'"
    with pytest.raises(InferenceServerException, match=told):
        client.infer("FP32", [given("X", values, "BF16")])
    client.close()


def test_several_inputs_mixed(asked: Any) -> None:
    """One as JSON and one as memory; one output each way; with an id."""
    first, second = np.arange(16, dtype=np.int32).reshape(1, 16), np.ones((1, 16), np.int32)
    inputs = [
        given("INPUT0", first, "INT32", binary=False),
        given("INPUT1", second, "INT32"),
    ]
    outputs = [
        triton.InferRequestedOutput("OUTPUT1", binary_data=False),
        triton.InferRequestedOutput("OUTPUT0"),
    ]
    result = asked.infer("simple", inputs, outputs=outputs, request_id="seven")
    assert result.get_response()["id"] == "seven"
    assert [o["name"] for o in result.get_response()["outputs"]] == ["OUTPUT0", "OUTPUT1"]
    same(result, first + second, "OUTPUT0")
    same(result, first - second, "OUTPUT1")


@pytest.mark.parametrize("packed", ["gzip", "deflate"])
@pytest.mark.parametrize("rows", [3, 4_000])
def test_compression_both_ways(asked: Any, packed: str, rows: int) -> None:
    """Request and answer, as memory and as JSON, small and large."""
    values = np.arange(rows * 16, dtype=np.int32).reshape(rows, 16)
    for binary in (True, False):
        inputs = [given(f"INPUT{at}", values, "INT32", binary=binary) for at in (0, 1)]
        outputs = [triton.InferRequestedOutput("OUTPUT0", binary_data=binary)]
        result = asked.infer(
            "simple",
            inputs,
            outputs=outputs,
            request_compression_algorithm=packed,
            response_compression_algorithm=packed,
        )
        same(result, values * 2, "OUTPUT0")


def test_much_memory(asked: Any) -> None:
    """Megabytes in and out, and strings by the thousand."""
    values = np.random.default_rng(0).random((2_000, 500), np.float32)
    same(asked.infer("FP32", [given("X", values, "FP32")]), values)
    texts = np.array([str(at) * (at % 7) for at in range(20_000)], np.object_).reshape(-1, 2)
    same(asked.infer("BYTES", [given("X", texts, "BYTES")]), texts)


def test_nothing_is_a_tensor_too(asked: Any) -> None:
    """No rows, as memory and as JSON."""
    for datatype in ("FP32", "BYTES"):
        for binary in (True, False):
            empty: Any = np.zeros((0, 2), KINDS[datatype][1])
            outputs = [triton.InferRequestedOutput("Y", binary_data=binary)]
            sent = [given("X", empty, datatype, binary=binary)]
            same(asked.infer(datatype, sent, outputs=outputs), empty)


@pytest.mark.parametrize("binary", [True, False])
def test_classification(asked: Any, binary: bool) -> None:
    """The greatest elements of each row, and where they stand."""
    values = np.array([[0.25, 0.5, 0.125], [3.0, 1.0, 2.0]], np.float32)
    outputs = [triton.InferRequestedOutput("Y", binary_data=binary, class_count=2)]
    result = asked.infer("FP32", [given("X", values, "FP32")], outputs=outputs)
    texts = [["0.500000:1", "0.250000:0"], ["3.000000:0", "2.000000:2"]]
    same(result, np.array(texts, np.object_))
    with pytest.raises(InferenceServerException, match="due to unsupported type 'BYTES'"):
        asked.infer("BYTES", [given("X", some("BYTES"), "BYTES")], outputs=outputs)


def test_classes_of_a_classifier(client: Any, models: Models, answers: Any) -> None:
    """The first of the greatest is what the model says."""
    name, scores = list(answers(models.species, {"X": models.rows}).items())[1]
    outputs = [triton.InferRequestedOutput(name, class_count=1)]
    got = client.infer("species", [given("X", models.rows, "FP32")], outputs=outputs)
    best = [text.decode().split(":") for text in got.as_numpy(name).ravel()]
    assert [int(parts[1]) for parts in best] == scores.argmax(axis=1).tolist()
    assert [float(parts[0]) for parts in best] == pytest.approx(scores.max(axis=1), abs=1e-6)


def test_a_raw_request(door: str) -> None:
    """A body that is the input's memory; the answer is memory, too."""
    values = np.arange(4, dtype=np.float32).reshape(1, 4)
    answer = requests.post(
        f"http://{door}/v2/models/FP32/infer",
        data=values.tobytes(),
        headers={"Inference-Header-Content-Length": "0"},
        timeout=10,
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    result = triton.InferenceServerClient.parse_response_body(answer.content, header_length=length)
    same(result, values)


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("Z", (1, 16), "unexpected inference input 'Z' for model 'simple'"),
        (
            "INPUT1",
            (1, 15),
            r"unexpected shape for input 'INPUT1' for model 'simple'. Expected \[-1,",
        ),
        ("INPUT1", (2, 16), "input 'INPUT1' batch size does not match other inputs for 'simple'"),
        ("INPUT0", (1, 16), "input 'INPUT0' already exists in request"),
        ("", (), "expected 2 inputs but got 1 inputs for model 'simple'. Got input"),
    ],
)
def test_faults_of_memory(asked: Any, name: str, shape: tuple[int, ...], told: str) -> None:
    """As Triton tells them."""
    inputs = [given("INPUT0", np.zeros((1, 16), np.int32), "INT32")]
    if name:
        inputs.append(given(name, np.zeros(shape, np.int32), "INT32"))
    with pytest.raises(InferenceServerException, match=told) as raised:
        asked.infer("simple", inputs)
    assert raised.value.status() == "400"


def test_a_document_that_is_none_is_tritons_own_fault_at_its_port(kinds: Server) -> None:
    """On the main port it is the caller's."""
    for port, status in (("main", 400), ("triton", 500)):
        url = f"{kinds.urls[port]}/v2/models/FP32/infer"
        for document in (b"{", b"[]", b'{"inputs":[],"id":1}'):
            answer = requests.post(url, data=document, timeout=10)
            assert (answer.status_code, list(answer.json())) == (status, ["error"])
        answer = requests.post(
            url, data=b"{}", headers={"Inference-Header-Content-Length": "9"}, timeout=10
        )
        assert answer.status_code == 400
        told = "inference header size should be in range (0, 2), got: 9"
        assert answer.json() == {"error": told}


def test_parameters(asked: Any) -> None:
    """A caller's own pass; the client itself knows the reserved ones."""
    sent = [given("X", some("FP32"), "FP32")]
    result = asked.infer("FP32", sent, parameters={"note": "x", "at": 1, "on": True}, priority=3)
    same(result, some("FP32"))
    same(asked.infer("FP32", sent, sequence_id=7, sequence_start=True), some("FP32"))
    same(asked.infer("FP32", sent, timeout=10_000_000), some("FP32"))


def test_the_asynchronous_client(door: str) -> None:
    """Many requests at once, as memory and packed."""
    values = [some("FP32", rows) for rows in range(1, 9)]

    async def ask() -> list[Any]:
        async with aio.InferenceServerClient(door) as client:
            assert await client.is_model_ready("FP32")
            return await asyncio.gather(
                *[
                    client.infer(
                        "FP32",
                        [given("X", each, "FP32")],
                        outputs=outputs,
                        request_compression_algorithm=packed,
                        response_compression_algorithm=packed,
                    )
                    for each in values
                    for packed in (None, "gzip", "deflate")
                    for outputs in (None, [triton.InferRequestedOutput("Y", binary_data=False)])
                ]
            )

    for at, result in enumerate(asyncio.run(ask())):
        same(result, values[at // 6])


def test_the_callers_thread_may_wait_later(asked: Any) -> None:
    """The client's own way to ask for several at once."""
    under_way = [asked.async_infer("FP32", [given("X", some("FP32", n), "FP32")]) for n in (1, 2)]
    for rows, each in zip((1, 2), under_way, strict=True):
        same(each.get_result(), some("FP32", rows))
