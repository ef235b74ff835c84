"""The ceiling: an asyncio protocol over httptools with a model behind it and nothing else.

It reads no URL, no header and no signature, and answers every body with the model's output, in the
very bytes of inferd's answer. No Python server that does its job can be expected to be faster, so
others are held against it.

    python -m bench.servers.floor MODEL.onnx PORT DIALECT
"""

import argparse
import asyncio
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import httptools
import msgspec
import numpy as np
import onnxruntime as ort
import orjson
import uvloop
from typing_extensions import override

from inferd.wire.json_tfserving import EXACT, singles

LENGTH = b"inference-header-content-length"
BINARY_HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: application/octet-stream\r\n"
    b"content-length: %%d\r\ninference-header-content-length: %%d\r\n\r\n"
)
HEAD = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: application/json\r\ncontent-length: %%d\r\n\r\n"
)
DIALECTS = ("oip", "oip-binary", "plain", "tfserving", "kserve", "mlflow")
DTYPES = {"FP32": np.float32}

Answer = Callable[[bytes], bytes]


class Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class OipRequest(msgspec.Struct):
    inputs: list[Tensor]


class PlainRequest(msgspec.Struct):
    features: list[Any]


class Oip:
    """Answers an Open Inference Protocol body."""

    def __init__(self, session: ort.InferenceSession, name: str) -> None:
        self.session, self.name = session, name
        self.outputs = [output.name for output in session.get_outputs()]
        self.decoder = msgspec.json.Decoder(OipRequest)

    def answer(self, body: bytes) -> bytes:
        request = self.decoder.decode(body)
        feeds = {
            t.name: np.array(t.data, dtype=DTYPES[t.datatype]).reshape(t.shape)
            for t in request.inputs
        }
        arrays = self.session.run(self.outputs, feeds)
        outputs = [
            {
                "name": name,
                "datatype": "INT64" if array.dtype == np.int64 else "FP32",
                "shape": array.shape,
                "data": array.ravel().tolist(),
            }
            for name, array in zip(self.outputs, arrays)  # noqa: B905 - the check costs, and this is the ceiling
        ]
        return orjson.dumps({"model_name": self.name, "model_version": "1", "outputs": outputs})


class Plain:
    """Answers `{"features": ...}`, one row or many."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.session = session
        self.input = session.get_inputs()[0].name
        self.outputs = [output.name for output in session.get_outputs()]
        self.decoder = msgspec.json.Decoder(PlainRequest)

    def answer(self, body: bytes) -> bytes:
        rows = np.array(self.decoder.decode(body).features, dtype=np.float32)
        if rows.ndim == 1:
            labels, shares = self.session.run(self.outputs, {self.input: rows.reshape(1, -1)})
            return orjson.dumps(
                {
                    "prediction": labels.tolist()[0],
                    "probability": shares.tolist()[0],
                    "model_version": "1",
                }
            )
        labels, shares = self.session.run(self.outputs, {self.input: rows})
        return orjson.dumps(
            {
                "predictions": labels.tolist(),
                "probabilities": shares.tolist(),
                "model_version": "1",
            }
        )


class InstancesRequest(msgspec.Struct):
    instances: list[Any]


class InputsRequest(msgspec.Struct):
    inputs: list[Any]


class TfServing:
    """Answers `{"instances": [...]}` by rows, each with all outputs."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.session = session
        self.input = session.get_inputs()[0].name
        self.label, self.shares = self.outputs = [o.name for o in session.get_outputs()]
        self.form = f'{{"{self.label}":%d,"{self.shares}":[%s]}}'
        self.decoder = msgspec.json.Decoder(InstancesRequest)

    def answer(self, body: bytes) -> bytes:
        rows = np.array(self.decoder.decode(body).instances, dtype=np.float32)
        labels, shares = self.session.run(self.outputs, {self.input: rows})
        if shares.size > EXACT:
            predictions = [
                {self.label: label, self.shares: share}
                for label, share in zip(labels.tolist(), shares)  # noqa: B905 - the check costs, and this is the ceiling
            ]
            return orjson.dumps({"predictions": predictions}, option=orjson.OPT_SERIALIZE_NUMPY)
        texts = [
            self.form % (label, ",".join(singles(share)))
            for label, share in zip(labels.tolist(), shares.tolist())  # noqa: B905 - as above
        ]
        return ('{"predictions":[' + ",".join(texts) + "]}").encode()


