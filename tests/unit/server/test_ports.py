"""inferd.server.ports: one address for several workers, and for nobody else."""

import socket

import pytest

from inferd.errors import AddressTaken
from inferd.server.ports import bind, share


def test_each_share_gets_connections() -> None:
    """All are at the address that was bound, and the system gives each some of what comes."""
    shares = share(bind("127.0.0.1", 0), 3)
    address = shares[0].getsockname()
    assert {each.getsockname() for each in shares} == {address}
    for each in shares:
        each.listen(128)
        each.setblocking(False)
    clients = [socket.create_connection(address) for _ in range(64)]
    accepted = []
    for each in shares:
        while True:
            try:
                accepted.append((each, each.accept()[0]))
            except BlockingIOError:
                break
    assert len(accepted) == len(clients)
    assert {each for each, _ in accepted} == set(shares)
    for _, connection in accepted:
        connection.close()
    for end in (*clients, *shares):
        end.close()


def test_a_shared_address_is_taken() -> None:
    """Another server cannot have it, nor share it."""
    shares = share(bind("127.0.0.1", 0), 2)
    with pytest.raises(AddressTaken):
        bind("127.0.0.1", shares[0].getsockname()[1])
    for each in shares:
        each.close()


def test_who_waits_is_kept_while_a_copy_is_open() -> None:
    """A connection that nobody accepted outlives the worker whose socket it waits in."""
    (listener,) = share(bind("127.0.0.1", 0), 1)
    listener.listen(8)
    workers = listener.dup()
    with socket.create_connection(listener.getsockname()) as client:
        workers.close()
        accepted, _ = listener.accept()
        accepted.sendall(b"hello")
        assert client.recv(5) == b"hello"
        accepted.close()
    listener.close()
