"""The settings: each defined once, with its default, its bounds and its help; read from the command
line, then the environment (``INFERD_PORT``), then ``inferd.toml``.

The command line's flags, the environment's names and the page in ``docs/`` are made from, or
checked against, the class below.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta

from inferd.errors import ConfigError

PREFIX = "INFERD_"
CONFIG_VARIABLE = "INFERD_CONFIG"
DEFAULT_FILE = Path("inferd.toml")

LogLevel = Literal["debug", "info", "warning", "error"]

DOORS: Mapping[str, int] = {
    "tfserving": 8501,
    "tfserving_grpc": 8500,
    "triton": 8000,
    "triton_grpc": 8001,
    "kserve": 8080,
}
"""The settings that open a port for clients of another server, and the number which those expect:
TensorFlow Serving's ports for REST and gRPC, Triton's, the port of KServe's model servers. Each of
ours speaks both; there are two where its clients know two."""
GRPC = "_grpc"
"""How the settings of a server's second port end."""

CLOSED = -1
"""The value of a door that is not opened."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set, for one server."""

    workers: Annotated[
        int,
        Meta(
            description="Processes that answer; 0 means one for each core that the server has.",
            ge=0,
            le=1024,
        ),
    ] = 0
    heartbeat_timeout_seconds: Annotated[
        float,
        Meta(description="A worker that gives no sign of life for so long is replaced.", ge=1),
    ] = 10.0
    host: Annotated[str, Meta(description="Address to listen on.", min_length=1)] = "127.0.0.1"
    port: Annotated[
        int, Meta(description="Port to listen on; 0 takes any free one.", ge=0, le=65535)
    ] = 8000
    unix: Annotated[
        str,
        Meta(
            description="Path of a Unix socket to listen on instead of host and port; only this"
            " user may connect."
        ),
    ] = ""
    tls_cert: Annotated[
        str,
        Meta(
            description="Certificate in PEM, with those that it was issued by; then every port"
            " speaks HTTPS."
        ),
    ] = ""
    tls_key: Annotated[
        str,
        Meta(description="The certificate's private key in PEM. Left empty: it is in tls_cert."),
    ] = ""
    tfserving: Annotated[
        int,
        Meta(
            description="A further port, for clients of TensorFlow Serving; without a number 8501,"
            " -1 opens none.",
            ge=-1,
            le=65535,
        ),
    ] = CLOSED
    tfserving_grpc: Annotated[
        int,
        Meta(
            description="A further such port, for its gRPC clients; without a number 8500, -1 opens"
            " none.",
            ge=-1,
            le=65535,
        ),
    ] = CLOSED
    triton: Annotated[
        int,
        Meta(
            description="A further port, for clients of Triton; without a number 8000, -1 opens"
            " none.",
            ge=-1,
            le=65535,
        ),
    ] = CLOSED
    triton_grpc: Annotated[
        int,
        Meta(
            description="A further such port, for its gRPC clients; without a number 8001, -1 opens"
            " none.",
            ge=-1,
            le=65535,
        ),
    ] = CLOSED
    kserve: Annotated[
        int,
        Meta(
            description="A further port, for clients of KServe; without a number 8080, -1 opens"
            " none.",
            ge=-1,
            le=65535,
        ),
    ] = CLOSED
    insecure_no_auth: Annotated[
        bool,
        Meta(description="Allow a host beyond this machine although nobody is asked who they are."),
    ] = False
    default_model: Annotated[
        str, Meta(description="The model that /predict asks when several are served.")
    ] = ""
    compile: Annotated[
        bool,
        Meta(
            description="Compile models to ONNX where that gives the same answers; otherwise, and"
            " with --no-compile, their own library answers."
        ),
    ] = True
    native_processes: Annotated[
        int,
        Meta(
            description="Processes of the whole server for each model that answers in Python, its"
            " library's or yours; 0 runs it in the server's own.",
            ge=0,
            le=256,
        ),
    ] = 1
    cache_dir: Annotated[
        str,
        Meta(
            description="Private directory where compiled models, and copies of large ones that"
            " workers share, are kept; 'none' keeps none."
            " Left empty: inferd/compiled in the user's cache."
        ),
    ] = ""
    trust_pickle: Annotated[
        bool,
        Meta(description="Let a pickle call even what no model needs, such as os.system."),
    ] = False
    trusted_types: Annotated[
        str,
        Meta(
            description="Types that a skops file may hold beside the well-known ones, separated by"
            " commas."
        ),
    ] = ""
    max_body_bytes: Annotated[
        int, Meta(description="Largest request body; a larger one is refused with 413.", ge=1)
    ] = 64 * 1024 * 1024
    max_connections: Annotated[
        int,
        Meta(
            description="Connections that one worker holds at once; 0 means as many as the system"
            " lets it.",
            ge=0,
        ),
    ] = 0
    max_inflight_bytes: Annotated[
        int,
        Meta(
            description="Bytes of requests that one worker holds at once; what comes beyond is"
            " refused.",
            ge=1,
        ),
    ] = 1 << 30
    max_batch_size: Annotated[
        int,
        Meta(description="Rows that waiting requests are joined to at most; 1 joins none.", ge=1),
    ] = 256
    max_queue_delay_microseconds: Annotated[
        int, Meta(description="How long a request may wait for company; 0 waits for nobody.", ge=0)
    ] = 0
    max_queue_size: Annotated[
        int,
        Meta(
            description="Requests that may wait for one model; more are refused with 429. 0: no"
            " bound.",
            ge=0,
        ),
    ] = 1000
    preferred_batch_size: Annotated[
        str,
        Meta(
            description="Rows of a batch that is run without waiting for more, as 4,8: as Triton's"
            " setting of that name.",
            pattern=r"^(\d+(,\d+)*)?$",
        ),
    ] = ""
    priority_levels: Annotated[
        int,
        Meta(description="Levels that a request may name, 1 the highest; 0: none.", ge=0),
    ] = 0
    default_priority_level: Annotated[
        int, Meta(description="The level of a request that names none; 0: the middle one.", ge=0)
    ] = 0
    queue_timeout_microseconds: Annotated[
        int,
        Meta(
            description="How long a request may wait for its model where it says nothing itself; 0"
            " means for ever.",
            ge=0,
        ),
    ] = 0
    timeout_action: Annotated[
        Literal["reject", "delay"],
        Meta(description="What becomes of one that waited longer: it is refused, or runs last."),
    ] = "reject"
    preserve_ordering: Annotated[
        bool, Meta(description="Answer the requests for one model in the order in which they came.")
    ] = False
    queue_target_milliseconds: Annotated[
        float,
        Meta(
            description="Requests are refused while those that wait have long waited longer than"
            " this; 0 refuses none for it.",
            ge=0,
        ),
    ] = 1000.0
    inline_limit_microseconds: Annotated[
        int,
        Meta(description="A call expected to take no longer runs at once, without a thread.", ge=0),
    ] = 200
    model_threads: Annotated[
        int, Meta(description="Threads that run models too slow to run at once.", ge=1, le=1024)
    ] = 32
    keep_alive_seconds: Annotated[
        float, Meta(description="How long an idle connection is kept open.", gt=0)
    ] = 75.0
    max_connection_age_seconds: Annotated[
        float,
        Meta(
            description="How long an HTTP/2 connection takes new calls, so that long ones spread"
            " over servers again; 0 means for ever.",
            ge=0,
        ),
    ] = 1800.0
    read_timeout_seconds: Annotated[
        float, Meta(description="How long a client may pause within a request.", gt=0)
    ] = 30.0
    shutdown_delay_seconds: Annotated[
        float,
        Meta(
            description="How long a stop still takes connections after it is told as not ready, so"
            " that load balancers notice.",
            ge=0,
        ),
    ] = 0.0
    drain_timeout_seconds: Annotated[
        float, Meta(description="How long requests in progress may take to end after a stop.", ge=0)
    ] = 25.0
    log_level: Annotated[LogLevel, Meta(description="How much is logged on standard error.")] = (
        "warning"
    )


