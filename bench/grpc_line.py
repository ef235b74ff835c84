"""A connection over which tensors go to inferd by gRPC: the client's side of HTTP/2, as little of
it as a tensor needs.

grpcio's client would cost more than the server that is measured, and the REST tensors it is held
beside come from a bare socket, too. So does this one; what it grants the server, and how large its
frames may be, is what grpcio's client grants.
"""

import struct
from typing import Final

from bench.errors import BenchError
from bench.lines import HEAD_LIMIT, NAME, OUTPUTS, Connected, blob, check
from bench.messages import PREFIX, framed
from bench.servers.socket_echo import fill

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
HEAD: Final = struct.Struct(">IBI")  # the length in three bytes and the kind in one, flags, stream
SETTING: Final = struct.Struct(">HI")
INITIAL_WINDOW, FRAME_SIZE = 4, 5
GRANTED: Final = 4 << 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FIRST_WINDOW, FIRST_FRAME = 65535, 16384  # of a server that has said nothing yet
PATH = b"/inference.GRPCInferenceService/ModelInfer"
FIELDS: Final = (
    b"\x83\x86\x04%c%b\x01\x09localhost"  # POST, http, the path, the authority
    b"\x0f\x10\x10application/grpc\x00\x02te\x08trailers"
) % (len(PATH), PATH)
WELL: Final = b"\x0bgrpc-status\x010"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


class GrpcLine(Connected):
    """To inferd, in raw contents."""

    def __init__(self, port: int, size: int) -> None:
        super().__init__(port)
        self._sent, self._back = blob(size), bytearray(size + HEAD_LIMIT)
        self._bodies = {echo: self._body(name) for echo, name in OUTPUTS.items()}
        self._checked: set[bool] = set()
        self._stream, self._got, self._ended = -1, 0, False
        self._first, self._frame = FIRST_WINDOW, FIRST_FRAME
        self._window, self._stream_window = FIRST_WINDOW, 0
        granted = SETTING.pack(INITIAL_WINDOW, GRANTED) + SETTING.pack(FRAME_SIZE, GRANTED)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, granted) + _credit(0, GRANTED))

    def carry(self, echo: bool) -> None:
        """One tensor there, and one, or one value, back."""
        self._stream += 2
        self._got, self._ended, self._stream_window = 0, False, self._first
        self.socket.sendall(frame(HEADERS, END_HEADERS, self._stream, FIELDS))
        self._send(memoryview(self._bodies[echo]))
        while not self._ended:
            self._read()
        if echo not in self._checked:
            check(bytes(self._back[PREFIX.size : self._got]), self._sent, echo)
            self._checked.add(echo)

    def _body(self, output: str) -> bytes:
        from tritonclient.grpc import service_pb2

        request = service_pb2.ModelInferRequest(model_name=NAME)
        request.inputs.add(name="x", datatype="FP32", shape=[1, len(self._sent) // 4])
        request.outputs.add(name=output)
        request.raw_input_contents.append(self._sent)
        return framed(request.SerializeToString())

    def _send(self, body: memoryview) -> None:
        """As fast as the server's windows allow."""
        while body:
            size = min(len(body), self._frame, self._window, self._stream_window)
            if size <= 0:
                self._read()
                continue
            self._window -= size
            self._stream_window -= size
            flags = END_STREAM if size == len(body) else 0
            head = HEAD.pack(size << 8 | DATA, flags, self._stream)
            sent = self.socket.sendmsg([head, body[:size]])
            if sent < len(head):
                raise BenchError("the socket took less than a frame's head")
            self.socket.sendall(body[sent - len(head) : size])
            body = body[size:]

    def _read(self) -> None:
        """Take one frame of the server."""
        word, flags, stream = HEAD.unpack(self._take(HEAD.size))
        kind, size = word & 0xFF, word >> 8
        if kind == DATA:
            self._read_data(size)
            return
        payload = self._take(size)
        match kind:
            case _ if kind == SETTINGS and not flags & ACK:
                self._read_settings(payload)
            case _ if kind == PING and not flags & ACK:
                self.socket.sendall(frame(PING, ACK, 0, payload))
            case _ if kind == WINDOW_UPDATE:
                self._read_credit(stream, int.from_bytes(payload, "big"))
            case _ if kind == HEADERS and flags & END_STREAM:
                if WELL not in payload:
                    raise BenchError(f"the server's trailers are {payload!r}, expected status 0")
                self._ended = True
            case _ if kind in (RST_STREAM, GOAWAY):
                raise BenchError(f"the server breaks off: frame {kind}, {payload!r}")

    def _read_data(self, size: int) -> None:
        view = memoryview(self._back)[self._got : self._got + size]
        if len(view) < size or not fill(self.socket, view):
            raise BenchError("the server closed its connection, or answers too much")
        self._got += size
        self.socket.sendall(_credit(0, size) + _credit(self._stream, size))

    def _read_settings(self, payload: bytes) -> None:
        for setting, value in SETTING.iter_unpack(payload):
            if setting == INITIAL_WINDOW:
                self._stream_window += value - self._first
                self._first = value
            elif setting == FRAME_SIZE:
                self._frame = value
        self.socket.sendall(frame(SETTINGS, ACK, 0))

    def _read_credit(self, stream: int, more: int) -> None:
        if stream == 0:
            self._window += more
        elif stream == self._stream:
            self._stream_window += more

    def _take(self, size: int) -> bytes:
        taken = bytearray(size)
        if not fill(self.socket, memoryview(taken)):
            raise BenchError("the server closed its connection")
        return bytes(taken)


def _credit(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))