class KServe:
    """Answers `{"instances": [...]}` with the labels."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.session = session
        self.input = session.get_inputs()[0].name
        self.outputs = [session.get_outputs()[0].name]
        self.decoder = msgspec.json.Decoder(InstancesRequest)

    def answer(self, body: bytes) -> bytes:
        rows = np.array(self.decoder.decode(body).instances, dtype=np.float32)
        return orjson.dumps(
            {"predictions": self.session.run(self.outputs, {self.input: rows})[0].tolist()}
        )


class Mlflow(KServe):
    """Answers `{"inputs": [...]}` with the labels."""

    def __init__(self, session: ort.InferenceSession) -> None:
        super().__init__(session)
        self.inputs = msgspec.json.Decoder(InputsRequest)

    @override
    def answer(self, body: bytes) -> bytes:
        rows = np.array(self.inputs.decode(body).inputs, dtype=np.float32)
        return orjson.dumps(
            {"predictions": self.session.run(self.outputs, {self.input: rows})[0].tolist()}
        )


class Sized(msgspec.Struct):
    binary_data_size: int


class BinaryTensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: Sized


class BinaryRequest(msgspec.Struct):
    inputs: list[BinaryTensor]


class OipBinary:
    """Answers tensors that lie in memory after their document with such tensors."""

    def __init__(self, session: ort.InferenceSession, name: str) -> None:
        self.session, self.name = session, name
        self.outputs = [output.name for output in session.get_outputs()]
        self.decoder = msgspec.json.Decoder(BinaryRequest)

    def answer(self, body: bytes, length: int) -> tuple[int, bytes]:
        """The size of the answer's document, and the answer."""
        view, feeds = memoryview(body), {}
        at = length
        for t in self.decoder.decode(view[:length]).inputs:
            end = at + t.parameters.binary_data_size
            feeds[t.name] = np.frombuffer(view[at:end], DTYPES[t.datatype]).reshape(t.shape)
            at = end
        arrays = self.session.run(self.outputs, feeds)
        outputs = [
            {
                "name": name,
                "datatype": "INT64" if array.dtype == np.int64 else "FP32",
                "shape": array.shape,
                "parameters": {"binary_data_size": array.nbytes},
            }
            for name, array in zip(self.outputs, arrays)  # noqa: B905 - the check costs, and this is the ceiling
        ]
        document = orjson.dumps({"model_name": self.name, "model_version": "1", "outputs": outputs})
        return len(document), b"".join([document, *[array.tobytes() for array in arrays]])


class Floor(asyncio.Protocol):
    """One connection; httptools calls `on_body` and `on_message_complete`."""

    head = binary_head = b""
    """With the date; renewed every second."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.chunks: list[bytes] = []

    @override
    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def on_message_complete(self) -> None:
        out = self.answer(b"".join(self.chunks))
        self.chunks = []
        self.transport.write(self.head % len(out) + out)


class BinaryFloor(Floor):
    """A connection whose answers are whole, and whose requests say where the document ends."""

    def __init__(self, answer: Callable[[bytes, int], tuple[int, bytes]]) -> None:
        self.answer_binary = answer
        self.length = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == LENGTH:
            self.length = int(value)

    @override
    def on_message_complete(self) -> None:
        length, out = self.answer_binary(b"".join(self.chunks), self.length)
        self.chunks = []
        self.transport.write(self.binary_head % (len(out), length) + out)


def load(path: Path, dialect: str) -> Callable[[], Floor]:
    """What makes a connection that answers in *dialect*."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    match dialect:
        case "oip-binary":
            return partial(BinaryFloor, OipBinary(session, path.stem).answer)
        case "oip":
            return partial(Floor, Oip(session, path.stem).answer)
        case _:
            codec: dict[str, type[Plain | TfServing | KServe]] = {
                "plain": Plain,
                "tfserving": TfServing,
                "kserve": KServe,
                "mlflow": Mlflow,
            }
            return partial(Floor, codec[dialect](session).answer)


def tick(loop: asyncio.AbstractEventLoop) -> None:
    """Renew the date."""
    date = formatdate(usegmt=True).encode()
    Floor.head, Floor.binary_head = HEAD % date, BINARY_HEAD % date
    loop.call_later(1, tick, loop)


async def serve(make: Callable[[], Floor], port: int) -> None:
    loop = asyncio.get_running_loop()
    tick(loop)
    server = await loop.create_server(make, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="The ceiling for a Python model server.")
    parser.add_argument("model", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("dialect", choices=DIALECTS)
    options = parser.parse_args()
    uvloop.run(serve(load(options.model, options.dialect), options.port))


if __name__ == "__main__":
    main()
