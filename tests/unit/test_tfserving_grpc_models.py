"""protocols/tfserving/grpc: metadata, status, reload, and how errors are told."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferd.calls import Call, ModelStates, VersionState, VersionStates
from inferd.config import Settings
from inferd.errors import Code, InferdError, InvalidInput, NotReady, QueueFull
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.tfserving import plugin
from inferd.protocols.tfserving.grpc.model_spec import number_of, told
from tests.unit.tfserving_rpc import ANSWERS, RpcAsker, made

Make = Callable[..., Pipeline]
INVALID = Code.INVALID_ARGUMENT
DOOR = plugin.at("tfserving")
METADATA, STATUS = "GetModelMetadata", "GetModelStatus"


class TestMetadata:
    """``GetModelMetadata``."""

    @pytest.mark.parametrize(
        ("model", "name", "method", "inputs", "outputs"),
        [
            ("iris", "serving_default", "predict", {"X": 1}, {"label": 9, "scores": 1}),
            ("iris", "classify", "classify", {"inputs": 7}, {"scores": 1}),
            ("words", "serving_default", "predict", {"X": 1}, {"label": 7, "scores": 1}),
            ("columns", "regress", "regress", {"inputs": 7}, {"outputs": 1}),
            ("scalar", "serving_default", "predict", {"X": 1}, {"Y": 1}),
        ],
    )
    def test_the_signatures(
        self,
        pipeline: Make,
        model: str,
        name: str,
        method: str,
        inputs: dict[str, int],
        outputs: dict[str, int],
    ) -> None:
        """As a SignatureDefMap, packed; with the name and the version of who answered."""
        request = made(
            "GetModelMetadataRequest", model_spec={"name": model}, metadata_field=["signature_def"]
        )
        answer = RpcAsker(pipeline(model)).ask(METADATA, request)
        assert answer.model_spec == made("ModelSpec", name=model, version={"value": 1})
        packed = answer.metadata["signature_def"]
        assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        signature = made("SignatureDefMap").FromString(packed.value).signature_def[name]
        assert signature.method_name == f"tensorflow/serving/{method}"
        for infos, expected in ((signature.inputs, inputs), (signature.outputs, outputs)):
            assert {alias: info.dtype for alias, info in infos.items()} == expected
            assert all(info.HasField("tensor_shape") for info in infos.values())

    def test_a_tensor(self, pipeline: Make) -> None:
        """Its name in the graph, its datatype, and -1 for each free dimension."""
        request = made(
            "GetModelMetadataRequest",
            model_spec={"name": "image"},
            metadata_field=["signature_def"],
        )
        packed = RpcAsker(pipeline("image")).ask(METADATA, request).metadata["signature_def"]
        defs = made("SignatureDefMap").FromString(packed.value)
        info = defs.signature_def["serving_default"].inputs["X"]
        assert (info.name, info.dtype) == ("X:0", 1)
        assert [each.size for each in info.tensor_shape.dim] == [-1, 2, 3]

    @pytest.mark.parametrize(
        ("said", "code", "text"),
        [
            ({}, INVALID, "Missing ModelSpec"),
            ({"metadata_field": ["foo"]}, INVALID, "Missing ModelSpec"),
            (
                {"model_spec": {"name": "x"}},
                INVALID,
                "GetModelMetadataRequest must specify at least one metadata_field",
            ),
            (
                {"model_spec": {"name": "x"}, "metadata_field": ["signature_def", "foo"]},
                INVALID,
                "Metadata field foo is not supported",
            ),
            (
                {"model_spec": {}, "metadata_field": ["signature_def"]},
                INVALID,
                "ModelSpec has no name specified.",
            ),
            (
                {"model_spec": {"name": "x"}, "metadata_field": ["signature_def"]},
                Code.NOT_FOUND,
                "Servable not found for request: Latest(x)",
            ),
        ],
    )
    def test_faults(self, pipeline: Make, said: dict[str, Any], code: Code, text: str) -> None:
        """Each in TensorFlow Serving's words and order."""
        request = made("GetModelMetadataRequest", **said)
        assert RpcAsker(pipeline("iris")).refusal(METADATA, request) == (code, text)


class TestStatus:
    """``GetModelStatus``."""

    @pytest.mark.parametrize(
        "choice", [{}, {"version": {"value": 1}}, {"version_label": "x"}], ids=str
    )
    def test_a_model_that_serves(self, pipeline: Make, choice: dict[str, Any]) -> None:
        """Its version, its state and that nothing is wrong; a label changes nothing."""
        request = made("GetModelStatusRequest", model_spec={"name": "iris", **choice})
        (told,) = RpcAsker(pipeline("iris")).ask(STATUS, request).model_version_status
        assert (told.version, told.state) == (1, 30)
        assert told.HasField("status")
        assert (told.status.error_code, told.status.error_message) == (0, "")

    @pytest.mark.parametrize(
        ("said", "code", "text"),
        [
            ({}, INVALID, "Missing ModelSpec"),
            (
                {"model_spec": {"name": "x"}},
                Code.NOT_FOUND,
                "Could not find any versions of model x",
            ),
            ({"model_spec": {}}, Code.NOT_FOUND, "Could not find any versions of model "),
            (
                {"model_spec": {"name": "iris", "version": {"value": 99}}},
                Code.NOT_FOUND,
                "Could not find version 99 of model iris",
            ),
        ],
    )
    def test_faults(self, pipeline: Make, said: dict[str, Any], code: Code, text: str) -> None:
        """The same as over REST."""
        request = made("GetModelStatusRequest", **said)
        assert RpcAsker(pipeline("iris")).refusal(STATUS, request) == (code, text)

    def test_every_state(self, pipeline: Make) -> None:
        """By TensorFlow Serving's numbers, in the order given; why one failed is for the log."""
        names = ["new", "loading", "ready", "draining", "gone", "failed", "odd"]
        states = VersionStates(
            tuple(VersionState("m", str(at), name, "/srv/m") for at, name in enumerate(names))
        )
        method = RpcAsker(pipeline("iris")).method(STATUS)
        body = method.encode(ModelStates(model="m"), states).body
        answer = made("GetModelStatusResponse").FromString(body).model_version_status
        assert [each.version for each in answer] == list(range(7))
        assert [each.state for each in answer] == [10, 20, 30, 40, 50, 50, 0]
        assert [each.status.error_code for each in answer] == [0, 0, 0, 0, 0, 13, 0]
        assert answer[5].status.error_message == (
            "the version could not be loaded; the server's log says why"
        )


