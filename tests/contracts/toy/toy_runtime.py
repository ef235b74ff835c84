"""A model format of a third party: a ``.toy`` file holds the number that features are multiplied
with."""

from collections.abc import Mapping, Sequence

import numpy as np

from inferd.artifact import Artifact
from inferd.errors import BadArtifact
from inferd.runtimes.base import Runtime
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array


class Toy(Runtime):
    """Multiplies."""

    name = "toy"
    signature = Signature(
        (TensorSpec("X", "FP64", (-1, 2)),), (TensorSpec("Y", "FP64", (-1, 2)),), batch_axis=0
    )

    def __init__(self, factor: float) -> None:
        self._factor = np.float64(factor)

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix == ".toy"

    @classmethod
    def open(cls, artifact: Artifact) -> "Toy":
        try:
            return cls(float(artifact.path.read_text("utf-8")))
        except ValueError as error:
            raise BadArtifact(f"{artifact.path} holds no number: {error}") from None

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        return dict.fromkeys(outputs, inputs["X"] * self._factor)


plugin = Toy
