"""wire/proto: the messages have the numbers that clients use, in a pool that nobody else meets."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from inferd.wire import proto
from inferd.wire.proto import message

ROOT = Path(__file__).parents[2]

# Messages, each with the names and numbers of all its fields.
NUMBERS = """
inference.ServerLiveResponse live 1
inference.ServerReadyResponse ready 1
inference.ModelReadyRequest name 1 version 2
inference.ModelReadyResponse ready 1
inference.ServerMetadataResponse name 1 version 2 extensions 3
inference.ModelMetadataRequest name 1 version 2
inference.ModelMetadataResponse name 1 versions 2 platform 3 inputs 4 outputs 5
inference.ModelMetadataResponse.TensorMetadata name 1 datatype 2 shape 3
inference.InferParameter bool_param 1 int64_param 2 string_param 3 double_param 4 uint64_param 5
inference.InferTensorContents bool_contents 1 int_contents 2 int64_contents 3 uint_contents 4 \
uint64_contents 5 fp32_contents 6 fp64_contents 7 bytes_contents 8
inference.ModelInferRequest model_name 1 model_version 2 id 3 parameters 4 inputs 5 outputs 6 \
raw_input_contents 7
inference.ModelInferRequest.InferInputTensor name 1 datatype 2 shape 3 parameters 4 contents 5
inference.ModelInferRequest.InferRequestedOutputTensor name 1 parameters 2
inference.ModelInferResponse model_name 1 model_version 2 id 3 parameters 4 outputs 5 \
raw_output_contents 6
inference.ModelInferResponse.InferOutputTensor name 1 datatype 2 shape 3 parameters 4 contents 5
inference.ModelStreamInferResponse error_message 1 infer_response 2
inference.ModelConfigRequest name 1 version 2
inference.ModelConfigResponse config 1
inference.ModelStatisticsRequest name 1 version 2
inference.ModelStatisticsResponse model_stats 1
inference.ModelStatistics name 1 version 2 last_inference 3 inference_count 4 execution_count 5 \
inference_stats 6 batch_stats 7 memory_usage 8 response_stats 9
inference.InferStatistics success 1 fail 2 queue 3 compute_input 4 compute_infer 5 \
compute_output 6 cache_hit 7 cache_miss 8
inference.InferBatchStatistics batch_size 1 compute_input 2 compute_infer 3 compute_output 4
inference.InferResponseStatistics compute_infer 1 compute_output 2 success 3 fail 4 \
empty_response 5 cancel 6
inference.StatisticDuration count 1 ns 2
inference.MemoryUsage type 1 id 2 byte_size 3
inference.RepositoryIndexRequest repository_name 1 ready 2
inference.RepositoryIndexResponse models 1
inference.RepositoryIndexResponse.ModelIndex name 1 version 2 state 3 reason 4
inference.RepositoryModelLoadRequest repository_name 1 model_name 2 parameters 3
inference.RepositoryModelUnloadRequest repository_name 1 model_name 2 parameters 3
inference.ModelRepositoryParameter bool_param 1 int64_param 2 string_param 3 bytes_param 4
inference.SystemSharedMemoryStatusRequest name 1
inference.SystemSharedMemoryStatusResponse regions 1
inference.SystemSharedMemoryStatusResponse.RegionStatus name 1 key 2 offset 3 byte_size 4
inference.SystemSharedMemoryRegisterRequest name 1 key 2 offset 3 byte_size 4
inference.CudaSharedMemoryStatusResponse.RegionStatus name 1 device_id 2 byte_size 3
inference.CudaSharedMemoryRegisterRequest name 1 raw_handle 2 device_id 3 byte_size 4
inference.TraceSettingRequest settings 1 model_name 2
inference.TraceSettingRequest.SettingValue value 1
inference.TraceSettingResponse settings 1
inference.LogSettingsRequest settings 1
inference.LogSettingsRequest.SettingValue bool_param 1 uint32_param 2 string_param 3
inference.LogSettingsResponse settings 1
grpc.health.v1.HealthCheckRequest service 1
grpc.health.v1.HealthCheckResponse status 1
google.protobuf.Any type_url 1 value 2
google.protobuf.Int64Value value 1
tensorflow.serving.ModelSpec name 1 version 2 signature_name 3 version_label 4
tensorflow.serving.PredictRequest model_spec 1 inputs 2 output_filter 3 \
predict_streamed_options 5 client_id 6 request_options 7
tensorflow.serving.PredictResponse outputs 1 model_spec 2
tensorflow.serving.ClassificationRequest model_spec 1 input 2
tensorflow.serving.ClassificationResponse result 1 model_spec 2
tensorflow.serving.RegressionRequest model_spec 1 input 2
tensorflow.serving.RegressionResponse result 1 model_spec 2
tensorflow.serving.Input example_list 1 example_list_with_context 2
tensorflow.serving.ExampleList examples 1
tensorflow.serving.ExampleListWithContext examples 1 context 2
tensorflow.serving.Class label 1 score 2
tensorflow.serving.Regression value 1
tensorflow.serving.InferenceTask model_spec 1 method_name 2
tensorflow.serving.InferenceResult model_spec 1 classification_result 2 regression_result 3
tensorflow.serving.MultiInferenceRequest tasks 1 input 2
tensorflow.serving.MultiInferenceResponse results 1
tensorflow.serving.GetModelStatusRequest model_spec 1
tensorflow.serving.GetModelStatusResponse model_version_status 1
tensorflow.serving.ModelVersionStatus version 1 state 2 status 3
tensorflow.serving.StatusProto error_code 1 error_message 2
tensorflow.serving.GetModelMetadataRequest model_spec 1 metadata_field 2
tensorflow.serving.GetModelMetadataResponse model_spec 1 metadata 2
tensorflow.serving.SignatureDefMap signature_def 1
tensorflow.serving.ReloadConfigRequest config 1 metric_names 2
tensorflow.serving.ReloadConfigResponse status 1 metric 2
tensorflow.serving.Metric name 1 int64_value_increase 2
tensorflow.TensorProto dtype 1 tensor_shape 2 version_number 3 tensor_content 4 float_val 5 \
double_val 6 int_val 7 string_val 8 scomplex_val 9 int64_val 10 bool_val 11 dcomplex_val 12 \
half_val 13 resource_handle_val 14 variant_val 15 uint32_val 16 uint64_val 17 float8_val 18
tensorflow.TensorInfo name 1 coo_sparse 4 dtype 2 tensor_shape 3
tensorflow.SignatureDef inputs 1 outputs 2 method_name 3 defaults 4
"""

# Enumerations: some of their values.
VALUES = """
tensorflow.TensorProto.dtype DT_INVALID 0 DT_FLOAT 1 DT_DOUBLE 2 DT_INT32 3 DT_UINT8 4 DT_INT16 5 \
DT_INT8 6 DT_STRING 7 DT_COMPLEX64 8 DT_INT64 9 DT_BOOL 10 DT_BFLOAT16 14 DT_UINT16 17 \
DT_COMPLEX128 18 DT_HALF 19 DT_UINT32 22 DT_UINT64 23
tensorflow.serving.ModelVersionStatus.state UNKNOWN 0 START 10 LOADING 20 AVAILABLE 30 \
UNLOADING 40 END 50
tensorflow.serving.StatusProto.error_code OK 0 INVALID_ARGUMENT 3 NOT_FOUND 5 UNIMPLEMENTED 12
grpc.health.v1.HealthCheckResponse.status UNKNOWN 0 SERVING 1 NOT_SERVING 2 SERVICE_UNKNOWN 3
inference.ModelInput.data_type TYPE_INVALID 0 TYPE_BOOL 1 TYPE_FP32 11 TYPE_STRING 13 TYPE_BF16 14
"""

OTHERS = {
    "onnx": "onnx",
    "tritonclient": "tritonclient.grpc",
    "health": "grpc_health.v1.health_pb2",
    "timestamps": "google.protobuf.timestamp_pb2",
    "wrappers": "google.protobuf.wrappers_pb2",
}

OURS = """
from inferd.wire.proto import message
request = message("inference.ModelInferRequest")(model_name="iris", raw_input_contents=[b"1"])
request.inputs.add(name="x", datatype="UINT8", shape=[1])
assert type(request).FromString(request.SerializeToString()) == request
assert message("tensorflow.serving.PredictRequest")().SerializeToString() == b""
health = message("grpc.health.v1.HealthCheckResponse")(status="SERVING")
assert health.SerializeToString() == bytes([8, 1])
spec = message("tensorflow.serving.ModelSpec")()
spec.version.value = 3
assert spec.SerializeToString() == bytes([18, 2, 8, 3])
"""

THEIRS = {
    "onnx": """
