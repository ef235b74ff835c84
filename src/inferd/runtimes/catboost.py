"""CatBoost's own files, answered by CatBoost."""

import json
from typing import Any

from inferd.artifact import Artifact
from inferd.errors import BadArtifact
from inferd.estimators.fitted import Fitted
from inferd.estimators.origins import made_with, warn_of
from inferd.plugins import require
from inferd.runtimes.base import FittedRuntime


class CatboostRuntime(FittedRuntime):
    """A classifier, ranker or regressor, by its loss."""

    name = "catboost"

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix == ".cbm"

    @classmethod
    def open(cls, artifact: Artifact) -> "CatboostRuntime":
        catboost = require("catboost", "catboost")
        if artifact.head(len(MAGIC)) != MAGIC:
            raise BadArtifact(f"{artifact.path} is no model of CatBoost's")
        try:
            model = _as_its_kind(catboost, artifact)
        except Exception as error:  # noqa: BLE001 - its own, and what Cython makes of C++'s
            raise BadArtifact(f"CatBoost cannot load {artifact.path}: {error}") from None
        versions = made_with(model)
        warn_of(artifact.path.name, versions)
        return cls(Fitted(model, "catboost", versions))


def _as_its_kind(catboost: Any, artifact: Artifact) -> Any:
    """The model in the class that has the methods of its kind."""
    base = catboost.CatBoost()
    base.load_model(str(artifact.path))
    loss = _loss(base)
    if loss in CLASSIFICATIONS:
        model = catboost.CatBoostClassifier()
    elif loss in RANKINGS:
        model = catboost.CatBoostRanker()
    else:
        model = catboost.CatBoostRegressor()
    model.load_model(str(artifact.path))
    return model


def _loss(model: Any) -> str:
    stored = dict(model.get_metadata()).get("params", "{}")
    return str(json.loads(stored).get("loss_function", {}).get("type", ""))


MAGIC = b"CBM1"
CLASSIFICATIONS = frozenset(
    {"Logloss", "CrossEntropy", "Focal", "MultiClass", "MultiClassOneVsAll", "MultiLogloss"}
    | {"MultiCrossEntropy"}
)
RANKINGS = frozenset(
    {"LambdaMart", "PairLogit", "PairLogitPairwise", "QueryCrossEntropy", "QueryRMSE"}
    | {"QuerySoftMax", "StochasticFilter", "StochasticRank", "YetiRank", "YetiRankPairwise"}
)

plugin = CatboostRuntime