class Setting(NamedTuple):
    """One setting, as help texts and checks need it."""

    name: str
    type: type
    default: Any
    help: str

    @property
    def flag(self) -> str:
        """The command line's spelling."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment's spelling."""
        return PREFIX + self.name.upper()


def settings_table() -> tuple[Setting, ...]:
    """Every setting, in the order of the class."""
    hints = get_type_hints(Settings, include_extras=True)
    defaults = Settings()
    return tuple(
        Setting(
            name,
            hints[name].__origin__,
            getattr(defaults, name),
            hints[name].__metadata__[0].description,
        )
        for name in Settings.__struct_fields__
    )


def resolve(
    command_line: Mapping[str, Any], environment: Mapping[str, str], file: Mapping[str, Any]
) -> Settings:
    """The settings of the three sources; the first that names a setting wins.

    Raises ConfigError that names the source, for an unknown name or an unfit value.
    """
    merged: dict[str, Any] = {}
    sources = (
        ("inferd.toml", file),
        ("environment", _from_environment(environment)),
        ("settings", command_line),
    )
    for source, values in sources:
        _check(source, values)
        merged.update(values)
    return msgspec.convert(merged, Settings, strict=False)


def read_file(path: Path | None) -> dict[str, Any]:
    """The settings in a TOML file: *path*, or ``inferd.toml`` in the working directory where there
    is one."""
    if path is None and not DEFAULT_FILE.exists():
        return {}
    chosen = path or DEFAULT_FILE
    try:
        return tomllib.loads(chosen.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {chosen}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{chosen} is not TOML: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
        and name != CONFIG_VARIABLE
        and not _SERVICE_LINK.fullmatch(f"{name}={value}")
    }


# Kubernetes tells each pod of a service called "inferd" by variables like these.
_SERVICE_LINK = re.compile(
    PREFIX + r"(SERVICE_HOST=.*|SERVICE_PORT.*|PORT_\d+_.*|PORT=\w+://.*)", re.DOTALL
)


def _spelled(source: str, name: str) -> str:
    return PREFIX + name.upper() if source == "environment" else name


def _check(source: str, values: Mapping[str, Any]) -> None:
    """Convert one source alone, so that a fault is blamed on it."""
    for name in values:
        if name not in Settings.__struct_fields__:
            near = difflib.get_close_matches(name, Settings.__struct_fields__, n=1)
            shown, *near = [_spelled(source, each) for each in (name, *near)]
            cure = f"Did you mean {near[0]!r}?" if near else "docs/settings.md lists them all."
            raise ConfigError(f"{source}: no setting is called {shown!r}", cure=cure)
    try:
        msgspec.convert(dict(values), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {error}") from None
