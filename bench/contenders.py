"""Who is measured: each server's command, dialect, URLs, and the ceiling it is held against."""

import sys
from dataclasses import dataclass, field
from typing import Any

from bench.dialects import Dialect
from bench.errors import BenchError
from bench.models import Case
from bench.triton import WHEEL


@dataclass(frozen=True)
class Contender:
    """One server; `argv` and paths have `{onnx}`, `{model}` and `{port}` filled in per case."""

    name: str
    title: str
    about: str
    dialect: Dialect
    argv: tuple[str, ...]
    one_row: str
    many_rows: str
    ceiling: str | None = None
    models: tuple[str, ...] = ()
    """Those that it is measured with; empty: all."""
    environment: dict[str, str] = field(default_factory=dict)
    restless: bool = False
    """It works although nobody asks, so nobody waits until it does not."""
    not_ready: tuple[str, ...] = ("503",)
    """What it answers while it starts."""

    def command(self, case: Case, port: int) -> list[str]:
        return [_fill(part, case, port) for part in self.argv]

    def settings(self, case: Case) -> dict[str, str]:
        return {name: _fill(text, case, 0) for name, text in self.environment.items()}

    def takes(self, case: Case) -> bool:
        return not self.models or case.model in self.models

    def url(self, case: Case, port: int) -> str:
        path = self.one_row if len(case.rows) == 1 else self.many_rows
        return f"http://127.0.0.1:{port}{_fill(path, case, port)}"


def _fill(text: str, case: Case, port: int) -> str:
    return text.format(onnx=case.onnx, pickle=case.pickle, model=case.model, port=port)


PYTHON = sys.executable
INFER = "/v2/models/{model}/infer"
PREDICT = "/v1/models/{model}:predict"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
SERVER_LIVE = "/inference.GRPCInferenceService/ServerLive"
FLOOR = (PYTHON, "-m", "bench.servers.floor", "{onnx}", "{port}")
GRPC_FLOOR = (PYTHON, "-m", "bench.servers.grpc_floor", "{onnx}", "{port}")
GRPCIO = (PYTHON, "-m", "bench.servers.grpcio_aio", "{onnx}", "{port}")
INFERD = (PYTHON, "-m", "inferd", "serve", "{onnx}", "--port", "{port}")


def _uvicorn(app: str) -> tuple[str, ...]:
    # Without its access log, which costs such an app about a quarter of its rate.
    quiet = ("--no-access-log", "--log-level", "warning")
    return (PYTHON, "-m", "uvicorn", f"bench.servers.{app}:app", "--port", "{port}", *quiet)


FOREST = ("forest",)


def _pair(
    dialect: Dialect, title: str, about: str, path: str, argv: tuple[str, ...]
) -> tuple[Contender, Contender]:
    """A dialect's ceiling, and inferd asked in that dialect, over the same model."""
    common: dict[str, Any] = {"dialect": dialect, "one_row": path, "many_rows": path}
    ceiling = Contender(
        name=f"floor-{dialect}",
        title=f"ceiling, {title}",
        about=f"the same ceiling for {about}",
        argv=(*FLOOR, dialect),
        models=FOREST,
        **common,
    )
    served = Contender(
        name=f"inferd-{dialect}",
        title=f"inferd, {title}",
        about=f"`inferd serve model.onnx`, asked with {about}",
        argv=argv,
        ceiling=ceiling.name,
        models=FOREST,
        **common,
    )
    return ceiling, served


def _grpc(name: str, title: str, about: str, argv: tuple[str, ...]) -> Contender:
    """A server that is asked for ``ModelInfer`` over gRPC."""
    return Contender(
        name=name,
        title=title,
        about=about,
        dialect="grpc",
        argv=argv,
        one_row=MODEL_INFER,
        many_rows=MODEL_INFER,
        ceiling=None if argv is GRPC_FLOOR else "floor-grpc",
        models=FOREST,
    )


def _live(name: str, title: str, about: str, argv: tuple[str, ...]) -> Contender:
    """A server that is asked for ``ServerLive`` over gRPC: its transport, and no model."""
    return Contender(
        name=name,
        title=title,
        about=about,
        dialect="grpc-live",
        argv=argv,
        one_row=SERVER_LIVE,
        many_rows=SERVER_LIVE,
        models=FOREST,
    )


