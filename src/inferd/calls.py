"""What is asked and how it is answered: calls, responses, the Reply, the one shape of every stage.

Every protocol's request becomes one of these calls, and every stage of the request path is a
``Handler``: it takes a call and the Reply to answer it with. Stages compose by wrapping.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from inferd.errors import InferdError
from inferd.rows import RowReader
from inferd.signature import Checker, Roles, Signature
from inferd.spec import Batching
from inferd.statistics import Statistics
from inferd.tensors import Array


class Handle(Protocol):
    """A counted reference to one loaded version of a model.

    A request carries the handle that decoded it, so that it can never run on another version's
    signature. Looking a handle up counts nothing and may be done in any thread; ``acquire`` and
    ``release`` are for the loop thread.
    """

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def version(self) -> str:
        """The version's name; mostly a number."""

    @property
    def signature(self) -> Signature:
        """What the version takes and gives."""

    @property
    def checker(self) -> Checker:
        """Holds requests against the signature."""

    @property
    def reader(self) -> RowReader:
        """Makes inputs from rows of features."""

    @property
    def roles(self) -> Roles:
        """Which outputs are the prediction and the probabilities."""

    @property
    def role_outputs(self) -> tuple[str, ...]:
        """The outputs that have a role."""

    @property
    def runtime_name(self) -> str:
        """What runs the version."""

    @property
    def example(self) -> Mapping[str, Array]:
        """One row that the version accepts, by input name."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns of the only input; empty where they are not known."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, as the columns of probabilities are; empty if not known."""

    @property
    def batching(self) -> Batching:
        """How its requests run together."""

    @property
    def streams(self) -> bool:
        """Whether an answer comes in parts."""

    @property
    def instances(self) -> int:
        """How many calls of the model may be under way at once."""

    @property
    def threads(self) -> int:
        """How many threads compute one call."""

    @property
    def successor(self) -> "Handle | None":
        """The version that answers in this one's place, where it was loaded again."""

    @property
    def infer(self) -> "Handler":
        """Answers an InferRequest that holds this handle, acquired."""

    def acquire(self) -> None:
        """Count one user more. Raises NotReady where the version is closed already."""

    def release(self) -> None:
        """Count one user less; the last one of a version that is draining closes it."""


class Call(msgspec.Struct, eq=False, kw_only=True):
    """Base of all calls."""

    principal: str = ""
    """Who asks, as the lane's door found; set by the lane."""

    request_id: str = ""
    """The caller's own id of this request beside its protocol, for the log; set by the lane."""


class InferRequest(Call, eq=False):
    """Run a model once.

    ``inputs`` were checked against the handle's signature: names, datatypes, shapes. ``rows`` is
    their extent along the batch axis (1 without one). ``outputs`` names what is wanted, in the
    model's order. ``deadline`` is in seconds of the monotonic clock; infinite where the caller gave
    none.
    """

    handle: Handle
    inputs: dict[str, Array]
    outputs: Sequence[str]
    rows: int
    parameters: Mapping[str, Any]
    id: str = ""
    deadline: float = float("inf")
    priority: int = 0
    """The level that the caller names, 1 the highest; 0: the model's default."""
    timeout_us: int = 0
    """How long the caller lets it wait for its turn, in microseconds; 0: he does not say."""


class ServerLive(Call, eq=False):
    """Does the process answer at all?"""


class ServerReady(Call, eq=False):
    """Can every model answer?"""


class ServerMetadata(Call, eq=False):
    """What is this server, and what does it speak?"""


class ModelReady(Call, eq=False):
    """Can this model, or this version of it, answer?"""

    model: str
    version: str | None = None


class ModelMetadata(Call, eq=False):
    """What does this model take and give?"""

    model: str
    version: str | None = None


class ModelStates(Call, eq=False):
    """Where does each version of each model, or of this one, stand?"""

    model: str | None = None
    version: str | None = None


class ModelStatistics(Call, eq=False):
    """What has each version of each model, or of this one, done so far?"""

    model: str | None = None
    version: str | None = None


class InferResponse(msgspec.Struct, eq=False):
    """One answer, or one part of a streamed answer: arrays by output name, in the model's order."""

    request: InferRequest
    outputs: dict[str, Array]

    def size(self) -> int:
        """How many values the answer has at most."""
        request = self.request
        return request.rows * request.handle.checker.values_per_row or sum(
            [a.size for a in self.outputs.values()]
        )


class Readiness(msgspec.Struct, frozen=True):
    """Whether something serves, and if not, why, one reason a line."""

    ready: bool
    reasons: tuple[str, ...] = ()


class ServerDescription(msgspec.Struct, frozen=True):
    """The server's name and version, and the models that are ready."""

    name: str
    version: str
    models: tuple[str, ...]


class ModelDescription(msgspec.Struct, frozen=True):
    """One version of a model, and its siblings that are ready."""

    handle: Handle
    versions: tuple[str, ...]


class VersionState(msgspec.Struct, frozen=True):
    """One version, the name of its state (see ``models.state``), and why it failed, if it did."""

    model: str
    version: str
    state: str
    reason: str = ""


class VersionStates(msgspec.Struct, frozen=True):
    """Every version that was ever taken up: models by name, their newest version first."""

    versions: tuple[VersionState, ...]


class StatisticsReport(msgspec.Struct, frozen=True):
    """The versions that are ready, and what each has done: models by name."""

    versions: tuple[tuple[Handle, Statistics], ...]


Response: TypeAlias = (
    InferResponse
    | Readiness
    | ServerDescription
    | ModelDescription
    | VersionStates
    | StatisticsReport
)


class Reply(Protocol):
    """How one call is answered: any number of parts, then exactly one end or fail.

    Made by a lane (or by ``engine.awaitable``), used by whichever stage answers. Every method and
    property is for the loop thread only; a worker thread goes through ``Home.post``. A unary answer
    is one part and an end; both may be called before the handler returns, and then no task and no
    future was made.
    """

    @property
    def cancelled(self) -> bool:
        """True once the caller has gone. Parts are then dropped; end or fail is still owed."""

    @property
    def writable(self) -> bool:
        """False while the caller takes parts more slowly than they are made.

        Parts are still accepted: this is a request to wait for ``on_writable``, and ignoring it
        costs memory.
        """

    def on_writable(self, callback: Callable[[], None]) -> None:
        """Call *callback* once: when ``writable`` is or becomes true, or the caller goes away."""

    def part(self, response: Response) -> None:
        """Send one part. Its arrays belong to the reply from here on, and may be read late."""

    def end(self) -> None:
        """Say that all parts were given."""

    def fail(self, error: InferdError) -> None:
        """End with an error; a stream that has begun is ended as its protocol can."""


Handler: TypeAlias = Callable[[Any, Reply], None]


class Lookup(Protocol):
    """Finds the handle that a decoder decodes with; reads only, so any thread may ask."""

    def __call__(
        self, model: str | None, version: str | None = None, label: str | None = None
    ) -> Handle:
        """The handle of a model (None: the default model) and version (None: its default version).

        A *label* stands for a version, where none is given. Raises ModelNotFound, UnknownLabel,
        NotReady, or InvalidInput where a model must be named.
        """
