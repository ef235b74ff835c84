"""Servers that do on purpose what real ones do by accident, for the tests of the open-loop load."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[int], bytes | None]
"""Of the number of the request; None: the connection ends instead."""
END = b"\r\n\r\n"


def reply(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + END + body


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server of one thread that takes one request at a time, from all connections; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stopped = threading.Event()
        thread = threading.Thread(target=_serve, args=(listener, answer, stopped))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/predict"
        finally:
            stopped.set()
            thread.join()


def _serve(listener: socket.socket, answer: Answer, stopped: threading.Event) -> None:
    import selectors

    number = 0
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while not stopped.is_set():
            for key, _ in selector.select(0.02):
                if key.fileobj is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                    continue
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if not _serve_one(connection, answer, number):
                    selector.unregister(connection)
                    connection.close()
                number += 1
        for key in list(selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket) and key.fileobj is not listener:
                key.fileobj.close()


def _serve_one(connection: socket.socket, answer: Answer, number: int) -> bool:
    """Whether the connection lives on."""
    try:
        if not connection.recv(65536):
            return False
        said = answer(number)
        if said is None:
            return False
        connection.sendall(said)
    except ConnectionError:
        return False
    return b"connection: close" not in said


def stalls(once: float, at: int) -> Answer:
    """Answers at once, but for one time."""

    def answer(number: int) -> bytes:
        if number == at:
            time.sleep(once)
        return reply()

    return answer
