"""inferd's messages beside those of another package: python imports.py ours|theirs PACKAGE

Tells whether each reads and writes what the other does, when one or the other came first.
"""

import json
import sys
from typing import Any


def tensorflow() -> tuple[str, Any]:
    """A tensor as TensorFlow makes it."""
    import tensorflow as tf

    return "tensorflow.TensorProto", tf.make_tensor_proto([[1.0, 2.0]])


def tensorflow_serving() -> tuple[str, Any]:
    """A request as TensorFlow Serving's clients make it."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_service_pb2_grpc
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    assert prediction_service_pb2_grpc.PredictionServiceStub
    request = PredictRequest(output_filter=["scores"])
    request.model_spec.name, request.model_spec.version.value = "iris", 3
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1, 2]]))
    return "tensorflow.serving.PredictRequest", request


def tritonclient() -> tuple[str, Any]:
    """A request as Triton's client makes it."""
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(model_name="iris", raw_input_contents=[b"1234"])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 1])
    request.parameters["timeout"].int64_param = 5
    return "inference.ModelInferRequest", request


def kserve() -> tuple[str, Any]:
    """A request as KServe's client makes it."""
    from kserve import InferenceGRPCClient
    from kserve.protocol.grpc import grpc_predict_v2_pb2

    assert InferenceGRPCClient
    request = grpc_predict_v2_pb2.ModelInferRequest(model_name="iris")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 1]).contents.fp32_contents.append(0.5)
    return "inference.ModelInferRequest", request


def grpc_health() -> tuple[str, Any]:
    """An answer as gRPC's own health service makes it."""
    from grpc_health.v1 import health_pb2

    return "grpc.health.v1.HealthCheckResponse", health_pb2.HealthCheckResponse(status="SERVING")


PACKAGES = {
    make.__name__: make
    for make in (tensorflow, tensorflow_serving, tritonclient, kserve, grpc_health)
}


def ours() -> Any:
    """Messages of both of inferd's services, made and read again."""
    from inferd.wire.proto import message

    for name in ("inference.ModelInferRequest", "tensorflow.serving.PredictRequest"):
        kind = message(name)
        assert kind.FromString(kind().SerializeToString()) == kind()
    return message


def main(first: str, package: str) -> None:
    """Print what came of it."""
    if first == "ours":
        message = ours()
        name, theirs = PACKAGES[package]()
    else:
        name, theirs = PACKAGES[package]()
        message = ours()
    sent = theirs.SerializeToString(deterministic=True)
    read = message(name).FromString(sent)
    back = read.SerializeToString(deterministic=True)
    print(
        json.dumps(
            {
                "other class": type(theirs) is not type(read),
                "all known": not unknown(read),
                "same bytes": back == sent,
                "read by them": type(theirs).FromString(back) == theirs,
            }
        )
    )


def unknown(message: Any) -> bool:
    """Whether *message*, or one in it, holds a field that inferd does not know."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    if len(UnknownFieldSet(message)):
        return True
    values: list[Any] = []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values += value.values()
        else:
            values += value if field.is_repeated else [value]
    return any(unknown(value) for value in values if hasattr(value, "ListFields"))


if __name__ == "__main__":
    main(*sys.argv[1:])
