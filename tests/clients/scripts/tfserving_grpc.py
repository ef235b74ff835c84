"""TensorFlow Serving as its own gRPC client asks it: python tfserving_grpc.py HOST:PORT"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
CLASSIFY = "tensorflow/serving/classify"


def predict(model: str, values: Any, **said: Any) -> Any:
    """A PredictRequest."""
    request = predict_pb2.PredictRequest(**said)
    request.model_spec.name = model
    request.inputs["X"].CopyFrom(tf.make_tensor_proto(values))
    return request


def with_examples(request: Any) -> Any:
    """A request with both rows as Examples."""
    for row in ROWS:
        features = request.input.example_list.examples.add().features.feature
        for name, value in zip(NAMES, row, strict=True):
            features[name].float_list.value.append(value)
    return request


def outputs(answer: Any) -> dict[str, Any]:
    """Of a PredictResponse."""
    return {name: tf.make_ndarray(each).tolist() for name, each in answer.outputs.items()}


def scores(answer: Any) -> list[list[float]]:
    """Of a ClassificationResult."""
    return [[each.score for each in row.classes] for row in answer.classifications]


def error(call: Callable[[Any], Any], request: Any) -> list[str]:
    """The status that a request fails with."""
    try:
        call(request)
    except grpc.RpcError as refused:
        return [refused.code().name, refused.details()]
    return ["OK", ""]


def ask(target: str) -> dict[str, Any]:
    """What it gets."""
    channel = grpc.insecure_channel(target)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    rows = np.array(ROWS, np.float32)
    spec = {"name": "iris"}
    whole = stub.Predict(predict("iris", rows))
    typed = predict("iris", rows)
    typed.inputs["X"].ClearField("tensor_content")
    typed.inputs["X"].float_val.extend(rows.ravel().tolist())
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=spec, metadata_field=["signature_def"]
    )
    defs = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(metadata).metadata["signature_def"].Unpack(defs)
    states = models.GetModelStatus(get_model_status_pb2.GetModelStatusRequest(model_spec=spec))
    classified = with_examples(classification_pb2.ClassificationRequest(model_spec=spec))
    regressed = with_examples(regression_pb2.RegressionRequest(model_spec=spec))
    tasks = [{"model_spec": spec, "method_name": CLASSIFY}]
    inferred = with_examples(inference_pb2.MultiInferenceRequest(tasks=tasks))
    reload = model_management_pb2.ReloadConfigRequest(config={"model_config_list": {}})
    return {
        "whole": outputs(whole),
        "typed": outputs(stub.Predict(typed)),
        "spec": [whole.model_spec.version.value, whole.model_spec.signature_name],
        "filtered": sorted(stub.Predict(predict("iris", rows, output_filter=["label"])).outputs),
        "classified": scores(stub.Classify(classified).result),
        "inferred": scores(stub.MultiInference(inferred).results[0].classification_result),
        "signatures": sorted(defs.signature_def),
        "states": [[each.version, each.state] for each in states.model_version_status],
        "errors": {
            "unknown": error(stub.Predict, predict("nobody", rows)),
            "dtype": error(stub.Predict, predict("iris", rows.astype(np.float64))),
            "shape": error(stub.Predict, predict("iris", rows[:, :3])),
            "long": error(stub.Predict, predict("iris", rows, output_filter=["x" * 5000])),
            "regress": error(stub.Regress, regressed),
            "reload": error(models.HandleReloadConfigRequest, reload),
        },
    }


print(json.dumps(ask(sys.argv[1])))
