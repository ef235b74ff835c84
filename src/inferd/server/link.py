"""The line between the supervisor and one worker: what they say to each other, each message behind
its length, over a socket that never blocks."""

import socket
import struct
from contextlib import suppress
from typing import TypeAlias

import msgspec

from inferd.statistics import Statistics
from inferd.wire.messages import Failed

LENGTH = struct.Struct("<I")
NONSENSE = msgspec.MsgspecError, UnicodeDecodeError, RecursionError  # raised by decoders
WINDOW = 256 * 1024  # bytes that are read at once: more than most beats of hundreds of models


class VersionStatistics(msgspec.Struct, frozen=True):
    """What one version of a model has done in one worker, or in all."""

    model: str
    version: str
    statistics: Statistics


class Load(msgspec.Struct, frozen=True, tag=True):
    """Serve the model at *path*, which is absolute."""

    path: str
    name: str | None = None


class Unload(msgspec.Struct, frozen=True, tag=True):
    """Serve a model, or one version of it, no more."""

    model: str
    version: str | None = None


class Label(msgspec.Struct, frozen=True, tag=True):
    """Let *label* stand for a version of a model."""

    model: str
    label: str
    version: str


Change: TypeAlias = Load | Unload | Label


# From a worker.


class Doing(msgspec.Struct, frozen=True, tag=True):
    """What is being done while it loads, in a few words."""

    text: str


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """Its models are ready, and it waits for ``Open``. Otherwise it says ``Failed``, and ends."""

    banner: str
    """What a person is to see of them."""


class Serving(msgspec.Struct, frozen=True, tag=True):
    """It answers."""


class Beat(msgspec.Struct, frozen=True, tag=True):
    """A sign of life, and what it has done so far."""

    statistics: tuple[VersionStatistics, ...] = ()


class Ask(msgspec.Struct, frozen=True, tag=True):
    """It wants the whole server's statistics."""

    number: int


class Reported(msgspec.Struct, frozen=True, tag=True):
    """What it has done until now, as ``Report`` asked."""

    number: int
    statistics: tuple[VersionStatistics, ...]


class Prepared(msgspec.Struct, frozen=True, tag=True):
    """A change can be made, or why not."""

    change: int
    failure: Failed | None = None


class Applied(msgspec.Struct, frozen=True, tag=True):
    """A change was made."""

    change: int


class Leaving(msgspec.Struct, frozen=True, tag=True):
    """It ends now; so many connections did not end in time."""

    cut_off: int


# To a worker.


class Open(msgspec.Struct, frozen=True, tag=True):
    """Let clients in."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The server stops: tell it as not ready, let nobody in after a while, answer, and end."""


class Retire(msgspec.Struct, frozen=True, tag=True):
    """Another worker has this one's place: let nobody in, answer, and end."""


class Hurry(msgspec.Struct, frozen=True, tag=True):
    """Wait no longer for what is in progress."""


class Report(msgspec.Struct, frozen=True, tag=True):
    """Say ``Reported``."""

    number: int


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The whole server's statistics, as ``Ask`` asked."""

    number: int
    statistics: tuple[VersionStatistics, ...]


class Prepare(msgspec.Struct, frozen=True, tag=True):
    """Get a change ready, and show nobody yet."""

    number: int
    change: Change


class Commit(msgspec.Struct, frozen=True, tag=True):
    """Make the change that was prepared."""

    number: int


class Rollback(msgspec.Struct, frozen=True, tag=True):
    """Forget the change that was prepared."""

    number: int


FromWorker: TypeAlias = (
    Doing | Loaded | Failed | Serving | Beat | Ask | Reported | Prepared | Applied | Leaving
)
ToWorker: TypeAlias = Open | Stop | Retire | Hurry | Report | Answer | Prepare | Commit | Rollback
Message: TypeAlias = FromWorker | ToWorker


class Line:
    """One end of the line. Nothing here waits."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._unread, self._unsent = bytearray(), bytearray()

    def fileno(self) -> int:
        """For whoever waits until there is something to read, or room to write."""
        return self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether something waits for ``flush``."""
        return bool(self._unsent)

    def send(self, message: Message) -> None:
        """Say *message*; what the socket does not take yet waits for ``flush``.

        That nobody listens any more is told by ``receive`` alone.
        """
        body = _encoder.encode(message)
        self._unsent += LENGTH.pack(len(body)) + body
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                return
            del self._unsent[:sent]

    def receive(self) -> list[Message]:
        """The messages that have come. Raises ConnectionError at the end, once all were returned,
        and where what comes makes no sense."""
        ended = self._read()
        try:
            messages = self._cut()
        except NONSENSE as error:
            raise ConnectionError("the other side makes no sense") from error
        if ended and not messages:
            raise ConnectionError("the other side hung up")
        return messages

    def finish(self, seconds: float) -> None:
        """Send what waits, and give the other side so long to take it."""
        with suppress(OSError):
            self._socket.settimeout(seconds)
            self._socket.sendall(self._unsent)
        self._unsent.clear()

    def close(self) -> None:
        """End the line for both sides."""
        self._socket.close()

    def _read(self) -> bool:
        """Read all that there is; whether the other side has ended."""
        try:
            while piece := self._socket.recv(WINDOW):
                self._unread += piece
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _cut(self) -> list[Message]:
        """Take the whole messages out of what was read."""
        messages, unread, at = list[Message](), self._unread, 0
        with memoryview(unread) as view:
            while len(unread) >= at + LENGTH.size:
                start = at + LENGTH.size
                end = start + LENGTH.unpack_from(unread, at)[0]
                if len(unread) < end:
                    break
                messages.append(_decoder.decode(view[start:end]))
                at = end
        del unread[:at]
        return messages


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