from onnx import helper
assert helper.make_node("Add", ["a", "b"], ["c"]).SerializeToString()
""",
    "tritonclient": """
from tritonclient.grpc import service_pb2
theirs = service_pb2.ModelInferRequest(model_name="iris", raw_input_contents=[b"1"])
theirs.inputs.add(name="x", datatype="UINT8", shape=[1])
assert theirs.SerializeToString() == request.SerializeToString()
assert type(theirs) is not type(request)
""",
    "health": """
from grpc_health.v1 import health_pb2
assert health_pb2.HealthCheckResponse(status="SERVING").SerializeToString() == bytes([8, 1])
""",
    "timestamps": """
from google.protobuf.timestamp_pb2 import Timestamp
assert Timestamp(seconds=1).SerializeToString() == bytes([8, 1])
""",
    "wrappers": """
from google.protobuf.wrappers_pb2 import Int64Value
assert Int64Value(value=3).SerializeToString() == bytes([8, 3])
""",
}

# In a Python of its own: other tests keep classes of the pool that is forgotten here.
AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from inferd.wire import proto

NAMES = ["tensorflow.serving.GetModelMetadataResponse", "tensorflow.serving.ModelSpec"] * 6
together = Barrier(len(NAMES))

def ask(name):
    together.wait(10)
    return proto.message(name)

sys.setswitchinterval(1e-6)
with ThreadPoolExecutor(len(NAMES)) as threads:
    for _ in range(10):
        proto.message.cache_clear()
        proto._pool.cache_clear()
        response, spec, *others = threads.map(ask, NAMES)
        assert {id(kind.DESCRIPTOR.file.pool) for kind in others} == {id(spec.DESCRIPTOR.file.pool)}
        assert response(model_spec=spec(name="iris")).model_spec.name == "iris"
"""


