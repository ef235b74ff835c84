"""The other servers: what each is made of, and how it is started as its documentation advises.

All serve the same file behind `bench.servers.labels`, on one core, with one worker. Where a server
can put requests together by itself, it is measured with and without that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from bench.contenders import INFER, PYTHON, Contender
from bench.dialects import Dialect
from bench.environments import Environment
from bench.errors import BenchError

Form = Literal["pickle", "onnx"]
FORMS: tuple[Form, ...] = ("pickle", "onnx")
MODELS = ("forest", "logistic")
ROWS = 1
BATCH = "32"
"""As many as ask at a time."""
PATH = "/predict"

ENVIRONMENTS: Final = (
    Environment("mlserver", ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")),
    Environment("litserve", ("litserve==0.2.19",)),
    Environment("bentoml", ("bentoml==1.4.40",)),
    Environment("ray", ("ray[serve]==2.60.0",)),
    Environment("fastapi", ("fastapi", "uvicorn[standard]")),
    Environment("flask", ("flask", "gunicorn")),
)


@dataclass(frozen=True)
class Peer:
    """One server in one manner; `{python}` of its environment and `{file}` are filled in."""

    name: str
    title: str
    about: str
    argv: tuple[str, ...]
    dialect: Dialect = "label"
    path: str = PATH
    environment: str | None = None
    """None: inferd's own."""
    against: str | None = "inferd-plain"
    """The inferd that is asked in the same dialect; None: it is that itself."""
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    restless: bool = False
    """It works although nobody asks: not waited for."""

    def contender(self, form: Form, work: Path) -> Contender:
        """It, serving the model in *form*."""
        file = "{" + form + "}"
        folder = work / "peers" / f"{self.name}-{form}"
        python = PYTHON
        if self.environment is not None:
            python = str(environment(self.environment).python(work))
        fill = {"{python}": python, "{file}": file, "{bin}": str(Path(python).parent)}
        environ = {"BENCH_MODEL": file, "BENCH_FOLDER": str(folder), **self.settings}
        return Contender(
            name=f"{self.name}-{form}",
            title=self.title,
            about=self.about,
            dialect=self.dialect,
            argv=tuple(_filled(part, fill) for part in self.argv),
            one_row=self.path,
            many_rows=self.path,
            ceiling=self.against and f"{self.against}-{form}",
            environment={} if self.environment is None else environ,
            restless=self.restless,
            not_ready=("404", "500", "502", "503"),
        )


def _filled(part: str, fill: dict[str, str]) -> str:
    for name, text in fill.items():
        part = part.replace(name, text)
    return part


def environment(name: str) -> Environment:
    return next(each for each in ENVIRONMENTS if each.name == name)


def _inferd(name: str, title: str, dialect: Dialect, path: str) -> Peer:
    return Peer(
        name=name,
        title=title,
        about="`inferd serve FILE`, which compiles a pickle when it starts; it answers the "
        "probabilities too",
        argv=("{python}", "-m", "inferd", "serve", "{file}", "--port", "{port}"),
        dialect=dialect,
        path=path,
        against=None,
    )


BATCHING: Final = MappingProxyType({"BENCH_BATCH": BATCH})
MLSERVER: Final = ("{python}", "-m", "bench.servers.mlserver", "{port}")
LITSERVE: Final = ("{python}", "-m", "bench.servers.litserve", "{port}")
RAY: Final = ("{python}", "-m", "bench.servers.ray_serve", "{port}")
RAY_HIGH_THROUGHPUT: Final = MappingProxyType(
    {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
)
BENTOML: Final = (
    *("{bin}/bentoml", "serve", "bench.servers.bentoml:Labels"),
    *("--host", "127.0.0.1", "--port", "{port}", "--api-workers", "1"),
)

PEERS: Final = (
    _inferd("inferd-oip", "inferd, OIP JSON", "oip", INFER),
    _inferd("inferd-plain", "inferd, plain", "plain", PATH),
    Peer(
        name="mlserver",
        title="MLServer",
        about="its scikit-learn runtime, or a runtime class for ONNX; `parallel_workers: 0`, since "
        "more processes than cores only get in the way",
        argv=MLSERVER,
        dialect="mlserver",
        path=INFER,
        environment="mlserver",
        against="inferd-oip",
    ),
    Peer(
        name="mlserver-batching",
        title="MLServer, batching",
        about=f"the same with `max_batch_size: {BATCH}` and `max_batch_time: 0.001`",
        argv=MLSERVER,
        dialect="mlserver",
        path=INFER,
        environment="mlserver",
        against="inferd-oip",
        settings=BATCHING,
    ),
    Peer(
        name="litserve",
        title="LitServe",
        about="one worker and one API server, without its access log",
        argv=LITSERVE,
        environment="litserve",
        restless=True,
    ),
    Peer(
        name="litserve-batching",
        title="LitServe, batching",
        about=f"the same with `max_batch_size={BATCH}`",
        argv=LITSERVE,
        environment="litserve",
        settings=BATCHING,
        restless=True,
    ),
    Peer(
        name="bentoml",
        title="BentoML",
        about="`async def`, which takes no thread pool; one worker, without access log and metrics",
        argv=BENTOML,
        environment="bentoml",
        restless=True,
    ),
    Peer(
        name="bentoml-batching",
        title="BentoML, batching",
        about=f"the same with `batchable=True` and `max_batch_size={BATCH}`",
        argv=BENTOML,
        dialect="labels",
        path="/predict_batch",
        environment="bentoml",
        settings=BATCHING,
        restless=True,
    ),
    Peer(
        name="ray",
        title="Ray Serve",
        about="one replica behind its HAProxy, `RAY_SERVE_THROUGHPUT_OPTIMIZED=1`; all processes "
        "of its Ray share the one core",
        argv=RAY,
        environment="ray",
        settings=RAY_HIGH_THROUGHPUT,
        restless=True,
    ),
    Peer(
        name="fastapi",
        title="FastAPI",
        about="pydantic models, an `async def` handler, uvicorn with uvloop and httptools, without "
        "its access log",
        argv=(
            *("{python}", "-m", "uvicorn", "bench.servers.fastapi:app", "--port", "{port}"),
            *("--no-access-log", "--log-level", "warning"),
        ),
        environment="fastapi",
    ),
    Peer(
        name="flask",
        title="gunicorn + Flask",
        about="one worker with threads, which keeps connections open",
        argv=(
            *("{bin}/gunicorn", "--workers", "1", "--threads", "4"),
            *("--bind", "127.0.0.1:{port}", "bench.servers.flask:app"),
        ),
        environment="flask",
        restless=True,
    ),
)


TRITON: Final = "triton"
"""Not among them, since it serves no such file: it is measured with a piece of Python."""


def choose(names: Sequence[str]) -> list[Peer]:
    """The named ones, with the inferd that each is held against; all of them for no name."""
    known = {peer.name: peer for peer in PEERS}
    if unknown := sorted(set(names) - {*known, TRITON}):
        raise BenchError(f"got servers {unknown}, expected some of {sorted([*known, TRITON])}")
    wanted = set(names) - {TRITON} if names else set(known)
    wanted |= {known[name].against or name for name in wanted}
    return [peer for peer in PEERS if peer.name in wanted]
