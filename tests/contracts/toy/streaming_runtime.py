"""A model format of a third party that answers in parts: as many as the first feature says.

It writes a letter for each part to the file beside the model, and one when it is closed, so that a
test can see from outside what it does.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from inferd.artifact import Artifact
from inferd.runtimes.base import Runtime
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array


class Parts(Runtime):
    """Counts; a negative number makes it fail after as many parts."""

    name = "parts"
    streams = True
    signature = Signature(
        (TensorSpec("X", "FP64", (-1, 2)),), (TensorSpec("Y", "FP64", (-1, -1)),), batch_axis=0
    )

    def __init__(self, diary: Path) -> None:
        self._diary = diary

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix == ".toy"

    @classmethod
    def open(cls, artifact: Artifact) -> "Parts":
        return cls(artifact.path.with_suffix(".diary"))

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        raise NotImplementedError("it answers in parts")

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        count, width = map(int, inputs["X"][0])
        with self._diary.open("ab", buffering=0) as diary:
            try:
                for at in range(abs(count)):
                    diary.write(b"p")
                    yield dict.fromkeys(outputs, np.full((1, width), float(at)))
                if count < 0:
                    raise ValueError("a secret of the model")
            finally:
                diary.write(b"c")


plugin = Parts
