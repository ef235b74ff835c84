"""``GetModelStatus``: where a model's versions stand; and ``HandleReloadConfigRequest``, which is
refused. (get_model_status_impl.cc, model_service_impl.cc)"""

from typing import Any

from inferd.calls import Call, Lookup, ModelStates
from inferd.errors import InvalidInput, Unsupported
from inferd.protocols.base import Message, Method, Payload
from inferd.protocols.tfserving.grpc import fields
from inferd.protocols.tfserving.grpc.model_spec import check_present, number_of, version_of
from inferd.protocols.tfserving.status import FAILED, STATES
from inferd.wire.proto import message as message_class

NUMBERS = {"START": 10, "LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50}
"""Of ModelVersionStatus.State; all others are UNKNOWN."""
INTERNAL = 13  # of tensorflow.error.Code


class GetModelStatus(Method):
    """``ModelService/GetModelStatus``: newest first. A label changes nothing, as in TensorFlow
    Serving."""

    call = ModelStates

    def decode(self, message: Message, lookup: Lookup) -> Call:
        request = fields.read("tensorflow.serving.GetModelStatusRequest", message.body)
        check_present(request)
        spec = request.model_spec
        return ModelStates(model=spec.name, version=version_of(spec))

    def encode(self, call: Call, response: Any) -> Payload:
        answer = message_class("tensorflow.serving.GetModelStatusResponse")()
        for each in response.versions:
            told = answer.model_version_status.add(
                version=number_of(each.version) or 0,
                state=NUMBERS.get(STATES.get(each.state, ""), 0),
            )
            told.status.SetInParent()
            if each.state == "failed":
                told.status.error_code, told.status.error_message = INTERNAL, FAILED
        return Payload(answer.SerializeToString())


class HandleReloadConfigRequest(Method):
    """``ModelService/HandleReloadConfigRequest``: which models are served is not the callers' to
    say."""

    call = ModelStates

    def decode(self, message: Message, lookup: Lookup) -> Call:
        request = fields.read("tensorflow.serving.ReloadConfigRequest", message.body)
        if request.config.WhichOneof("config") != "model_config_list":
            raise InvalidInput(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported"
            )
        raise Unsupported(
            "this server's models are chosen where it is started, not by its callers",
            cure="Put new versions into the model's folder, or start it with other models.",
        )

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(b"")  # never asked for, as nothing is decoded
