"""Tables as text for a terminal and as the Markdown page; no IO, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import layout
from bench.contenders import Contender
from bench.h2load import CLIENTS
from bench.results import Ratio, Row, Table
from bench.seen import Cores
from bench.starts import WAYS, Start
from bench.tensors import WAYS as WAYS_OF_TENSORS
from bench.tensors import Transfer
from bench.tensors import cells as tensor_cells

HEADINGS = ("server", "requests/s", "ratio to ceiling", "p50 ms", "p99 ms", "CPU us", "RSS MiB")
RATIO = HEADINGS.index("ratio to ceiling")

INTRODUCTION = """\
# Performance

<!-- Written by `make bench`; changes by hand are lost. -->

{summary}

![Ratios to the ceiling and requests per second](performance.svg)

## What the figures say

**Read the ratios, not the requests per second.** A ratio is a server's requests per second divided
by those of the *ceiling*: a bare uvloop and httptools protocol with msgspec, orjson and ONNX
Runtime, which reads no URL and checks nothing (`bench/servers/floor.py`). Python can hardly answer
such a request faster, so 1.00 means that all that a server does besides costs nothing. Each dialect
has its own ceiling, which speaks that dialect; the FastAPI apps are held against the plain one,
which runs the ONNX model, also where the app runs the pickle. gRPC's ceiling takes HTTP/2 apart by
hand (`bench/servers/grpc_floor.py`): it keeps to no window of its client and defends itself against
nobody. The usual server in Python, `grpc.aio`, is held against it too.

A ratio is taken within one round, between runs that are seconds apart, so that a machine that
others use too does not decide it. The tables show the median over the rounds and, in brackets, the
lowest and the highest. The absolute figures belong to the machine below, on that day, and to no
other.

- Server and load are pinned to one core each: core {server_cpu} for the server, core {load_cpu} for
  the load. The load is `wrk`, one thread, {connections} connections, each of which sends its next
  request when it has its answer; for gRPC it is `h2load`, one thread, {clients} connections of
  {streams} such streams each, so that as many requests are under way. The servers of a case are
  started first, warmed for a second, and wait idle; then they take turns under load, {seconds:g} s
  each in four slices, in {rounds} round{plural}. A server so slow that {connections} connections
  see less than {laps} answers each in that time gets up to {longest:g} s.
- **p50, p99**: the latency that the load saw, median over the rounds. All connections are always
  busy, so it is mostly queueing: p50 is about {connections} divided by requests/s.
- **CPU**: user and system time of the server's processes, per request.
- **RSS**: resident memory of the server's processes after a run, the highest of the rounds; a page
  that several processes share counts in each.
- Before every run one request is made, whose labels must be those of scikit-learn. A run in which
  an answer was no 2xx, or a connection broke, stops the benchmark; so does one over gRPC whose
  answers have not all together the bytes of as many right ones: `h2load` knows no `grpc-status`.
