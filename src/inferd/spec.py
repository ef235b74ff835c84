"""What an operator wants of one version of a model, apart from the artifact itself."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from inferd.artifact import Artifact
from inferd.errors import ConfigError


class QueuePolicy(msgspec.Struct, frozen=True):
    """How long requests wait, and how many; with Triton's meaning of the same words."""

    timeout_microseconds: int = 0
    """What a request may wait that says nothing itself; 0: for ever."""
    timeout_action: Literal["reject", "delay"] = "reject"
    """Whether one that waited longer is refused, or runs when no other of its level waits."""
    allow_timeout_override: bool = True
    """Whether a request's own timeout counts: the shorter one does."""
    max_queue_size: int = 1000
    """Requests of one level waiting at most; beyond that they are refused at once. 0: no bound."""


class Batching(msgspec.Struct, frozen=True):
    """How requests that wait for one model run together."""

    max_batch_size: int = 256
    """Rows in one call in a thread at most, where rows can be joined; a larger request runs as
    several calls. 1 turns joining off, and larger requests run whole."""
    max_queue_delay_microseconds: int = 0
    """How long the oldest request may wait for company; 0: only what waits anyway is joined."""
    preferred_batch_size: tuple[int, ...] = ()
    """Rows with which a batch runs, and does not wait for more; none: ``max_batch_size`` alone."""
    preserve_ordering: bool = False
    """Whether answers leave in the order in which their requests came."""
    priority_levels: int = 0
    """Requests of level 1 go before those of level 2, and so on; 0: there are no levels."""
    default_priority_level: int = 0
    """The level of a request that names none, or none that there is; 0: the middle one."""
    queue: QueuePolicy = QueuePolicy()
    level_queues: Mapping[int, QueuePolicy] = {}
    """The policy of single levels, where it is another one."""
    queue_target_ms: float = 1000.0
    """Requests are refused while what waits has for long waited longer than this; 0: never."""

    def __post_init__(self) -> None:
        """Raise ConfigError where two settings do not go together (Triton's rules)."""
        if not all(1 <= size <= self.max_batch_size for size in self.preferred_batch_size):
            raise ConfigError(
                "preferred_batch_size: a batch cannot have so many rows",
                got=", ".join(map(str, self.preferred_batch_size)),
                expected=f"sizes from 1 to max_batch_size, which is {self.max_batch_size}",
            )
        if self.default_priority_level > self.priority_levels:
            raise ConfigError(
                "default_priority_level: there is no such level",
                got=str(self.default_priority_level),
                expected=f"at most priority_levels, which is {self.priority_levels}",
            )
        unknown = [level for level in self.level_queues if not 1 <= level <= self.priority_levels]
        if unknown:
            raise ConfigError(
                "a queue policy is for a level that there is not",
                got=str(unknown[0]),
                expected=f"from 1 to priority_levels, which is {self.priority_levels}",
            )
        if self.preserve_ordering and self._overtakes():
            raise ConfigError(
                "preserve_ordering: requests would overtake each other all the same",
                expected="at most one level of priority, and timeout_action reject",
            )

    @property
    def default_level(self) -> int:
        """The level of a request that names none; 0 where there are no levels."""
        return self.default_priority_level or (self.priority_levels + 1) // 2

    def level_of(self, priority: int) -> int:
        """The level of a request that names *priority*: the default where there is none such."""
        return priority if 1 <= priority <= self.priority_levels else self.default_level

    def policy_of(self, level: int) -> QueuePolicy:
        """How requests of *level* wait."""
        return self.level_queues.get(level, self.queue)

    def _overtakes(self) -> bool:
        policies = (self.queue, *self.level_queues.values())
        delays = any(policy.timeout_action == "delay" for policy in policies)
        return self.priority_levels > 1 or delays


class Loading(msgspec.Struct, frozen=True):
    """How an artifact becomes a runtime."""

    compile: bool = True
    """Whether a model is compiled where that gives the same answers."""
    native_processes: int = 0
    """Processes that run a model which would keep the interpreter from its other work; 0: none."""
    cache_dir: str = ""
    """Where compiled models are kept; empty: the default place, ``none``: nowhere."""


class ModelSpec(msgspec.Struct, frozen=True):
    """One version of a model: where it comes from and how to run it."""

    name: str
    version: str
    artifact: Artifact
    batching: Batching = Batching()
    loading: Loading = Loading()
