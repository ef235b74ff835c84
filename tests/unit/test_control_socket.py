"""inferd.server.control_socket: where a running server is asked to change."""

import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from inferd.errors import ArtifactNotFound, ConfigError, NotReady
from inferd.server import unix
from inferd.server.control import Abandon, Control, Told
from inferd.server.control_socket import (
    LONGEST,
    Answer,
    ControlSocket,
    List,
    Listed,
    Outcome,
    Question,
    Reload,
    ask,
    find,
    framed,
    is_private,
    private_folder,
    servers,
)
from inferd.server.link import LENGTH, Change, Load, Unload
from inferd.wire.messages import Failed, failed, raised

T = TypeVar("T")


class Asked:
    """A server without workers, whose selector turns while it is asked."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.reloads: list[Told] = []
        scan = _nothing_there
        self.control = Control([], None, lambda worker, why: None, scan)
        self.socket = ControlSocket(self.selector, self.control, self.reload, "http://here")

    def reload(self, told: Told) -> None:
        self.reloads.append(told)
        if len(self.reloads) == 1:
            told(None)

    def serve(self, until: Callable[[], object], seconds: float = 5.0) -> None:
        """Turn until that is true."""
        for _ in range(int(seconds / 0.01)):
            if until():
                return
            for key, events in self.selector.select(0.01):
                key.data(events)
        pytest.fail("it did not become true in time")

    def ask(self, path: Path, question: Question) -> Answer:
        """Ask from another thread, as from another process."""
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(ask(path, question)))
        thread.start()
        self.serve(lambda: not thread.is_alive())
        thread.join()
        return answers[0]


def _nothing_there(load: Load) -> frozenset[tuple[str, str]]:
    raise ArtifactNotFound(f"there is no model at {load.path}", cure="Beside it: nothing.")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Sockets of this test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[Asked]:
    asked = Asked()
    yield asked
    asked.socket.close()
    asked.control.close()
    asked.selector.close()


def test_the_server_is_found_and_says_what_it_serves(
    server: Asked, environment: dict[str, str]
) -> None:
    """Its socket is in a folder that is this user's alone, and so is the socket."""
    path = find(None, environment)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    assert server.ask(path, List()) == Listed("http://here", [])
    assert find(os.getpid(), environment) == path


def test_an_error_crosses_with_its_texts(server: Asked, environment: dict[str, str]) -> None:
    """It is the one that a start would give."""
    answer = server.ask(find(None, environment), Load("/nowhere"))
    assert isinstance(answer, Outcome)
    assert answer.failure is not None
    error = raised(answer.failure)
    assert isinstance(error, ArtifactNotFound)
    assert str(error) == "there is no model at /nowhere. Beside it: nothing."


def test_an_answer_waits_until_it_holds(server: Asked, environment: dict[str, str]) -> None:
    """A reload is answered when it is told as done, or why not; others are answered meanwhile."""
    path = find(None, environment)
    assert server.ask(path, Reload()) == Outcome(None)
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(ask(path, Reload())))
    thread.start()
    server.serve(lambda: len(server.reloads) == 2)
    assert server.ask(path, List()) == Listed("http://here", [])
    assert not answers
    failure: Failed = failed(ConfigError("a setting is wrong"))
    server.reloads[1](failure)
    server.serve(lambda: not thread.is_alive())
    thread.join()
    assert answers == [Outcome(failure)]


def test_whoever_waits_when_the_server_ends_is_told(
    server: Asked, environment: dict[str, str]
) -> None:
    """A closed connection is no answer."""
    errors: list[str] = []

    def question() -> None:
        try:
            ask(path, Reload())
        except NotReady as error:
            errors.append(str(error))

    path = find(None, environment)
    thread = threading.Thread(target=question)
    thread.start()
    server.reloads.append(lambda failure: None)  # so that the next one is not told at once
    server.serve(lambda: len(server.reloads) == 2)
    server.socket.close()
    thread.join(5)
    assert errors == ["the server ended before it answered. Its log may say why."]
    assert servers(environment) == {}


def test_whoever_waits_for_a_change_is_told_why_it_was_not_made(
    server: Asked, environment: dict[str, str]
) -> None:
    """The reason arrives although the server ends in that very moment."""
    path = find(None, environment)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(framed(Unload("m")))
        server.ask(path, List())  # which comes after it
        server.control.close()
        server.socket.close()
        assert b"the server stopped before the change was made" in client.recv(LONGEST)


def test_what_is_no_text_cannot_be_asked(tmp_path: Path) -> None:
    """A file's name may be any bytes; a message's text may not."""
    with pytest.raises(ConfigError, match="is no UTF-8"):
        ask(tmp_path / "1.sock", Load(os.fsdecode(b"/\xff.onnx")))


NO_TEXT = b"\x81\xa4type\xa1\xff"
DEEP = b"\x82\xa4type\xa4List\xa1x" + b"\x91" * 100_000 + b"\xc0"


