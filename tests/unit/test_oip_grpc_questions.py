"""protocols/oip/grpc: what is asked about the server and its models says what REST says; what would
change it is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from tritonclient.grpc import service_pb2 as pb

from inferd.calls import Readiness, ServerReady
from inferd.errors import Code
from inferd.pipeline import Pipeline
from inferd.protocols.oip import plugin
from tests.unit.asking import Asker
from tests.unit.oip_grpc import SERVICE, Grpc, pair

Make = Callable[..., Pipeline]
HEALTH = "/grpc.health.v1.Health/Check"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


@pytest.fixture(params=[False, True], ids=["main", "triton"])
def asker(pipeline: Make, request: pytest.FixtureRequest) -> Grpc:
    """The main port, and Triton's own."""
    return Grpc(pipeline("iris", "simple"), strict=request.param)


def rest(asker: Grpc) -> Asker:
    """The same port over REST."""
    strict = asker.rpc is not plugin.rpc
    return Asker(plugin.at("triton") if strict else plugin, asker.served)


def shown(message: Any) -> Any:
    """A message as JSON, its numbers as numbers, its defaults written out."""
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )

    def numbers(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: _number(value) for name, value in fields.items()}

    return json.loads(text, object_hook=numbers)


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(each) for each in value]
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


def test_every_method_of_the_service_is_there(asker: Grpc) -> None:
    """As the client's stub knows them; and gRPC's own health."""
    service = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert set(asker.rpc.methods) == {SERVICE + m.name for m in service.methods} | {HEALTH}
    for method in service.methods:
        each = asker.method(method.name)
        assert (each.takes == "each") == (method.name == "ModelStreamInfer")


def test_a_server_that_answers_is_live_and_ready(asker: Grpc) -> None:
    """Whatever service is named to gRPC's health."""
    assert asker.ask("ServerLive").live is True
    assert asker.ask("ServerReady").ready is True
    assert asker.bytes(HEALTH, b"") == SERVING
    assert asker.bytes(HEALTH, b"\x0a\x06nobody") == SERVING


def test_a_server_that_is_not_ready_says_so_and_is_no_error(asker: Grpc) -> None:
    """A load balancer reads the message."""
    asker.served.manager.stopping = True
    assert asker.ask("ServerLive").live is True
    assert asker.ask("ServerReady").ready is False
    assert asker.bytes(HEALTH, b"") == NOT_SERVING
    method = asker.method("ServerReady")
    assert method.encode(ServerReady(), Readiness(False, ("a",))).body == b""


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [
        ("iris", "", True),
        ("iris", "1", True),
        ("iris", "9", False),
        ("X", "", False),
        ("", "", False),
    ],
)
def test_a_model_that_is_not_known_is_not_ready(
    asker: Grpc, name: str, version: str, ready: bool
) -> None:
    """No error, as in Triton."""
    assert asker.ask("ModelReady", name=name, version=version).ready is ready
    if ready:
        asker.served.manager.close()
        assert asker.ask("ModelReady", name=name, version=version).ready is False


def test_the_server_describes_itself_as_over_rest(asker: Grpc) -> None:
    """Name, version, extensions."""
    assert shown(asker.ask("ServerMetadata")) == rest(asker).ask(("GET", "/v2"))


@pytest.mark.parametrize("name", ["iris", "simple"])
@pytest.mark.parametrize("version", ["", "1"])
def test_a_model_describes_itself_as_over_rest(asker: Grpc, name: str, version: str) -> None:
    """Its metadata and its configuration, as Triton's client has them."""
    path = {"model": name} | ({"version": version} if version else {})
    at = "/v2/models/{model}" + ("/versions/{version}" if version else "")
    told = rest(asker).ask(("GET", at), b"", {}, **path)
    told["versions"] = [int(each) for each in told["versions"]]
    assert shown(asker.ask("ModelMetadata", name=name, version=version)) == told
    config = rest(asker).ask(("GET", f"{at}/config"), b"", {}, **path)
    got = shown(asker.ask("ModelConfig", name=name, version=version))["config"]
    assert _inside(config, got), (config, got)


def _inside(document: Any, other: Any) -> bool:
    """Whether all of *document* is in *other*, which has more defaults."""
    if isinstance(document, dict):
        return all(name in other and _inside(v, other[name]) for name, v in document.items())
    if isinstance(document, list):
        return len(document) == len(other) and all(map(_inside, document, other))
    return bool(document == other)


def test_statistics_are_those_of_rest(asker: Grpc) -> None:
    """Of all models, of one, of one version."""
    for _ in range(3):
        asker.infer(pair())
    at = "/v2/models/{model}"
    assert [each.name for each in asker.ask("ModelStatistics").model_stats] == ["iris", "simple"]
    (told,) = asker.ask("ModelStatistics", name="simple").model_stats
    assert (told.inference_count, told.execution_count) == (3, 3)
    assert told.inference_stats.success.count == 3
    assert told.batch_stats[0].batch_size == 1
    for fields, route, path in (
        ({}, "/v2/models/stats", {}),
        ({"name": "simple"}, f"{at}/stats", {"model": "simple"}),
        (
            {"name": "simple", "version": "1"},
            f"{at}/versions/{{version}}/stats",
            {"model": "simple", "version": "1"},
        ),
    ):
        got = shown(asker.ask("ModelStatistics", **fields))["model_stats"]
        expected = rest(asker).ask(("GET", route), b"", {}, **path)["model_stats"]
        assert got == [each | {"version": int(each["version"])} for each in expected]


