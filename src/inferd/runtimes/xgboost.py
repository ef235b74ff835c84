"""XGBoost's own files, JSON and UBJSON, answered by XGBoost."""

import warnings

from inferd.artifact import Artifact
from inferd.errors import BadArtifact
from inferd.estimators.boosters import xgboost_booster
from inferd.estimators.fitted import Fitted
from inferd.estimators.origins import of_xgboost, warn_of
from inferd.estimators.ubjson import is_whole
from inferd.plugins import require
from inferd.runtimes.base import FittedRuntime


class XgboostRuntime(FittedRuntime):
    """A classifier, ranker or regressor: as it was stored, or by its objective."""

    name = "xgboost"

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        if artifact.suffix == ".json":
            return b'"learner"' in artifact.head(HEAD)
        return artifact.suffix == ".ubj"

    @classmethod
    def open(cls, artifact: Artifact) -> "XgboostRuntime":
        xgboost = require("xgboost", "xgboost")
        require("sklearn", "xgboost")  # its classifiers and regressors are scikit-learn's
        content = artifact.path.read_bytes()
        # XGBoost ends the process over an empty one, and reads past the end of a cut off one.
        if not (_is_json(content) or is_whole(content)):
            raise BadArtifact(f"{artifact.path} is cut off, or no model of XGBoost's")
        versions = of_xgboost(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old versions, which are told below
                model = xgboost_booster(xgboost.Booster(model_file=bytearray(content)))
        except Exception as error:  # noqa: BLE001 - its own, and ValueError where a file is empty
            raise BadArtifact(
                f"XGBoost cannot load {artifact.path}: {str(error).strip().splitlines()[-1]}"
            ) from None
        warn_of(artifact.path.name, versions)
        return cls(Fitted(model, "xgboost", versions))


def _is_json(content: bytes) -> bool:
    """XGBoost's own reader of JSON finds what is wrong with the rest."""
    return content[:2].strip() in (b"{", b'{"') and content.rstrip().endswith(b"}")


HEAD = 4096

plugin = XgboostRuntime
