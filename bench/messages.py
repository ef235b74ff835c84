"""The messages of gRPC that are measured, of the classes that Triton's own client has; no IO."""

import struct

PREFIX = struct.Struct(">BI")
"""What stands before a message: that it is not packed, and its length."""
ALIVE = b"\x08\x01"
"""A ServerLiveResponse whose only field, `live`, is true."""


def framed(message: bytes) -> bytes:
    """*message* as gRPC sends it."""
    return PREFIX.pack(0, len(message)) + message


def infer(rows: list[list[float]], model: str) -> bytes:
    """A ModelInferRequest."""
    from tritonclient.grpc import service_pb2

    values = [value for row in rows for value in row]
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="X", datatype="FP32", shape=[len(rows), len(rows[0])])
    request.raw_input_contents.append(struct.pack(f"<{len(values)}f", *values))
    return bytes(request.SerializeToString())


def read_infer(reply: bytes) -> tuple[list[int], int]:
    """The labels of a ModelInferResponse, and the number of probabilities."""
    from tritonclient.grpc import service_pb2

    label, shares = service_pb2.ModelInferResponse.FromString(reply).raw_output_contents
    return list(struct.unpack(f"<{len(label) // 8}q", label)), len(shares) // 4
