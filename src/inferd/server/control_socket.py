"""Where ``inferd reload`` and ``inferd models`` ask: a Unix socket, for this user alone.

One question a connection, and one answer, each behind its length. A client that goes away before
the answer gives up what it asked for, as long as that is possible.
"""

import os
import selectors
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import msgspec

from inferd.errors import ConfigError, NotReady
from inferd.log import logger
from inferd.server import unix
from inferd.server.control import Abandon, Control, Served, Told, nothing
from inferd.server.link import LENGTH, NONSENSE, Label, Load, Unload
from inferd.wire.messages import Failed, failed

MODE = 0o700
BACKLOG = 16
LONGEST = 1 << 20  # bytes of a question: a path and a few names
CONNECT_SECONDS = 2.0  # a server that does not take a connection for so long is stopped


class Reload(msgspec.Struct, frozen=True, tag=True):
    """Read the settings again, and go on with new workers."""


class List(msgspec.Struct, frozen=True, tag=True):
    """Say what is served."""


class Outcome(msgspec.Struct, frozen=True, tag=True):
    """It holds in every worker, or, for that reason, in none."""

    failure: Failed | None = None


class Listed(msgspec.Struct, frozen=True, tag=True):
    """What is served, and where."""

    url: str
    models: list[Served]


Question: TypeAlias = Load | Unload | Label | Reload | List
Answer: TypeAlias = Outcome | Listed

_encoder = msgspec.msgpack.Encoder()
_questions: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where sockets may be, the best place first. A service and a shell of one user may differ in
    whether they have the first, so that both are looked into."""
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "inferd"
    yield Path(tempfile.gettempdir()) / f"inferd-{os.getuid()}"


def is_private(folder: Path) -> bool:
    """Whether nobody else can put something there: in /tmp anybody may have been quicker."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    closed = not stat.S_IMODE(found.st_mode) & 0o077
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and closed


def private_folder(environment: Mapping[str, str]) -> Path:
    """The first folder that is, or can be made, this user's alone. Raises ConfigError."""
    for folder in folders(environment):
        with suppress(OSError):
            folder.mkdir(MODE)
        if is_private(folder):
            return folder
    tried = " or ".join(map(str, folders(environment)))
    raise ConfigError("there is no folder that is this user's alone", expected=tried)


class ControlSocket:
    """The server's end. Registers itself with the supervisor's selector: a socket's ``data`` is a
    function that is called with the events that came."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        control: Control,
        reload: Callable[[Told], None],
        url: str,
    ) -> None:
        """Where no socket can be made, the server goes on without, and says so."""
        self.selector, self._control, self._reload, self._url = selector, control, reload, url
        self.conversations: set[Conversation] = set()
        self._place: unix.Place | None = None
        try:
            path = private_folder(os.environ) / f"{os.getpid()}.sock"
            self._listener, self._place = unix.bind(str(path), cure="")
        except (ConfigError, OSError) as error:
            logger.warning("inferd reload and inferd models cannot reach this server: %s", error)
            return
        self._listener.listen(BACKLOG)
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Take no more questions; those that still wait get no answer."""
        for each in tuple(self.conversations):
            each.close()
        if self._place:
            self.selector.unregister(self._listener)
            self._listener.close()
            self._place.remove()
            self._place = None

    def forget(self) -> None:
        """In a process that was forked: leave all this to the other one, whose selector this is."""
        for each in self.conversations:
            each.socket.close()
        if self._place:
            self._listener.close()

    def answer(self, question: Question, then: Callable[[Answer], None]) -> Abandon:
        """Do what is asked, and *then* say what came of it. What is returned gives that up."""
        match question:
            case List():
                then(Listed(self._url, self._control.served()))
            case Reload():
                self._reload(lambda failure: then(Outcome(failure)))
            case _:
                return self._control.change(question, lambda failure: then(Outcome(failure)))
        return nothing

    def _accept(self, _: int) -> None:
        with suppress(OSError):  # the client is gone, or there are too many open files
            connection, _address = self._listener.accept()
            self.conversations.add(Conversation(connection, self))


