"""The Open Inference Protocol's routes and its errors: as we speak it, and as Triton does at its
own port."""

from collections.abc import Iterator

from inferd.errors import Code, InferdError, MethodNotAllowed, RouteNotFound
from inferd.protocols.base import Dialect, Message, Payload, Route
from inferd.protocols.oip.config import Configuration
from inferd.protocols.oip.generate import Generate, GenerateStream
from inferd.protocols.oip.grpc.rpc import OipRpc
from inferd.protocols.oip.health import IsModelReady, Live, Ready, Unready
from inferd.protocols.oip.metadata import DescribeModel, DescribeServer
from inferd.protocols.oip.repository import Control, Index
from inferd.protocols.oip.rest import Infer
from inferd.protocols.oip.settings import NO_LOG, NO_TRACE, LogSettings, TraceSettings
from inferd.protocols.oip.shared_memory import Register, Status, Unregister
from inferd.protocols.oip.statistics import ReadStatistics
from inferd.protocols.oip.texts import triton_code, triton_text
from inferd.protocols.oip.versions import digits_only
from inferd.wire.json import encode

MODELS = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
REPOSITORIES = ("/v2/repository", "/v2/repository/{repository}")


def _routes(*, strict: bool) -> Iterator[Route]:
    yield Route("GET", "/v2", DescribeServer())
    yield Route("GET", "/v2/health/live", Live(strict=strict))
    yield Route("GET", "/v2/health/ready", Ready(strict=strict))
    yield Route("GET", "/v2/models/stats", ReadStatistics(of_all=True))
    for model in MODELS:
        yield Route("GET", model, DescribeModel(strict=strict))
        yield Route("GET", f"{model}/ready", IsModelReady(strict=strict))
        yield Route("GET", f"{model}/config", Configuration())
        yield Route("GET", f"{model}/stats", ReadStatistics(strict=strict))
        yield Route("POST", f"{model}/infer", Infer(strict=strict))
        yield Route("POST", f"{model}/generate", Generate(strict=strict))
        yield Route("POST", f"{model}/generate_stream", GenerateStream(strict=strict))
    for repository in REPOSITORIES:
        yield Route("POST", f"{repository}/index", Index())
        yield Route("POST", repository + "/models/{model}/load", Control())
        yield Route("POST", repository + "/models/{model}/unload", Control())
    yield from _settings(strict=strict)
    for kind in ("system", "cuda"):
        yield from _shared_memory(kind, strict=strict)


def _settings(*, strict: bool) -> Iterator[Route]:
    for trace in ("/v2/trace/setting", "/v2/models/{model}/trace/setting"):
        yield Route("GET", trace, TraceSettings(strict=strict, of_model="{model}" in trace))
        yield Route("POST", trace, NO_TRACE)
    yield Route("GET", "/v2/logging", LogSettings())
    yield Route("POST", "/v2/logging", NO_LOG)


def _shared_memory(kind: str, *, strict: bool) -> Iterator[Route]:
    base = f"/v2/{kind}sharedmemory"
    for place in (base, base + "/region/{region}"):
        yield Route("GET", f"{place}/status", Status(kind))
        yield Route("POST", f"{place}/unregister", Unregister(strict=strict))
    yield Route("POST", base + "/region/{region}/register", Register())


class Oip(Dialect):
    """See the package."""

    name = "oip"
    precedence = 20
    doors = ("triton", "kserve")
    routes = tuple(_routes(strict=False))
    rpc = OipRpc()

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        model = message.path.get("model", "") if message else ""
        return Payload(encode({"error": triton_text(error, model)}))

    def at(self, door: str) -> Dialect:
        return AtTriton() if door == "triton" else self


class AtTriton(Oip):
    """With Triton's statuses, its versions of digits, and its empty answers."""

    routes = tuple(digits_only(route) for route in _routes(strict=True))
    rpc = OipRpc(strict=True)

    def encode_error(self, error: InferdError, message: Message | None) -> Payload:
        match error:
            case RouteNotFound():
                return Payload(b'{"error":"Not Found"}')
            case MethodNotAllowed():
                return Payload(b'{"error":"Method Not Allowed"}')
            case Unready(message=""):
                return Payload(b"", b"text/plain")
        return super().encode_error(error, message)

    def code(self, error: InferdError, message: Message | None) -> Code:
        return triton_code(error)
