"""TensorFlow's own tensors and messages against ours: python tfserving_tensors.py JSON

The argument is an object of TensorProtos that inferd wrote, in base64, by their names. Prints as
JSON what TensorFlow reads in them, and what it writes of its own.
"""

import base64
import json
import os
import sys
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

NAMES = [
    *("bool", "string", "float16", "float32", "float64"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
]


def b64(message: Any) -> str:
    """A message as JSON can hold it."""
    return base64.b64encode(message.SerializeToString()).decode()


def theirs(name: str) -> dict[str, str]:
    """A matrix, a scalar, one value in place of six, and what the runtime itself writes."""
    text = name == "string"
    dtype = tf.as_dtype(name)
    one: Any = "ü" if text else name == "bool" or 1
    matrix = [["a", "bc", ""], ["ü", "d", "e"]] if text else [[0, 1, 1], [1, 0, 1]]
    array = np.array(matrix, object if text else dtype.as_numpy_dtype)
    whole = tf.constant(array, dtype)
    return {
        "matrix": b64(tf.make_tensor_proto(array, dtype)),
        "scalar": b64(tf.make_tensor_proto(one, dtype)),
        "repeated": b64(tf.make_tensor_proto(one, dtype, [2, 3])),
        "serialized": base64.b64encode(tf.io.serialize_tensor(whole).numpy()).decode(),
        "compressed": b64(_constant(whole)),
    }


def _constant(whole: Any) -> Any:
    """As a graph holds it."""
    with tf.Graph().as_default() as graph:
        tf.constant(whole.numpy(), whole.dtype, name="c")
    return graph.get_operation_by_name("c").get_attr("value")


def read(sent: str) -> dict[str, Any]:
    """What TensorFlow has of one of ours: in Python, and in its runtime."""
    raw = base64.b64decode(sent)
    proto = TensorProto.FromString(raw)
    dtype = tf.as_dtype(proto.dtype)
    in_python, parsed = (
        np.array(each, object if dtype == tf.string else None)
        for each in (tf.make_ndarray(proto), tf.io.parse_tensor(raw, dtype).numpy())
    )
    assert in_python.tolist() == parsed.tolist()
    values = parsed.ravel().tolist()
    texts = [value.decode() if isinstance(value, bytes) else value for value in values]
    return {"dtype": dtype.name, "shape": list(in_python.shape), "values": texts}


def request() -> str:
    """A PredictRequest, made as clients make it."""
    sent = predict_pb2.PredictRequest()
    sent.model_spec.name = "iris"
    sent.model_spec.signature_name = "serving_default"
    row = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)
    sent.inputs["X"].CopyFrom(tf.make_tensor_proto(row))
    sent.output_filter.append("label")
    return b64(sent)


print(
    json.dumps(
        {
            "written": {name: theirs(name) for name in NAMES},
            "read": {name: read(sent) for name, sent in json.loads(sys.argv[1]).items()},
            "request": request(),
        }
    )
)
