"""Where a server listens: the main address and the doors for other servers' clients, what is spoken
at each, and taking them all before anything else is done."""

import asyncio
import itertools
import selectors
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from inferd.config import CLOSED, DOORS, GRPC, Settings
from inferd.errors import ConfigError
from inferd.log import logger
from inferd.protocols.base import Dialect
from inferd.server import ports, tls, unix
from inferd.server.tls import Certificate

MAIN = "main"
"""The name of the listener where every dialect is spoken; each other is called as its setting."""

BACKLOG = 2048  # connections that wait to be accepted; the kernel caps it at its own limit
HANDSHAKE_SECONDS = 10.0  # a client that is slower than that has no intention to finish

# The event loop cuts a connection off that closes for longer, also where a slow client still reads
# its last answer. The lane sees stalled ones off much sooner.
SHUTDOWN_SECONDS = 3600.0


class Plan(NamedTuple):
    """One listener as it is wanted."""

    name: str
    flag: str
    """What sets its address on the command line."""
    port: int
    dialects: tuple[Dialect, ...]


def plan(settings: Settings, dialects: Sequence[Dialect]) -> tuple[Plan, ...]:
    """The listeners that *settings* ask for, the main one first.

    Raises ConfigError for two on one port, and for a door at which no dialect answers.
    """
    wanted = [(door, getattr(settings, door)) for door in DOORS]
    main = Plan(MAIN, "--port", settings.port, tuple(dialects))
    doors = [_door(name, port, dialects) for name, port in wanted if port != CLOSED]
    _expect_apart(doors if settings.unix else [main, *doors])
    return main, *doors


def _door(name: str, port: int, dialects: Sequence[Dialect]) -> Plan:
    door, flag = name.removesuffix(GRPC), f"--{name.replace('_', '-')}"
    spoken = tuple(dialect.at(door) for dialect in dialects if door in dialect.doors)
    if not spoken:
        raise ConfigError(
            f"no plug-in answers the clients of {flag}",
            cure="Install one that does, or leave the setting out.",
        )
    return Plan(name, flag, port, spoken)


def _expect_apart(plans: Sequence[Plan]) -> None:
    for one, other in itertools.combinations(plans, 2):
        if one.port and one.port == other.port:
            raise ConfigError(
                f"{one.flag} and {other.flag} are both {one.port}",
                cure=f"Give one of them another number, such as {one.flag} {_free(plans)}"
                " (0 takes any free one).",
            )


def _free(plans: Sequence[Plan]) -> int:
    """A port that none of *plans* has."""
    taken = {each.port for each in plans}
    return next(port for port in itertools.count(9000) if port not in taken)


class Listener(NamedTuple):
    """An address that this server has."""

    plan: Plan
    socket: socket.socket
    url: str
    """Of the address as it was bound."""
    place: unix.Place | None = None
    """Of a Unix socket."""
    certificate: Certificate | None = None

    async def open(self, protocol: Callable[[], asyncio.Protocol]) -> asyncio.AbstractServer:
        """Let clients in, each to a *protocol* of its own."""
        loop = asyncio.get_running_loop()
        context = self.certificate.context if self.certificate else None
        options: dict[str, Any] = {
            "sock": self.socket,
            "backlog": BACKLOG,
            "ssl": context,
            "ssl_handshake_timeout": HANDSHAKE_SECONDS if context else None,
            "ssl_shutdown_timeout": SHUTDOWN_SECONDS if context else None,
        }
        if not self.place:
            return await loop.create_server(protocol, **options)
        if sys.version_info >= (3, 13):  # the first worker that leaves would take the file along
            options["cleanup_socket"] = False
        return await loop.create_unix_server(protocol, **options)

    @property
    def is_plain(self) -> bool:
        """Whether its connections can be passed from process to process: those over TLS are bound
        to whom they shook hands with, and a Unix socket's are everybody's already."""
        return not self.place and not self.certificate

    @property
    def has_waiting(self) -> bool:
        """Whether somebody connected and was not let in yet. Only while it is open."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            return bool(selector.select(0))

    def close(self) -> None:
        """Give the address back; a second call changes nothing."""
        self.socket.close()
        if self.place:
            self.place.remove()


def take_all(settings: Settings, dialects: Sequence[Dialect]) -> tuple[Listener, ...]:
    """Take every address that *settings* ask for, the main one first. Raises ConfigError, and then
    holds none."""
    certificate = tls.load(settings.tls_cert, settings.tls_key)
    taken = take(plan(settings, dialects), settings, certificate)
    for warning in certificate.warnings if certificate else ():
        logger.warning("%s", warning)
    return taken


def share(listeners: Sequence[Listener], parts: int) -> list[tuple[Listener, ...]]:
    """*listeners* for each of so many workers. Each port has as many sockets; a Unix socket's only
    one belongs to all."""
    columns = [
        [listener] * parts
        if listener.place
        else [listener._replace(socket=each) for each in ports.share(listener.socket, parts)]
        for listener in listeners
    ]
    return list(zip(*columns, strict=True))


def take(
    plans: Sequence[Plan], settings: Settings, certificate: Certificate | None
) -> tuple[Listener, ...]:
    """Take every address. Raises ConfigError or AddressTaken, and then holds none."""
    taken: list[Listener] = []
    try:
        for each in plans:
            taken.append(_take(each, settings, certificate))  # noqa: PERF401 - those before a fault are needed
    except BaseException:
        for listener in taken:
            listener.close()
        raise
    return tuple(taken)


def _take(plan: Plan, settings: Settings, certificate: Certificate | None) -> Listener:
    if plan.name == MAIN and settings.unix:
        bound, place = unix.bind(settings.unix)
        return Listener(plan, bound, unix.url_of(place.path), place, certificate)
    bound = ports.bind(
        settings.host, plan.port, insecure_no_auth=settings.insecure_no_auth, flag=plan.flag
    )
    if certificate is None:
        return Listener(plan, bound, ports.url_of(bound))
    name = tls.name_for(bound.getsockname()[0], certificate)
    host = name if name == tls.LOCALHOST else ""  # any other may lead elsewhere than here
    return Listener(plan, bound, ports.url_of(bound, "https", host), None, certificate)


FIXED = ("workers", "host", "port", "unix", *DOORS)
"""Settings that cannot change while the server runs: sockets, and who waits in them, outlive the
workers."""


def expect_unmoved(old: Settings, new: Settings) -> None:
    """Raise ConfigError where *new* settings would need other addresses than the *old*."""
    for name in FIXED:
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            raise ConfigError(
                f"--{name.replace('_', '-')} cannot be changed by a reload",
                got=repr(now),
                expected=repr(was),
                cure="Restart the server for that.",
            )
    if bool(old.tls_cert) != bool(new.tls_cert):
        raise ConfigError(
            "a reload can bring another certificate, but not turn TLS on or off",
            cure="Restart the server for that.",
        )