@pytest.mark.parametrize("said", [b"", b"\xff\xff", b"\x81\xa4type\xa6Format", NO_TEXT, DEEP])
def test_what_it_does_not_know_is_told(
    server: Asked, environment: dict[str, str], said: bytes
) -> None:
    """A client of another version is answered, too."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(find(None, environment)))
        client.sendall(LENGTH.pack(len(said)) + said)
        client.setblocking(False)
        told = bytearray()

        def ended() -> bool:
            try:
                piece = client.recv(LONGEST)
            except BlockingIOError:
                return False
            told.extend(piece)
            return not piece

        server.serve(ended)
    assert b"does not know that question" in told


def test_a_client_that_leaves_or_says_too_much_is_let_go(
    server: Asked, environment: dict[str, str]
) -> None:
    """Nothing is kept of it."""
    path = str(find(None, environment))
    for said in (b"", b"x" * (LONGEST + 1)):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.setblocking(False)
            left = memoryview(said)

            def sent() -> bool:
                nonlocal left
                try:
                    left = left[client.send(left) :]
                except BlockingIOError:
                    return False
                except OSError:
                    return True
                return not left

            server.serve(sent)
        server.serve(lambda: not server.socket.conversations)


def test_a_client_that_goes_away_gives_up_what_it_asked_for(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would be told; and the next one need not wait for it."""
    server = Asked()
    changes: list[Change] = []
    outcomes: list[Failed | None] = []
    make = server.control.change

    def note(change: Change, _: Told) -> Abandon:
        changes.append(change)
        return make(change, outcomes.append)

    monkeypatch.setattr(server.control, "change", note)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(find(None, environment)))
        client.sendall(framed(Unload("m")))
        server.serve(lambda: changes)
        assert not outcomes
    server.serve(lambda: outcomes)
    assert "went away" in str(raised(outcomes[0] or failed(NotReady("nobody"))))
    assert not server.socket.conversations
    server.socket.close()
    server.selector.close()


def test_a_server_that_was_killed_is_not_found(environment: dict[str, str]) -> None:
    """Its file is removed."""
    folder = private_folder(environment)
    left = folder / "4711.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(left))
    assert servers(environment) == {}
    assert not left.exists()
    with pytest.raises(NotReady, match=r"no inferd server of this user runs\. Start one"):
        find(None, environment)
    with pytest.raises(NotReady, match="process 4711: expected none"):
        find(4711, environment)


def test_of_several_one_must_be_named(server: Asked, environment: dict[str, str]) -> None:
    """The error names them, with their addresses."""
    own = find(None, environment)
    other = own.with_name("1.sock")
    os.link(own, other)
    errors: list[str] = []

    def search() -> None:
        with pytest.raises(ConfigError) as caught:
            find(None, environment)
        errors.append(str(caught.value))

    thread = threading.Thread(target=search)
    thread.start()
    server.serve(lambda: not thread.is_alive())
    thread.join()
    expected = f"--pid 1 (http://here), --pid {os.getpid()} (http://here)"
    assert errors == [f"several inferd servers run: expected {expected}"]
    assert find(1, environment) == other


def test_a_folder_that_others_can_write_to_is_not_used(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """In /tmp anybody may have made it first: the next place is taken, or none."""
    (tmp_path / "inferd").mkdir(mode=0o777)
    (tmp_path / "inferd").chmod(0o777)
    chosen = private_folder(environment)
    assert chosen.parent == tmp_path / "tmp"
    chosen.rmdir()
    chosen.symlink_to(tmp_path)
    assert not is_private(chosen)
    with pytest.raises(ConfigError, match="no folder that is this user's alone"):
        private_folder(environment)


def test_a_server_that_cannot_be_asked_serves_all_the_same(
    environment: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, once, and is closed like any other."""
    (tmp_path / "inferd").write_text("no folder")
    (tmp_path / "tmp" / f"inferd-{os.getuid()}").write_text("no folder")
    asked = Asked()
    asked.socket.forget()
    asked.socket.close()
    asked.selector.close()
    assert "inferd reload and inferd models cannot reach this server" in caplog.text


def test_a_server_that_begins_is_not_taken_for_a_dead_one(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds its file before it listens there waits with removing it."""
    chmod, threads = os.chmod, list[threading.Thread]()

    def search_meanwhile(path: str, mode: int) -> None:
        threads.append(threading.Thread(target=servers, args=(environment,)))
        threads[0].start()
        threads[0].join(0.2)
        chmod(path, mode)

    monkeypatch.setattr(unix, "os", _Os(search_meanwhile))
    server = Asked()
    threads[0].join()
    assert list(servers(environment)) == [os.getpid()]
    server.socket.close()
    server.control.close()
    server.selector.close()


class _Os:
    """The module, with another ``chmod``."""

    def __init__(self, chmod: Callable[[str, int], None]) -> None:
        self.chmod = chmod

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def test_a_path_that_is_too_long_is_told_without_a_cure_that_is_none(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The place of this socket is no setting."""
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    asked = Asked()
    asked.socket.close()
    asked.selector.close()
    assert "AF_UNIX path too long" in caplog.text
    assert "--unix" not in caplog.text