class TestReload:
    """``HandleReloadConfigRequest`` is refused."""

    def test_without_a_list(self, pipeline: Make) -> None:
        """As TensorFlow Serving refuses it."""
        asker = RpcAsker(pipeline("iris"))
        configs: list[dict[str, Any]] = [
            {},
            {"config": {}},
            {"config": {"custom_model_config": {}}},
        ]
        for said in configs:
            request = made("ReloadConfigRequest", **said)
            assert asker.refusal("HandleReloadConfigRequest", request) == (
                INVALID,
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported",
            )

    def test_with_one(self, pipeline: Make) -> None:
        """In our own words: nobody may change from afar what is served."""
        asker = RpcAsker(pipeline("iris"))
        request = made("ReloadConfigRequest", config={"model_config_list": {}})
        code, text = asker.refusal("HandleReloadConfigRequest", request)
        assert code is Code.UNIMPLEMENTED
        assert text.startswith("this server's models are chosen where it is started")
        method = asker.method("HandleReloadConfigRequest")
        assert method.encode(ModelStates(), VersionStates(())).body == b""


class TestErrors:
    """How any error is told."""

    def test_long_texts_are_cut(self) -> None:
        """After 1024 bytes, between characters."""
        assert plugin.rpc is not None
        for text, cut in (
            ("x" * 1024, "x" * 1024),
            ("x" * 1025, "x" * 1024 + "...TRUNCATED"),
            ("ü" * 512, "ü" * 512),
            ("ü" * 513, "ü" * 512 + "...TRUNCATED"),
            ("x" + "ü" * 512, "x" + "ü" * 511 + "...TRUNCATED"),
        ):
            assert plugin.rpc.status(InvalidInput(text)) == (INVALID, cut)

    def test_what_a_caller_says_is_cut_too(self, pipeline: Make) -> None:
        """A name of any length makes a text of little."""
        request = made("PredictRequest", model_spec={"name": "iris"})
        request.model_spec.signature_name = "n" * 100_000
        code, text = RpcAsker(pipeline("iris")).refusal("Predict", request)
        assert code is Code.FAILED_PRECONDITION
        assert len(text) == 1024 + len("...TRUNCATED")

    def test_a_full_queue(self) -> None:
        """Is 'unavailable' at the door, as its batching says, and nothing else is changed."""
        assert plugin.rpc is not None
        assert DOOR.rpc is not None
        full = QueueFull("too many wait")
        text = "The batch scheduling queue to which this task was submitted is full: too many wait"
        assert DOOR.rpc.status(full) == (Code.UNAVAILABLE, text)
        assert plugin.rpc.status(full) == (Code.RESOURCE_EXHAUSTED, text)
        assert DOOR.rpc.status(NotReady("it loads")) == (Code.UNAVAILABLE, "it loads")
        assert DOOR.rpc.methods == plugin.rpc.methods


class TestVersions:
    """Versions as messages have them: whole numbers."""

    @pytest.mark.parametrize(
        ("version", "number"),
        [
            ("1", 1),
            ("0", 0),
            ("00000123", 123),
            (str(2**63 - 1), 2**63 - 1),
            (str(2**63), None),
            ("9" * 5000, None),
            ("v1", None),
            ("-1", None),
            ("", None),
            ("²", None),
        ],
    )
    def test_numbers(self, version: str, number: int | None) -> None:
        """A name that is none is not told."""
        assert number_of(version) == number

        class Handle:
            model = "m"

        handle = Handle()
        handle.version = version  # type: ignore[attr-defined]  # as a handle's
        spec = made("ModelSpec").FromString(told(handle, "s"))  # type: ignore[arg-type]  # as above
        assert spec.HasField("version") is (number is not None)
        assert spec.version.value == (number or 0)
        assert (spec.name, spec.signature_name) == ("m", "s")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(path=st.sampled_from(sorted(ANSWERS)), body=st.binary(max_size=60))
def test_any_body_becomes_a_call_or_an_error(served: RpcAsker, path: str, body: bytes) -> None:
    """However wrong the bytes are, and such as name a model that is there."""
    method = served.rpc.methods[path]
    for sent in (body, b"\x0a\x06\x0a\x04iris" + body):
        try:
            call: Call = method.decode(Message(sent, {}), served.served.manager.lookup)
        except InferdError as error:
            code, text = served.rpc.status(error)
            assert isinstance(code, Code)
            assert len(text) < 1100
        else:
            assert isinstance(call, method.call)


@pytest.fixture(scope="module")
def served(models: Path) -> Iterator[RpcAsker]:
    """One pipeline for all examples of a property."""
    opened = Pipeline(Settings(), cores=1)
    opened.load([models / "iris.onnx"])
    yield RpcAsker(opened)
    opened.close()


def test_nothing_heavy_is_imported_for_it() -> None:
    """protobuf comes with the first message, not with the dialect."""
    code = "import sys; import inferd.protocols.tfserving; print('google.protobuf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
