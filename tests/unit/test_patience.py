"""inferd.lanes.patience: what the system has brought to a client, and what not."""

import asyncio
import socket

from inferd.lanes.patience import undelivered


def test_what_a_client_does_not_take_is_undelivered() -> None:
    """An answer is undelivered until the client takes it, wherever it waits meanwhile."""

    async def ask() -> list[int]:
        here, there = socket.socketpair()
        here.setblocking(False)
        there.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
        found = [undelivered(transport)]
        for size in (1, 10_000_000):  # in the system's buffer; and beyond it, in the transport
            transport.write(b"x" * size)
            await asyncio.sleep(0)
            found.append(undelivered(transport))
            while size:
                size -= len(await loop.sock_recv(there, size))
        found.append(undelivered(transport))
        transport.abort()
        there.close()
        return found

    nothing, little, much, again = asyncio.run(ask())
    assert nothing == again == 0
    assert little >= 1
    assert much > 1_000_000
