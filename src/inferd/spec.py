"""What an operator wants of one version of a model, apart from the artifact itself."""

import msgspec

from inferd.artifact import Artifact


class Batching(msgspec.Struct, frozen=True):
    """How requests that wait for one model run together."""

    max_batch_size: int = 256
    """Rows in one call at most; 1 turns joining off. A larger request runs alone, whole."""
    max_queue_delay_microseconds: int = 0
    """How long the oldest request may wait for company; 0: only what waits anyway is joined."""
    max_queue_size: int = 1000
    """Requests waiting at most; beyond that they are refused at once."""


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