"""


@dataclass(frozen=True)
class Live:
    """The empty call, and why a server is missing."""

    table: Table
    left_out: str = ""


@dataclass(frozen=True)
class Found:
    """What was measured."""

    tables: Sequence[Table]
    starts: Sequence[Start]
    transfers: Sequence[Transfer]
    live: Live | None = None


@dataclass(frozen=True)
class Setting:
    """What the page says about how and where it was measured."""

    date: str
    facts: dict[str, str]
    rounds: int
    seconds: float
    laps: int
    longest: float
    connections: int
    server_cpu: Cores
    load_cpu: Cores


def text(tables: Sequence[Table]) -> str:
    """All cases, aligned for a terminal."""
    return "\n\n".join(
        f"{table.case.name}: {_rows_in_words(table)} - {table.case.title}\n"
        + layout.aligned([list(HEADINGS), *(_cells(row) for row in table.rows)])
        for table in tables
    )


def markdown(found: Found, setting: Setting, commands: Sequence[str]) -> str:
    """The page `docs/performance.md`."""
    tables, transfers = found.tables, found.transfers
    parts = [
        INTRODUCTION.format(
            summary=_summary(tables),
            plural="" if setting.rounds == 1 else "s",
            clients=CLIENTS,
            streams=setting.connections // CLIENTS,
            **{name: value for name, value in vars(setting).items() if name != "facts"},
        ),
        "## Figures",
        *(_section(table) for table in tables),
        *([_live(found.live)] if found.live else []),
        *([_transfers(transfers)] if transfers else []),
        _starts(found.starts),
        _servers(tables),
        _machine(setting),
        "## To repeat them\n\n```sh\n" + "\n".join(commands) + "\n```",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _summary(tables: Sequence[Table]) -> str:
    """Ratios alone: one line a server that has a ceiling, one column a case."""
    head = ["ratio to the ceiling"]
    head += [f"{table.case.model}, {_rows_in_words(table)}" for table in tables]
    lines = []
    for contender in _contenders(tables):
        if contender.ceiling:
            own = [[row for row in table.rows if row.contender == contender] for table in tables]
            lines.append([contender.title, *(_ratio(r[0].ratio) if r else "-" for r in own)])
    return layout.markdown(head, lines)


def _contenders(tables: Sequence[Table]) -> list[Contender]:
    """Each once, in the order of the tables."""
    return list({row.contender.name: row.contender for t in tables for row in t.rows}.values())


def _section(table: Table) -> str:
    head = f"### {table.case.model}, {_rows_in_words(table)}\n\n{table.case.title}.\n\n"
    return head + layout.markdown(list(HEADINGS), [_cells(row) for row in table.rows])


def _live(live: Live) -> str:
    note = (
        "`ServerLive` over gRPC, which asks nothing of a model: what the way to a server and back"
        " costs. Each server has one core, Triton's threads too."
    )
    lines = [f"- **{row.contender.title}**: {row.contender.about}." for row in live.table.rows]
    if live.left_out:
        lines.append(f"- Triton is not measured here: {live.left_out}")
    about = "\n".join(lines)
    return f"## An empty call\n\n{note}\n\n{layout.markdown(*_live_cells(live))}\n\n{about}"


def live_text(live: Live) -> str:
    """The same for a terminal."""
    head, lines = _live_cells(live)
    return layout.aligned([head, *lines])


def _live_cells(live: Live) -> tuple[list[str], list[list[str]]]:
    head, *lines = [list(HEADINGS), *(_cells(row) for row in live.table.rows)]
    for line in (head, *lines):
        del line[RATIO]
    return head, lines


def _transfers(transfers: Sequence[Transfer]) -> str:
    note = (
        "A float32 tensor of so many bytes, in the Open Inference Protocol, by REST as binary data"
        " or by gRPC as raw contents: up, with one value of it as the answer, and both ways,"
        " through an ONNX model that hands it on. Either client writes to a bare socket; for gRPC"
        " it grants the windows, and takes the frames, of grpcio's client (`bench/grpc_line.py`)."
        " The socket is a bare one (`bench/servers/socket_echo.py`) that takes the same bytes and"
        " gives the same back. One client, which waits for each answer; an echo counts each byte"
        " twice."
    )
    head = ["tensor"]
    for way in WAYS_OF_TENSORS:
        head += [f"{way}, inferd GB/s", "socket GB/s", "ratio"]
    return f"## Binary tensors\n\n{note}\n\n{layout.markdown(head, tensor_cells(transfers))}"


def _starts(starts: Sequence[Start]) -> str:
    lines = [[f"{s.model}: {s.title}", *(f"{each:.1f} s" for each in s.seconds)] for s in starts]
    note = (
        "From the command to the banner, when the server answers. A pickle is compiled, and its"
        " compiled form proved against it, at the first start; later starts find it in the cache"
        " and open neither the pickle nor scikit-learn."
    )
    return f"## What a start costs\n\n{note}\n\n{layout.markdown(['model', *WAYS], lines)}"


def starts_text(starts: Sequence[Start]) -> str:
    """The same for a terminal."""
    head = f"{'start of':12}" + "".join(f"{way:>25}" for way in WAYS)
    lines = [
        f"{start.model:12}" + "".join(f"{each:>23.1f} s" for each in start.seconds)
        for start in starts
    ]
    return "\n".join([head, *lines])


def _servers(tables: Sequence[Table]) -> str:
    lines = [f"- **{each.title}**: {each.about}." for each in _contenders(tables)]
    note = (
        "All ONNX sessions run on one thread. uvicorn runs with uvloop and httptools and without"
        " its access log. The handlers are `async def`, the faster form for models this quick."
    )
    return "## Servers\n\n" + "\n".join(lines) + "\n\n" + note


def _machine(setting: Setting) -> str:
    facts = layout.markdown(
        ["what", "which"], [list(fact) for fact in setting.facts.items()], rest="---"
    )
    return f"## Machine\n\nMeasured on {setting.date}.\n\n{facts}"


def _cells(row: Row) -> list[str]:
    return [
        row.contender.title,
        f"{row.rate:,.0f}" if row.rate >= 100 else f"{row.rate:,.1f}",
        _ratio(row.ratio) if row.contender.ceiling else "1",
        f"{row.p50 * 1e3:,.2f}",
        f"{row.p99 * 1e3:,.2f}",
        f"{row.cpu * 1e6:,.0f}" if row.cpu >= 1e-4 else f"{row.cpu * 1e6:,.1f}",
        f"{row.memory / 2**20:,.0f}",
    ]


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return "-"
    digits = 2 if ratio.median >= 0.1 else 4
    return f"{ratio.median:.{digits}f} ({ratio.low:.{digits}f}-{ratio.high:.{digits}f})"


def _rows_in_words(table: Table) -> str:
    count = len(table.case.rows)
    return "1 row" if count == 1 else f"{count} rows"
