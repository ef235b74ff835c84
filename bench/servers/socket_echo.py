"""The floor of transfers: a plain socket that takes so many bytes and gives so many back.

    python -m bench.servers.socket_echo PORT

A question is two sizes of 8 bytes each, little-endian, and as many bytes as the first says; the
answer is the last of them, as many as the second says.
"""

import socket
import struct
import sys

SIZES = struct.Struct("<QQ")
BACKLOG = 8


def main() -> None:
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=BACKLOG) as listener:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                serve(connection)


def serve(connection: socket.socket) -> None:
    """Answer until the client leaves."""
    head, held = bytearray(SIZES.size), bytearray()
    while fill(connection, memoryview(head)):
        size, wanted = SIZES.unpack(head)
        if len(held) < size:
            held = bytearray(size)
        view = memoryview(held)[:size]
        if not fill(connection, view):
            return
        connection.sendall(view[size - wanted :])


def fill(connection: socket.socket, view: memoryview) -> bool:
    """Receive as many bytes as fit; False where the client left."""
    while view:
        got = connection.recv_into(view)
        if not got:
            return False
        view = view[got:]
    return True


if __name__ == "__main__":
    main()
