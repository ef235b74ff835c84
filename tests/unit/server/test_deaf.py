"""inferd.server.deaf: a listening socket that hears nobody new, and loses nobody."""

import socket

import pytest

from inferd.server.deaf import deafen


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_who_was_heard_comes_in_and_nobody_else(family: socket.AddressFamily, host: str) -> None:
    """A connection made before is accepted, and speaks as it likes; one begun after it is not
    made."""
    with socket.socket(family) as listener, socket.socket(family) as late:
        listener.bind((host, 0))
        listener.listen(8)
        with socket.create_connection(listener.getsockname()[:2]) as early:
            deafen(listener)
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname()[:2])
            accepted, _ = listener.accept()
            with accepted:
                early.sendall(b"hello")
                assert accepted.recv(5) == b"hello"
                accepted.sendall(b"you")
                assert early.recv(3) == b"you"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_unix_socket_is_left_alone() -> None:
    """It has no packets to drop."""
    with socket.socket(socket.AF_UNIX) as listener:
        deafen(listener)


def test_a_system_without_filters_is_left_alone() -> None:
    """The end goes on without: a sandbox may know none."""
    with socket.socket() as listener:
        pass
    deafen(listener)
