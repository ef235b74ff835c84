"""Questions to ask by HTTP/2: calls of gRPC, and ordinary requests whose answers are known."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fuzz import judge
from fuzz.answers import Answer as PlainAnswer
from fuzz.codings import encode
from fuzz.dialects.base import Dialect, Known
from fuzz.http2 import (
    START,
    Answer,
    Field,
    Reader,
    body,
    frame,
    grpc_fields,
    head,
    message,
    plain_fields,
)
from fuzz.request import MAIN
from inferd.wire.proto import message as proto

OIP, HEALTH = "/inference.GRPCInferenceService/", "/grpc.health.v1.Health/Check"
PREDICTION = "/tensorflow.serving.PredictionService/"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
CALM_SECONDS = 10.0
SECRET = b"the server failed on this request"
"""What a caller is told where the fault is the server's own."""
LINEAR = [[1.0, 2.0, 3.0, 4.0]]
SCORES = [5.0, 8.0, 13.0]


class Call(NamedTuple):
    """One question."""

    door: str
    name: str
    fields: tuple[Field, ...]
    data: bytes
    """The body, or the messages with their prefixes."""
    known: Known | None = None
    """An ordinary request's answer."""
    calm: tuple[int | None, bytes] | None = None
    """A call's: gRPC's status and the messages, as a server says that nobody disturbs."""


def questions(dialects: Sequence[Dialect], doors: Sequence[str]) -> list[Call]:
    """All of them that the *doors* answer."""
    made = [call for door in doors for call in (*_oip(door), *_tfserving(door))]
    for dialect in dialects:
        for door in set(doors) & set(dialect.doors):
            made += [_plain(door, known) for known in dialect.known if _is_plain(known)]
    return made


def calmly(calls: Sequence[Call], ports: Mapping[str, int]) -> list[Call]:
    """*calls* with the answers that a server gives to one who asks twice, one by one."""
    return [
        call if call.known else call._replace(calm=_steady(call, ports[call.door]))
        for call in calls
    ]


def fault(call: Call, answer: Answer) -> str:
    """What is wrong with *answer*; empty where nothing is."""
    if call.known is None:
        got = answer.grpc, bytes(answer.body)
        return "" if got == call.calm else f"{got!r:.300}, expected {call.calm!r:.300}"
    return judge.mismatch(call.known, plain(answer)) or ""


def plain(answer: Answer) -> PlainAnswer:
    """*answer* as if it had come by HTTP/1.1."""
    headers = tuple((n.decode(), v.decode("latin-1")) for n, v in answer.fields[1:])
    return PlainAnswer("1.1", answer.status, "", headers, bytes(answer.body))


def _steady(call: Call, port: int) -> tuple[int | None, bytes]:
    first, second = (ask(call, port) for _ in range(2))
    if first != second:
        raise RuntimeError(f"{call.name} is answered differently each time")
    if SECRET in first[1] or (call.name == "linear" and not _is_right(first)):
        raise RuntimeError(f"{call.name} is answered wrongly: {first}")
    return first


def ask(call: Call, port: int) -> tuple[int | None, bytes]:
    """GRPC's status and the messages, on a connection of its own."""
    reader = Reader()
    with socket.create_connection(("127.0.0.1", port), CALM_SECONDS) as connection:
        connection.sendall(START + head(1, call.fields) + body(1, call.data))
        while 1 not in reader.answers or not reader.answers[1].is_over:
            chunk = connection.recv(1 << 16)
            if not chunk:
                raise ConnectionResetError("closed before its answer")
            reader.feed(chunk)
        connection.sendall(frame(7, payload=bytes(8)))
    answer = reader.answers[1]
    return answer.grpc, bytes(answer.body)


def _is_right(answer: tuple[int | None, bytes]) -> bool:
    response = proto("inference.ModelInferResponse").FromString(answer[1][5:])
    scores = next(each for each in response.outputs if each.name == "scores")
    at = list(response.outputs).index(scores)
    if response.raw_output_contents:
        import numpy as np

        return bool((np.frombuffer(response.raw_output_contents[at], "<f4") == SCORES).all())
    return list(scores.contents.fp32_contents) == SCORES