# A server stands next to its ceiling, so that the two are measured one right after the other.
CONTENDERS = (
    Contender(
        name="floor-oip",
        title="ceiling, OIP JSON",
        about="bare uvloop + httptools protocol, msgspec, orjson, ONNX Runtime; nothing else",
        dialect="oip",
        argv=(*FLOOR, "oip"),
        one_row=INFER,
        many_rows=INFER,
    ),
    Contender(
        name="inferd-oip",
        title="inferd, OIP JSON",
        about="`inferd serve model.onnx`, asked in Open Inference Protocol JSON",
        dialect="oip",
        argv=INFERD,
        one_row=INFER,
        many_rows=INFER,
        ceiling="floor-oip",
    ),
    *_pair("oip-binary", "OIP binary", "Open Inference Protocol tensors in binary", INFER, INFERD),
    *_pair("tfserving", "TensorFlow Serving", "`:predict` and its `instances`", PREDICT, INFERD),
    *_pair(
        "kserve",
        "KServe V1",
        "`:predict` of KServe's V1 protocol, on that port",
        PREDICT,
        (PYTHON, "-m", "inferd", "serve", "{onnx}", "--port", "0", "--kserve", "{port}"),
    ),
    *_pair("mlflow", "MLflow", '`{"inputs": ...}` at `/invocations`', "/invocations", INFERD),
    _grpc(
        "floor-grpc",
        "ceiling, gRPC",
        "bare uvloop protocol, HTTP/2 by hand, hpack, protobuf, ONNX Runtime; nothing else",
        GRPC_FLOOR,
    ),
    _grpc(
        "inferd-grpc",
        "inferd, gRPC",
        "`inferd serve model.onnx`, asked for `ModelInfer` with raw tensors",
        INFERD,
    ),
    _grpc(
        "grpcio-aio",
        "grpc.aio, same ONNX model",
        "grpcio's asyncio server with the classes that protoc makes, uvloop; ONNX Runtime",
        GRPCIO,
    ),
    Contender(
        name="floor-plain",
        title="ceiling, plain",
        about='the same ceiling for `{"features": ...}`',
        dialect="plain",
        argv=(*FLOOR, "plain"),
        one_row="/predict",
        many_rows="/predict",
    ),
    Contender(
        name="inferd-plain",
        title="inferd, plain",
        about='`inferd serve model.onnx`, asked with `{"features": ...}`',
        dialect="plain",
        argv=INFERD,
        one_row="/predict",
        many_rows="/predict",
        ceiling="floor-plain",
    ),
    Contender(
        name="inferd-pickle",
        title="inferd, scikit-learn pickle",
        about="`inferd serve model.joblib`, which it compiles when it starts",
        dialect="plain",
        argv=(PYTHON, "-m", "inferd", "serve", "{pickle}", "--port", "{port}"),
        one_row="/predict",
        many_rows="/predict",
        ceiling="floor-plain",
    ),
    Contender(
        name="inferd-native",
        title="inferd, pickle, not compiled",
        about="`inferd serve model.joblib --no-compile`: scikit-learn in a process of its own",
        dialect="plain",
        argv=(PYTHON, "-m", "inferd", "serve", "{pickle}", "--no-compile", "--port", "{port}"),
        one_row="/predict",
        many_rows="/predict",
        ceiling="floor-plain",
    ),
    Contender(
        name="fastapi-onnx",
        title="FastAPI, same ONNX model",
        about="FastAPI with pydantic models, `async def` handlers, uvicorn; ONNX Runtime",
        dialect="plain",
        argv=_uvicorn("fastapi_onnx"),
        one_row="/predict",
        many_rows="/predict/batch",
        ceiling="floor-plain",
        environment={"BENCH_MODEL": "{onnx}"},
    ),
    Contender(
        name="fastapi-sklearn",
        title="FastAPI, scikit-learn pickle",
        about="the same app over the joblib pickle: `predict` and `predict_proba`",
        dialect="plain",
        argv=_uvicorn("fastapi_sklearn"),
        one_row="/predict",
        many_rows="/predict/batch",
        ceiling="floor-plain",
        environment={"BENCH_MODEL": "{pickle}"},
    ),
)


TRITON = "triton-live"
LIVE_CASE = "forest-1"
LIVE = (
    _live("inferd-live", "inferd", "`inferd serve model.onnx`", INFERD),
    _live("grpcio-aio-live", "grpc.aio", "grpcio's asyncio server, uvloop", GRPCIO),
    _live(
        TRITON,
        "Triton",
        f"NVIDIA's server, in C++, from the wheel {WHEEL}, with no model",
        (PYTHON, "-m", "bench.servers.triton", "--grpc", "{port}"),
    ),
)
"""Asked for nothing: what the way to a server costs."""


def choose(names: list[str] | None) -> list[Contender]:
    """The named contenders in the order of the table; all of them for None."""
    known = {contender.name for contender in CONTENDERS}
    if unknown := sorted(set(names or ()) - known):
        msg = f"got servers {unknown}, expected some of {sorted(known)}"
        raise BenchError(msg)
    return [c for c in CONTENDERS if names is None or c.name in names]
