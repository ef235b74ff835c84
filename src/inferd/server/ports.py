"""Takes a port to listen on, or says who has it."""

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from inferd.errors import AddressTaken, ConfigError


def bind(
    host: str, port: int, *, insecure_no_auth: bool = False, flag: str = "--port"
) -> socket.socket:
    """A TCP socket that has the address; *flag* is the setting that texts blame the port on.

    Raises AddressTaken, or ConfigError for an address that is not of this machine, or that other
    machines reach although nobody is asked who they are and that was not said to be meant.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        expected = "an address of this machine"
        raise ConfigError("no such host", got=repr(host), expected=expected) from None
    if not ipaddress.ip_address(address[0]).is_loopback and not insecure_no_auth:
        raise _exposed(host)
    listener = socket.socket(family, kind, protocol)
    # A server that was stopped leaves connections in TIME_WAIT, which must not keep the next one
    # from starting.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Only listening tells that somebody else does. The lane listens again, with a backlog.
        listener.listen(0)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port, flag) from None
    return listener


def share(listener: socket.socket, parts: int) -> tuple[socket.socket, ...]:
    """*listener* and others of its address, so many in all: the system gives each a share of the
    connections, where they wait until it is asked for them."""
    # Only now: that it was bound without this tells that nobody else has the address.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shares = [listener]
    try:
        while len(shares) < parts:
            another = socket.socket(listener.family, listener.type, listener.proto)
            shares.append(another)
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            another.bind(listener.getsockname())
            another.listen(0)
    except OSError as error:
        for each in shares[1:]:
            each.close()
        where = url_of(listener, "tcp").partition("://")[2]
        raise ConfigError(
            f"{where} cannot be shared by {parts} workers: {error.strerror}",
            cure="Serve with --workers 1.",
        ) from None
    return tuple(shares)


def _exposed(host: str) -> ConfigError:
    return ConfigError(
        "whoever reaches this address could use the models: no authentication is configured",
        got=f"--host {host}",
        expected="a loopback address such as 127.0.0.1",
        cure="If that is meant, add --insecure-no-auth.",
    )


def _explained(error: OSError, host: str, port: int, flag: str) -> ConfigError:
    if isinstance(error, PermissionError):
        return ConfigError(
            f"port {port} is for privileged programs only",
            cure=f"Choose one above 1023 with {flag}.",
        )
    if error.errno == errno.EADDRINUSE:
        by = owner("tcp", lambda place: isinstance(place, tuple) and place[1:] == (port,))
        return AddressTaken(
            f"{host}:{port} is taken{by}",
            cure=f"Stop that program, or choose another port with {flag} (0 takes any free one).",
        )
    return ConfigError(f"cannot listen on {host}:{port}: {error.strerror}")


def owner(kind: str, has: Callable[[Any], bool]) -> str:
    """The process that listens where *has* says so, as " by NAME (pid NUMBER)"; empty where this
    user may not see it."""
    import psutil  # only for the text of an error

    try:
        listening = [
            c
            for c in psutil.net_connections(kind)
            if c.pid and c.status in _LISTENING and not c.raddr
        ]
        found = [psutil.Process(c.pid) for c in listening if has(c.laddr)]
        while found and (parent := found[0].parent()) and _listens(parent, kind, has):
            found = [parent]  # a server of several processes is stopped by the first of them
        return f" by {found[0].name()} (pid {found[0].pid})" if found else ""
    except psutil.Error:
        return ""


def _listens(process: Any, kind: str, has: Callable[[Any], bool]) -> bool:
    """Whether *process* listens where *has* says so."""
    return any(has(c.laddr) and not c.raddr for c in process.net_connections(kind))


_LISTENING = ("LISTEN", "NONE")  # psutil's words; it tells no state of Unix sockets


def url_of(listener: socket.socket, scheme: str = "http", name: str = "") -> str:
    """The URL of the address as it is bound, which may not be the one that was asked for; by
    *name*, where there is one."""
    host, port = listener.getsockname()[:2]
    host = name or host
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
