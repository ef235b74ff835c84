"""The ceiling of gRPC: an asyncio protocol that takes HTTP/2 apart by hand, with a model behind it
and nothing else.

It reads no path and no field of a head, keeps to no window of its client and defends itself against
nobody, and answers every message with the model's output, in the very bytes of inferd's answer.

    python -m bench.servers.grpc_floor MODEL.onnx PORT
"""

import argparse
import asyncio
from functools import partial
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
import onnxruntime as ort
import uvloop
from hpack import Decoder
from hpack.table import HeaderTable
from typing_extensions import override

from inferd.wire.proto import message

DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
HEAD = Struct(">IBI")  # the length in three bytes and the kind in one, the flags, the stream
PREFIX_BYTES = 5  # of a message
PREFACE_BYTES = 24
MOST_STREAMS, WINDOW = 1000, 1 << 24
GREETING = Struct(">HIHI").pack(3, MOST_STREAMS, 4, WINDOW)
CREDIT_FROM = 1 << 20


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def credit(size: int) -> bytes:
    """So many bytes more on the whole connection."""
    return frame(WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big"))


# Fields as they are written out, never to be remembered: the first two names are in HPACK's table.
BEGIN = b"\x88\x0f\x10\x10application/grpc"  # :status 200, content-type
END = b"\x00\x0bgrpc-status\x010"


class Oip:
    """Answers a ModelInferRequest whose one tensor is raw."""

    def __init__(self, session: ort.InferenceSession, name: str) -> None:
        self.session, self.name = session, name
        self.outputs = [output.name for output in session.get_outputs()]
        self.request = message("inference.ModelInferRequest")
        self.response = message("inference.ModelInferResponse")

    def answer(self, body: bytes) -> bytes:
        request = self.request.FromString(body)
        tensor = request.inputs[0]
        array = np.frombuffer(request.raw_input_contents[0], np.float32)
        arrays = self.session.run(self.outputs, {tensor.name: array.reshape(tuple(tensor.shape))})
        response = self.response(model_name=self.name, model_version="1", id=request.id)
        for name, each in zip(self.outputs, arrays):  # noqa: B905 - the check costs, and this is the ceiling
            datatype = "INT64" if each.dtype == np.int64 else "FP32"
            response.outputs.add(name=name, datatype=datatype).shape.extend(each.shape)
            response.raw_output_contents.append(each.tobytes())
        out: bytes = response.SerializeToString()
        return out


class CountedTable(HeaderTable):
    """The dynamic table, with a count of its changes: an insert may evict, so its length says
    nothing."""

    changes = 0

    @override
    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)


class GrpcFloor(asyncio.Protocol):
    """One connection."""

    def __init__(self, codec: Oip) -> None:
        self.answer = codec.answer

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport, self.received = transport, 0
        self.rest, self.started = b"", False
        self.decoder, self.table = Decoder(), CountedTable()
        self.decoder.header_table = self.table
        self.blocks: dict[bytes, Any] = {}
        self.streams: dict[int, list[Any]] = {}
        transport.write(frame(SETTINGS, 0, 0, GREETING) + credit(WINDOW))

    @override
    def data_received(self, data: bytes) -> None:
        data, at = self.rest + data, 0
        if not self.started:
            if len(data) < PREFACE_BYTES:
                self.rest = data
                return
            self.started, at = True, PREFACE_BYTES
        out: list[bytes] = []
        while len(data) - at >= HEAD.size:
            word, flags, stream = HEAD.unpack_from(data, at)
            begin, end = at + HEAD.size, at + HEAD.size + (word >> 8)
            if end > len(data):
                break
            self.on_frame(word & 0xFF, flags, stream, data[begin:end], out)
            at = end
        self.rest = data[at:]
        if self.received > CREDIT_FROM:
            out.append(credit(self.received))
            self.received = 0
        if out:
            self.transport.write(b"".join(out))

    def on_frame(self, kind: int, flags: int, stream: int, data: bytes, out: list[bytes]) -> None:
        if kind == HEADERS:
            self.streams[stream] = [self.fields(data)]
        elif kind == DATA:
            self.received += len(data)
            self.streams[stream].append(data)
            if flags & END_STREAM:
                body = b"".join(self.streams.pop(stream)[1:])
                answer = self.answer(body[PREFIX_BYTES:])
                whole = b"\0" + len(answer).to_bytes(4, "big") + answer
                out += (
                    frame(HEADERS, END_HEADERS, stream, BEGIN),
                    frame(DATA, 0, stream, whole),
                    frame(HEADERS, END_HEADERS | END_STREAM, stream, END),
                )
        elif kind in (SETTINGS, PING) and not flags & ACK:
            out.append(frame(kind, ACK, 0, data if kind == PING else b""))

    def fields(self, block: bytes) -> Any:
        """What *block* says: the same bytes say the same until the table changes."""
        known = self.blocks.get(block)
        if known is None:
            before = self.table.changes
            known = self.decoder.decode(block)
            if self.table.changes == before:
                self.blocks[block] = known
            else:
                self.blocks.clear()
        return known


def load(path: Path) -> Oip:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Oip(session, path.stem)


async def serve(codec: Oip, port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(GrpcFloor, codec), "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="The ceiling for a Python model server by gRPC.")
    parser.add_argument("model", type=Path)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    uvloop.run(serve(load(options.model), options.port))


if __name__ == "__main__":
    main()
