"""LightGBM's text files, answered by LightGBM."""

from inferd.artifact import Artifact
from inferd.errors import BadArtifact
from inferd.estimators.boosters import lightgbm_booster
from inferd.estimators.fitted import Fitted
from inferd.plugins import require
from inferd.runtimes.base import FittedRuntime


class LightgbmRuntime(FittedRuntime):
    """A booster. Where it classifies, a label is the class's number: the file does not hold the
    classes' names."""

    name = "lightgbm"

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix == ".txt" and artifact.head(len(MAGIC)) == MAGIC

    @classmethod
    def open(cls, artifact: Artifact) -> "LightgbmRuntime":
        lightgbm = require("lightgbm", "lightgbm")
        content = artifact.path.read_bytes().replace(b"\r\n", b"\n")
        # LightGBM reads past the end of a text that was cut off.
        if not (content.startswith(MAGIC) and _is_whole(content)):
            raise BadArtifact(f"{artifact.path} is cut off, or no model of LightGBM's")
        try:
            booster = lightgbm.Booster(model_str=content.decode())
        except Exception as error:  # noqa: BLE001 - its own, and what its parsing of JSON raises
            raise BadArtifact(f"LightGBM cannot load {artifact.path}: {error}") from None
        return cls(Fitted(lightgbm_booster(booster), "lightgbm"))


def _is_whole(content: bytes) -> bool:
    _, ended, rest = content.partition(b"\nend of trees\n")
    if b"\nparameters:\n" in rest:
        _, ended, rest = rest.partition(b"\nend of parameters\n")
        rest = rest.strip()
        return bool(ended) and (not rest or rest.startswith(b"pandas_categorical:"))
    return bool(ended)


MAGIC = b"tree\n"

plugin = LightgbmRuntime