def test_statistics_of_what_is_not_there(pipeline: Make) -> None:
    """A wrong argument at Triton's port; here it is not found, as over REST."""
    unknown, version = (
        pb.ModelStatisticsRequest(name="X"),
        pb.ModelStatisticsRequest(name="iris", version="9"),
    )
    door, main = Grpc(pipeline("iris"), strict=True), Grpc(pipeline("iris"))
    assert door.refusal("ModelStatistics", unknown) == (
        Code.INVALID_ARGUMENT,
        "requested model 'X' is not available",
    )
    assert door.refusal("ModelStatistics", version) == (
        Code.INVALID_ARGUMENT,
        "requested model version is not available for model 'iris'",
    )
    assert main.refusal("ModelStatistics", unknown) == (
        Code.NOT_FOUND,
        "Request for unknown model: 'X' is not found",
    )


def test_the_index_is_that_of_rest(asker: Grpc) -> None:
    """All versions, or the ready ones."""
    for ready in (False, True):
        told = asker.ask("RepositoryIndex", ready=ready).models
        expected = rest(asker).ask(
            ("POST", "/v2/repository/index"), json.dumps({"ready": ready}).encode()
        )
        assert [{"name": m.name, "version": m.version, "state": m.state} for m in told] == expected
        assert [m.name for m in told] == ["iris", "simple"]
    asker.served.manager.close()
    assert {m.state for m in asker.ask("RepositoryIndex").models} == {"UNAVAILABLE"}
    assert not asker.ask("RepositoryIndex", ready=True).models


@pytest.mark.parametrize(
    "name", ["RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"]
)
def test_repositories_have_no_names(asker: Grpc, name: str) -> None:
    """As in Triton."""
    request = getattr(pb, f"{name}Request")(repository_name="r")
    told = (Code.UNIMPLEMENTED, "'repository_name' specification is not supported")
    assert asker.refusal(name, request) == told


def test_nothing_is_loaded_by_request(asker: Grpc) -> None:
    """As in Triton's mode ``none``."""
    told = (
        Code.UNAVAILABLE,
        "explicit model load / unload is not allowed if polling is enabled",
    )
    for request in (
        pb.RepositoryModelLoadRequest(model_name="iris"),
        pb.RepositoryModelLoadRequest(
            model_name="iris", parameters={"config": pb.ModelRepositoryParameter(string_param="{}")}
        ),
    ):
        assert asker.refusal("RepositoryModelLoad", request) == told
    unload = pb.RepositoryModelUnloadRequest(model_name="iris")
    assert asker.refusal("RepositoryModelUnload", unload) == told
    assert asker.ask("ModelReady", name="iris").ready is True


@pytest.mark.parametrize("kind", ["System", "Cuda"])
def test_no_memory_is_shared(asker: Grpc, kind: str) -> None:
    """No region is there, none can be registered, and to forget one is no error."""
    name = f"{kind}SharedMemory"
    assert not asker.ask(f"{name}Status").regions
    request = getattr(pb, f"{name}StatusRequest")(name="r")
    assert asker.refusal(f"{name}Status", request) == (
        Code.NOT_FOUND,
        f"Unable to find {kind.lower()} shared memory region: 'r'",
    )
    asker.ask(f"{name}Unregister", name="r")
    asker.ask(f"{name}Unregister")
    register = getattr(pb, f"{name}RegisterRequest")(name="r", byte_size=1)
    code, text = asker.refusal(f"{name}Register", register)
    assert (code, "not offered" in text) == (Code.UNIMPLEMENTED, True)


def test_settings_are_told_as_over_rest_and_not_changed(asker: Grpc) -> None:
    """Of tracing, of one model or all, and of the log."""
    trace = {name: list(told.value) for name, told in asker.ask("TraceSetting").settings.items()}
    expected = rest(asker).ask(("GET", "/v2/trace/setting"))
    assert trace == {k: v if isinstance(v, list) else [v] for k, v in expected.items()}
    assert asker.ask("TraceSetting", model_name="iris") == asker.ask("TraceSetting")
    log = asker.ask("LogSettings").settings
    read = {name: getattr(s, s.WhichOneof("parameter_choice")) for name, s in log.items()}
    assert read == rest(asker).ask(("GET", "/v2/logging"))
    asks = pb.TraceSettingRequest()
    asks.settings["trace_rate"].value.append("1")
    code, text = asker.refusal("TraceSetting", asks)
    assert (code, text.split(".")[0]) == (
        Code.INVALID_ARGUMENT,
        "tracing cannot be changed by request",
    )
    asks = pb.LogSettingsRequest()
    asks.settings["log_info"].bool_param = False
    code, text = asker.refusal("LogSettings", asks)
    assert (code, text.split(".")[0]) == (
        Code.INVALID_ARGUMENT,
        "the log cannot be changed by request",
    )


def test_tracing_of_what_is_not_there(pipeline: Make) -> None:
    """A wrong argument at Triton's port; here it is not found, as over REST."""
    asked = pb.TraceSettingRequest(model_name="X")
    assert Grpc(pipeline("iris"), strict=True).refusal("TraceSetting", asked) == (
        Code.INVALID_ARGUMENT,
        "Request for unknown model : X",
    )
    assert Grpc(pipeline("iris")).refusal("TraceSetting", asked) == (
        Code.NOT_FOUND,
        "Request for unknown model: 'X' is not found",
    )


def test_kserves_port_speaks_as_the_main_one() -> None:
    """It has no form of its own."""
    assert plugin.at("kserve").rpc is plugin.rpc
