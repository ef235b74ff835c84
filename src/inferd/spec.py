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


class ModelSpec(msgspec.Struct, frozen=True):
    """One version of a model: where it comes from and how to run it."""

    name: str
    version: str
    artifact: Artifact
    batching: Batching = Batching()
