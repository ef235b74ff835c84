"""TensorFlow Serving's two services: their methods, and how their errors are told.
(grpc_status_util.cc)"""

from collections.abc import Mapping

from inferd.errors import Code, InferdError, QueueFull
from inferd.protocols.base import Method, Rpc
from inferd.protocols.tfserving.grpc.classify import Classify, Regress
from inferd.protocols.tfserving.grpc.inference import MultiInference
from inferd.protocols.tfserving.grpc.metadata import GetModelMetadata
from inferd.protocols.tfserving.grpc.predict import Predict
from inferd.protocols.tfserving.grpc.status import GetModelStatus, HandleReloadConfigRequest
from inferd.protocols.tfserving.texts import tf_text
from inferd.wire.proto import message

PREDICTION = "/tensorflow.serving.PredictionService/"
MODEL = "/tensorflow.serving.ModelService/"
MOST_TEXT, CUT_OFF = 1024, "...TRUNCATED"  # bytes, and what stands for the others


METHODS: Mapping[str, Method] = {
    PREDICTION + "Predict": Predict(),
    PREDICTION + "Classify": Classify(),
    PREDICTION + "Regress": Regress(),
    PREDICTION + "MultiInference": MultiInference(),
    PREDICTION + "GetModelMetadata": GetModelMetadata(),
    MODEL + "GetModelStatus": GetModelStatus(),
    MODEL + "HandleReloadConfigRequest": HandleReloadConfigRequest(),
}


class TfServingRpc(Rpc):
    """A *strict* one tells a full queue as TensorFlow Serving's batching does."""

    methods = METHODS

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def prepare(self) -> None:
        message("tensorflow.serving.PredictRequest")

    def status(self, error: InferdError) -> tuple[Code, str]:
        full = self._strict and isinstance(error, QueueFull)
        return Code.UNAVAILABLE if full else error.code, _cut(tf_text(error))


def _cut(text: str) -> str:
    if len(text) * 4 <= MOST_TEXT:  # whatever its characters
        return text
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= MOST_TEXT:
        return text
    return encoded[:MOST_TEXT].decode("utf-8", "ignore") + CUT_OFF
