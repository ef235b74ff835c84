"""The messages of gRPC's interop tests (its src/proto/grpc/testing: empty, messages), made here, in
a pool of their own: no generated file is needed, and none can be in the way."""

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "grpc.testing"

_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Empty": {},
    "BoolValue": {"value": (1, "bool")},
    "Payload": {"type": (1, "int32"), "body": (2, "bytes")},  # an enum of one value, which is 0
    "EchoStatus": {"code": (1, "int32"), "message": (2, "string")},
    "SimpleRequest": {
        "response_type": (1, "int32"),
        "response_size": (2, "int32"),
        "payload": (3, "Payload"),
        "response_compressed": (6, "BoolValue"),
        "response_status": (7, "EchoStatus"),
        "expect_compressed": (8, "BoolValue"),
    },
    "SimpleResponse": {"payload": (1, "Payload")},
    "StreamingInputCallRequest": {
        "payload": (1, "Payload"),
        "expect_compressed": (2, "BoolValue"),
    },
    "StreamingInputCallResponse": {"aggregated_payload_size": (1, "int32")},
    "ResponseParameters": {
        "size": (1, "int32"),
        "interval_us": (2, "int32"),
        "compressed": (3, "BoolValue"),
    },
    "StreamingOutputCallRequest": {
        "response_type": (1, "int32"),
        "response_parameters": (2, "repeated ResponseParameters"),
        "payload": (3, "Payload"),
        "response_status": (7, "EchoStatus"),
    },
    "StreamingOutputCallResponse": {"payload": (1, "Payload")},
}
_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "string": FieldDescriptorProto.TYPE_STRING,
}


@cache
def message(name: str) -> Any:
    """The class of a message."""
    return GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@cache
def _pool() -> DescriptorPool:
    file = FileDescriptorProto(name="interop.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            *repeated, kind = kind.split()
            label = FieldDescriptorProto.LABEL_OPTIONAL
            if repeated:
                label = FieldDescriptorProto.LABEL_REPEATED
            added = described.field.add(name=field, number=number, label=label)
            if kind in _SCALARS:
                added.type = _SCALARS[kind]
            else:
                added.type = FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = f".{PACKAGE}.{kind}"
    pool = DescriptorPool()
    pool.Add(file)
    return pool
