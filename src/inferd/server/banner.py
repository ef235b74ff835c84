"""What a person sees when the server is ready: the models, the URLs, and a line that works when
pasted."""

import json
import shlex
from collections.abc import Sequence

from inferd.calls import Handle
from inferd.config import GRPC
from inferd.lanes.routing import all_routes
from inferd.models.manager import Version
from inferd.protocols.base import Dialect, variables
from inferd.server.listeners import Listener
from inferd.server.tls import LOCALHOST, name_for
from inferd.verdict import Verdict


def banner(
    models: Sequence[Version],
    dialects: Sequence[Dialect],
    listeners: Sequence[Listener],
    workers: int = 0,
) -> str:
    """The whole text but for how long it took; the first of *listeners* is the main one.

    *workers* are the processes that answer; 0: this one does.
    """
    count = "1 model" if len(models) == 1 else f"{len(models)} models"
    main, *doors = listeners
    where, base = (main.place.path, "") if main.place else (main.url, main.url)
    lines = [
        f"inferd serves {count} on {where}",
        "",
        *_table(models),
        "",
    ]
    lines += [f"  {label:<10} {base}{path}" for label, path in _pages(dialects)]
    if called := ", ".join(dialect.name for dialect in dialects if dialect.rpc):
        address = f"unix:{where}" if main.place else main.url.partition("://")[2]
        lines.append(f"  {'gRPC':<10} {address}  ({called})")
    if workers:
        lines.append(f"  {'workers':<10} {workers}")
    if doors:
        lines += ["", "  for clients of other servers:"]
        told = [_door(door) for door in doors]
        width = max(10, *(len(name) for name, _ in told))
        lines += [f"  {name:<{width}} {address}" for name, address in told]
    curl = curl_line(models, dialects, main)
    if curl:
        lines += ["", "Try it:", "", f"  {curl}"]
    return "\n".join([*lines, "", "Ctrl-C stops."])


def _door(listener: Listener) -> tuple[str, str]:
    """Its name as on the command line, and its address as its clients want it."""
    name = listener.plan.name
    address = listener.url.partition("://")[2] if name.endswith(GRPC) else listener.url
    return name.replace("_", "-"), address


def curl_line(models: Sequence[Version], dialects: Sequence[Dialect], listener: Listener) -> str:
    """A command that asks the first model, in the first dialect that shows how; empty where none
    does."""
    for _, route in all_routes(dialects):
        handle: Handle = models[0]
        names = variables(route.path)
        if route.method != "POST" or (names != ("model",) if len(models) > 1 else names):
            continue
        documentation = route.operation.document(handle)
        if documentation is not None:
            body = shlex.quote(json.dumps(documentation.example))
            path = route.path.replace("{model}", handle.model)
            return f"curl {_reaching(listener)}{path} -d {body}"
    return ""


def _reaching(listener: Listener) -> str:
    """What curl needs to be told to get to *listener*: options, and the URL without a path."""
    certificate, place = listener.certificate, listener.place
    trusting = f"--cacert {shlex.quote(str(certificate.file))} " if certificate else ""
    scheme = "https" if certificate else "http"
    if place:
        host = name_for("127.0.0.1", certificate) if certificate else LOCALHOST
        return f"{trusting}--unix-socket {shlex.quote(place.path)} {scheme}://{host}"
    if not certificate:
        return listener.url
    address, port = listener.socket.getsockname()[:2]
    name = name_for(address, certificate)
    if name in (address, LOCALHOST):
        return trusting + listener.url
    to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - no address to bind
    return f"{trusting}--resolve {name}:{port}:{to} https://{name}:{port}"


def _table(models: Sequence[Version]) -> list[str]:
    rows = [["model", "version", "runtime", "signature"]]
    rows += [[m.model, m.version, m.runtime_name, str(m.signature)] for m in models]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    lines = [
        "  "
        + "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
        )
        for row in rows
    ]
    return [*lines, *_verdicts(models)]


def _verdicts(models: Sequence[Version]) -> list[str]:
    """A line for each model that was compiled, or could not be, and one for each that runs several
    calls at once, or one call on several threads."""
    told = [(m.model, m.runtime.verdict) for m in models if m.runtime.verdict]
    lines = [f"  {name}: {sentence(verdict)}" for name, verdict in told]
    lines += [f"  {m.model}: {way}" for m in models if (way := _way(m))]
    return ["", *lines] if lines else []


def _way(model: Version) -> str:
    """How a worker runs *model*; empty for one call after another, each on one thread."""
    calls = f"{model.instances} calls at once" if model.instances > 1 else ""
    threads = f"{model.threads} threads a call" if model.threads > 1 else ""
    return ", ".join(filter(None, (calls, threads)))


def sentence(verdict: Verdict) -> str:
    """What the verdict means for who asks the model."""
    if verdict.kind == "native":
        return f"answered by {verdict.library or 'its own library'}, not compiled: {verdict.reason}"
    return f"compiled from {verdict.library} ({verdict.estimator}): {verdict}"


def _pages(dialects: Sequence[Dialect]) -> list[tuple[str, str]]:
    """The pages for people, and the first URL of each dialect that no other one claims before
    it."""
    pages, taken = [("docs", "/docs")], set[tuple[str, str]]()
    for dialect in sorted(dialects, key=lambda d: d.precedence):
        own = [route for route in dialect.routes if (route.method, route.path) not in taken]
        taken |= {(route.method, route.path) for route in dialect.routes}
        if own:
            first = next((route for route in own if route.method == "POST"), own[0])
            pages.append((dialect.name, first.path))
    return pages
