"""Takes an address to listen on, or says who has it."""

import errno
import ipaddress
import socket

from inferd.errors import AddressTaken, ConfigError


def bind(host: str, port: int, *, insecure_no_auth: bool = False) -> socket.socket:
    """A TCP socket that has the address.

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
        raise _explained(error, host, port) from None
    return listener


def _exposed(host: str) -> ConfigError:
    return ConfigError(
        "whoever reaches this address could use the models: no authentication is configured",
        got=f"--host {host}",
        expected="a loopback address such as 127.0.0.1",
        cure="If that is meant, add --insecure-no-auth.",
    )


def _explained(error: OSError, host: str, port: int) -> ConfigError:
    if isinstance(error, PermissionError):
        return ConfigError(
            f"port {port} is for privileged programs only",
            cure="Choose one above 1023 with --port.",
        )
    if error.errno == errno.EADDRINUSE:
        owner = _owner(port)
        return AddressTaken(
            f"{host}:{port} is taken" + (f" by {owner}" if owner else ""),
            cure="Stop that program, or choose another port with --port (0 takes any free one).",
        )
    return ConfigError(f"cannot listen on {host}:{port}: {error.strerror}")


def _owner(port: int) -> str:
    """The process that listens on *port*: its name and number, as far as this user may see it."""
    import psutil  # only for the text of an error

    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return ""
    listening = (c for c in connections if c.status == psutil.CONN_LISTEN and c.pid)
    pid = next((c.pid for c in listening if tuple(c.laddr)[1:] == (port,)), None)
    if pid is None:
        return ""
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"


def url_of(listener: socket.socket) -> str:
    """The URL of the address as it is bound, which may not be the one that was asked for."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
