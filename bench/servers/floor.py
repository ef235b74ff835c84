"""The ceiling: an asyncio protocol over httptools with a model behind it and nothing else.

It reads no URL, no header and no signature, and answers every body with the model's output.
No Python server that does its job can be expected to be faster, so others are held against it.

    python -m bench.servers.floor MODEL.onnx PORT oip|plain
"""

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools
import msgspec
import numpy as np
import onnxruntime as ort
import orjson
import uvloop
from typing_extensions import override

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
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
                "shape": array.shape,
                "datatype": "INT64" if array.dtype == np.int64 else "FP32",
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


class Floor(asyncio.Protocol):
    """One connection; httptools calls `on_body` and `on_message_complete`."""

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
        self.transport.write(HEAD % len(out) + out)


def load(path: Path, dialect: str) -> Answer:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Oip(session, path.stem).answer if dialect == "oip" else Plain(session).answer


async def serve(answer: Answer, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Floor(answer), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="The ceiling for a Python model server.")
    parser.add_argument("model", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("dialect", choices=["oip", "plain"])
    options = parser.parse_args()
    uvloop.run(serve(load(options.model, options.dialect), options.port))


if __name__ == "__main__":
    main()