class Conversation:
    """One question, and its answer."""

    def __init__(self, connection: socket.socket, owner: ControlSocket) -> None:
        connection.setblocking(False)
        self.socket, self._owner = connection, owner
        self._read, self._unsent = bytearray(), memoryview(b"")
        self._abandon: Abandon = nothing
        owner.selector.register(connection, selectors.EVENT_READ, self._listen)

    def close(self) -> None:
        """End it; a second call changes nothing."""
        if self in self._owner.conversations:
            self._owner.conversations.discard(self)
            self._owner.selector.unregister(self.socket)
            self.socket.close()

    def _listen(self, _: int) -> None:
        try:
            piece = self.socket.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._read += piece
        size = int.from_bytes(self._read[: LENGTH.size], "little") + LENGTH.size
        if not piece or len(self._read) > LONGEST:
            self.close()
            self._abandon()
        elif len(self._read) == size:
            self._ask(self._read[LENGTH.size :])

    def _ask(self, said: bytearray) -> None:
        try:
            question = _questions.decode(said)
        except NONSENSE:
            error = ConfigError(
                "this server does not know that question",
                cure="Ask with the inferd that the server was started with.",
            )
            self._say(Outcome(failed(error)))
        else:
            self._abandon = self._owner.answer(question, self._say)

    def _say(self, answer: Answer) -> None:
        if self in self._owner.conversations:
            self._abandon = nothing
            self._unsent = memoryview(framed(answer))
            self._owner.selector.modify(self.socket, selectors.EVENT_WRITE, self._send)
            self._send(0)  # at once: of a server that ends there is no further turn

    def _send(self, _: int) -> None:
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if not self._unsent:
            self.close()


def framed(message: Question | Answer) -> bytes:
    """*message*, behind its length."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def servers(environment: Mapping[str, str]) -> dict[int, Path]:
    """The sockets of this user's servers that run, by the server's process."""
    found: dict[int, Path] = {}
    for folder in filter(is_private, folders(environment)):
        for path in folder.glob("*.sock"):
            if path.stem.isdecimal() and _listens(path):
                found[int(path.stem)] = path
    return dict(sorted(found.items()))


def find(pid: int | None, environment: Mapping[str, str]) -> Path:
    """The socket of the server that is meant. Raises NotReady, or ConfigError where there are
    several."""
    running = servers(environment)
    if pid is not None and pid not in running:
        there = ", ".join(map(str, running)) or "none"
        raise NotReady(f"no inferd server of this user is process {pid}", expected=there)
    if not running:
        raise NotReady(
            "no inferd server of this user runs",
            cure="Start one with inferd serve; another user's is asked as that user.",
        )
    if pid is None and len(running) > 1:
        raise ConfigError(
            "several inferd servers run",
            expected=", ".join(f"--pid {each} ({_url(path)})" for each, path in running.items()),
        )
    return running[next(iter(running)) if pid is None else pid]


def ask(path: Path, question: Question) -> Answer:
    """Ask the server at *path*, and wait for its answer, which may take as long as loading a model.

    Raises NotReady where it ends before, and ConfigError for what cannot be asked.
    """
    try:
        said = framed(question)
    except UnicodeEncodeError:
        raise ConfigError("a path or a name is no UTF-8", cure="Rename the file.") from None
    with _connected(path) as connection:
        try:
            connection.sendall(said)
            connection.settimeout(None)
            told = b"".join(iter(lambda: connection.recv(LONGEST), b""))
            return _answers.decode(told[LENGTH.size :])
        except (OSError, *NONSENSE):
            raise NotReady(
                "the server ended before it answered", cure="Its log may say why."
            ) from None


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_SECONDS)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise NotReady("the server does not take questions", got=str(path)) from None
    return connection


def _listens(path: Path) -> bool:
    """Whether a server is there; one that was killed left its file, which is removed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as question:
        question.settimeout(CONNECT_SECONDS)
        try:
            question.connect(str(path))
        except ConnectionRefusedError:
            unix.remove_dead(str(path))
            return False
        except OSError:
            return False
    return True


def _url(path: Path) -> str:
    answer = ask(path, List())
    return answer.url if isinstance(answer, Listed) else "?"
