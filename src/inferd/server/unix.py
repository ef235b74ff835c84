"""Takes the path of a Unix socket to listen on, or says who has it."""

import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from inferd.errors import AddressTaken, ConfigError
from inferd.server.ports import owner

MODE = 0o600  # whoever may connect may use the models, and nobody is asked who they are
LOCK_SECONDS = 2.0  # another start holds the folder's lock for milliseconds


class Place(NamedTuple):
    """A socket's file, as it was made."""

    path: str
    identity: tuple[int, int]
    """Device and inode: the path may be another server's by now."""
    pid: int
    """Of the process that made it; its workers have it too, and end before."""

    def remove(self) -> None:
        """Remove the file, if it still is this one. For the process that made it."""
        with suppress(OSError):
            if self.pid == os.getpid() and identity(self.path) == self.identity:
                os.unlink(self.path)


CURE = "Choose another path with --unix."


def bind(path: str, cure: str = CURE) -> tuple[socket.socket, Place]:
    """A Unix socket that listens at *path*, for this user alone; a dead server's file is replaced.

    Raises AddressTaken where a living server listens there, or ConfigError.
    """
    path = os.path.abspath(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone_in(os.path.dirname(path)):
            _clear(path)
            listener.bind(path)
            place = Place(path, identity(path), os.getpid())
            # Nobody can connect before it listens, so nobody does under another mode.
            os.chmod(path, MODE)
            listener.listen(0)
    except (OSError, ValueError) as error:  # ValueError: a null character
        listener.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"cannot listen on {path!r}: {reason}", cure=cure) from None
    except ConfigError:
        listener.close()
        raise
    return listener, place


def remove_dead(path: str) -> None:
    """Remove the file that a dead server left at *path*; nothing where one lives, or begins to."""
    with suppress(ConfigError, OSError), _alone_in(os.path.dirname(path)):
        _clear(path)


def identity(path: str) -> tuple[int, int]:
    """Which file is at *path*."""
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _clear(path: str) -> None:
    """Remove the file that a dead server left at *path*. Raises ConfigError for any other file."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is there already, and is no socket", cure=CURE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as question:
        question.setblocking(False)  # where too many wait to be accepted, it would wait as well
        try:
            question.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        except BlockingIOError:
            pass
    by = owner("unix", lambda place: place == path)
    raise AddressTaken(f"{path} is taken{by}", cure=f"Stop that program, or c{CURE[1:]}")


@contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """Hold the folder's lock: of two starts, the second must see what the first has made, and not
    take its file for a dead server's before it listens."""
    import fcntl  # where there is none, there are no Unix sockets either

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        # A program may hold the lock for ever, for reasons of its own; that is no reason to fail.
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def url_of(path: str) -> str:
    """The URL of a Unix socket, as clients that know such sockets write it."""
    from urllib.parse import quote

    return f"http+unix://{quote(str(Path(path).absolute()), safe='')}"
