"""``GetModelMetadata``: what a version's signatures take and give. (get_model_metadata_impl.cc)"""

from collections.abc import Mapping
from typing import Any

from inferd.calls import Call, Handle, Lookup, ModelMetadata
from inferd.errors import InvalidInput
from inferd.protocols.base import Message, Method, Payload, PerHandle
from inferd.protocols.tfserving.grpc import fields
from inferd.protocols.tfserving.grpc.dtypes import BY_TENSORFLOW
from inferd.protocols.tfserving.grpc.model_spec import check_present, find_asked, told
from inferd.protocols.tfserving.signatures import TensorInfo, signatures
from inferd.wire.proto import message as message_class

FIELD = "signature_def"
MAP = "tensorflow.serving.SignatureDefMap"


class GetModelMetadata(Method):
    """``PredictionService/GetModelMetadata``."""

    call = ModelMetadata

    def decode(self, message: Message, lookup: Lookup) -> Call:
        request = fields.read("tensorflow.serving.GetModelMetadataRequest", message.body)
        check_present(request)
        if not len(request.metadata_field):
            raise InvalidInput("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != FIELD:
                raise InvalidInput(f"Metadata field {field} is not supported")
        handle = find_asked(lookup, request.model_spec)
        return ModelMetadata(model=handle.model, version=handle.version)

    def encode(self, call: Call, response: Any) -> Payload:
        return Payload(_written(response.handle))


def _write(handle: Handle) -> bytes:
    answer = message_class("tensorflow.serving.GetModelMetadataResponse")()
    answer.model_spec.MergeFromString(told(handle, None))
    packed = answer.metadata[FIELD]
    packed.type_url, packed.value = f"type.googleapis.com/{MAP}", _signature_defs(handle)
    written: bytes = answer.SerializeToString()
    return written


_written = PerHandle(_write)


def _signature_defs(handle: Handle) -> bytes:
    defs = message_class(MAP)()
    for name, each in signatures(handle).defs.items():
        signature = defs.signature_def[name]
        signature.method_name = each.method
        _describe(each.inputs, signature.inputs)
        _describe(each.outputs, signature.outputs)
    written: bytes = defs.SerializeToString(deterministic=True)
    return written


def _describe(infos: Mapping[str, TensorInfo], into: Any) -> None:
    for alias, info in infos.items():
        tensor = into[alias]
        tensor.name, tensor.dtype = info.name, BY_TENSORFLOW[info.dtype]
        tensor.tensor_shape.SetInParent()  # of rank 0, too
        for size in info.shape:
            tensor.tensor_shape.dim.add(size=size)