def lines(table: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in table.split("\n") if line]


def run(code: str) -> None:
    """Run *code* in a Python of its own, which must succeed without a word."""
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"GRPC_VERBOSITY": "NONE"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stderr) == (0, "")


def needs(module: str) -> None:
    """Skip where the package of *module* is not installed."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{module} is not installed")


@pytest.mark.parametrize("line", lines(NUMBERS), ids=lambda line: line[0])
def test_fields_have_the_numbers_of_the_wire(line: list[str]) -> None:
    """What a client knows by number is what inferd reads under the name."""
    name, *fields = line
    numbers = {field.name: field.number for field in message(name).DESCRIPTOR.fields}
    assert numbers == dict(zip(fields[::2], map(int, fields[1::2]), strict=True))


@pytest.mark.parametrize("line", lines(VALUES), ids=lambda line: line[0])
def test_enumerations_have_the_numbers_of_the_wire(line: list[str]) -> None:
    """So do the values of enumerations."""
    (name, _, field), values = line[0].rpartition("."), line[1:]
    known = message(name).DESCRIPTOR.fields_by_name[field].enum_type.values_by_name
    assert {value: known[value].number for value in values[::2]} == dict(
        zip(values[::2], map(int, values[1::2]), strict=True)
    )


def test_an_unknown_message_is_a_key_error() -> None:
    """A name that stands in no file is the programmer's fault."""
    with pytest.raises(KeyError):
        message("inference.Nobody")


def test_messages_are_of_one_pool() -> None:
    """Threads that are the first to ask, all at once, get classes that go together."""
    run(AT_ONCE)


def test_metadata_is_packed_into_any() -> None:
    """An Any of the private pool takes messages of it, by the name that clients look for."""
    signatures = message("tensorflow.serving.SignatureDefMap")()
    signatures.signature_def["serving_default"].method_name = "tensorflow/serving/predict"
    response = message("tensorflow.serving.GetModelMetadataResponse")()
    response.metadata["signature_def"].Pack(signatures)
    read = type(response).FromString(response.SerializeToString()).metadata["signature_def"]
    assert read.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    back = message("tensorflow.serving.SignatureDefMap")()
    assert read.Unpack(back)
    assert back == signatures


def test_protobuf_is_imported_when_it_is_asked() -> None:
    """``import inferd.wire.proto`` costs nothing that is not used."""
    run(
        "import sys, inferd.wire.proto\n"
        "assert not [name for name in sys.modules if name.startswith('google.protobuf')]"
    )


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_other_packages_are_not_met(other: str, first: str) -> None:
    """A package whose messages have the same names works beside inferd, whichever came first."""
    needs(OTHERS[other])
    before = "" if first == "ours" else f"import {OTHERS[other]}\n"
    run(before + OURS + THEIRS[other])


def test_the_default_pool_is_left_alone() -> None:
    """Nothing of inferd's can be found where other packages look."""
    run(
        OURS + "from google.protobuf import descriptor_pool\n"
        "try:\n"
        "    descriptor_pool.Default().FindMessageTypeByName('inference.ModelInferRequest')\n"
        "except KeyError:\n"
        "    pass\n"
        "else:\n"
        "    raise SystemExit('it is there')\n"
    )


@pytest.mark.skipif(not (ROOT / "protos").is_dir(), reason="protos/ is not in this copy")
def test_the_descriptors_are_those_of_the_files(tmp_path: Path) -> None:
    """``scripts/protos`` makes what is there from the files as they are now."""
    needs("grpc_tools")
    made = tmp_path / "descriptors.binpb"
    subprocess.run(
        [ROOT / "scripts" / "protos", made], env=os.environ | {"PYTHON": sys.executable}, check=True
    )
    assert made.read_bytes() == proto.DESCRIPTORS.read_bytes()


@pytest.mark.skipif(not (ROOT / "protos").is_dir(), reason="protos/ is not in this copy")
def test_every_file_says_whose_it_is() -> None:
    """Each vendored file begins with its copyright, and NOTICE names its owner."""
    notice = (ROOT / "NOTICE").read_text()
    for path in (ROOT / "protos").rglob("*.proto"):
        owner = re.match(r"(?:// .*\n)??// (Copyright [^.\n]*)", path.read_text())
        assert owner, path
        assert owner[1] in notice, path