def _is_plain(known: Known) -> bool:
    request = known.request
    return request.target.startswith("/") and known.status != 101 and not request.after


def _plain(door: str, known: Known) -> Call:
    request, data = known.request, known.request.body or b""
    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers]
    if request.coding:
        label, data = encode(request.coding, data)
        fields.append((b"content-encoding", label.encode()))
    made = plain_fields(request.method, "/", *fields)
    made[2] = (b":path", request.target.encode("latin-1"))
    return Call(door, request.target, tuple(made), data, known)


def _oip(door: str) -> Iterator[Call]:
    """The open inference protocol, and health."""
    if door not in (MAIN, "triton"):
        return
    for name in ("ServerLive", "ServerReady", "ServerMetadata"):
        yield _call(door, OIP + name, proto(f"inference.{name}Request")())
    yield _call(door, HEALTH, proto("grpc.health.v1.HealthCheckRequest")())
    for name in ("ModelReady", "ModelMetadata", "ModelConfig"):
        yield _call(door, OIP + name, proto(f"inference.{name}Request")(name="mixed"))
    asked = {
        "linear": _infer("linear", ("X", "FP32", [1, 4], "fp32_contents", LINEAR[0])),
        "words": _infer("words", ("text", "BYTES", [2, 1], "bytes_contents", [b"a", b"\xc3\xa9"])),
        "cube": _infer("cube", ("cells", "UINT8", [2, 2, 3], "uint_contents", [*range(12)])),
        "line": _infer("line", ("x", "FP32", [300, 1], "fp32_contents", [*range(300)])),
        "none": _infer("none", ("x", "FP32", [1, 1], "fp32_contents", [1])),
        "wrong": _infer("line", ("x", "FP32", [2, 1], "fp32_contents", [1])),
    }
    for name, request in asked.items():
        yield _call(door, OIP + "ModelInfer", request)._replace(name=name)
    stream = b"".join(message(each.SerializeToString()) for each in asked.values())
    path = OIP + "ModelStreamInfer"
    yield Call(door, path, tuple(grpc_fields(path)), stream)
    large = _infer("cube", ("cells", "UINT8", [3000, 2, 3], "uint_contents", [7] * 18_000))
    yield _call(door, OIP + "ModelInfer", large)
    unknown = OIP + "Nothing"
    yield Call(door, unknown, tuple(grpc_fields(unknown)), message(b""))
    twice = _call(door, OIP + "ServerLive", proto("inference.ServerLiveRequest")())
    yield twice._replace(data=twice.data * 2)


def _infer(model: str, *tensors: tuple[str, str, list[int], str, list[Any]]) -> Any:
    request = proto("inference.ModelInferRequest")(model_name=model)
    for name, datatype, shape, contents, values in tensors:
        tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
        getattr(tensor.contents, contents).extend(values)
    return request


def _tfserving(door: str) -> Iterator[Call]:
    """TensorFlow Serving's."""
    if door not in (MAIN, "tfserving"):
        return
    predict = proto("tensorflow.serving.PredictRequest")()
    predict.model_spec.name = "line"
    tensor = predict.inputs["x"]
    tensor.dtype = 1
    for size in (3, 1):
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.extend([1, 2, 3])
    yield _call(door, PREDICTION + "Predict", predict)
    metadata = proto("tensorflow.serving.GetModelMetadataRequest")()
    metadata.model_spec.name = "line"
    yield _call(door, PREDICTION + "GetModelMetadata", metadata)
    status = proto("tensorflow.serving.GetModelStatusRequest")()
    status.model_spec.name = "line"
    yield _call(door, STATUS, status)


def _call(door: str, path: str, request: Any) -> Call:
    return Call(door, path, tuple(grpc_fields(path)), message(request.SerializeToString()))
