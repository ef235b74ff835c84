"""Bare boosters of LightGBM and XGBoost as models in scikit-learn's manner."""

from typing import Any, ClassVar

import numpy as np

from inferd.tensors import Array


class LightGBMBooster:
    """A ``lightgbm.Booster``: what its own ``predict`` gives is the prediction."""

    inferd_library: ClassVar[str] = "lightgbm"
    _estimator_type: ClassVar[str] = "regressor"

    def __init__(self, booster: Any, objective: str) -> None:
        self.booster_ = booster
        self.objective_ = objective
        self.n_features_in_ = int(booster.num_feature())
        self.feature_name_ = list(booster.feature_name())
        names = None if _generic(self.feature_name_, "Column_") else self.feature_name_
        self.feature_names_in_ = None if names is None else np.array(names, object)

    def predict(self, rows: Any) -> Array:
        """The booster's own prediction, on one thread."""
        return np.asarray(self.booster_.predict(rows, num_threads=1))


class LightGBMBoosterClassifier(LightGBMBooster):
    """One whose objective is a classification: its label is the class's number, as it was when the
    model was fitted. The names of classes are nowhere in a booster."""

    _estimator_type: ClassVar[str] = "classifier"

    def __init__(self, booster: Any, objective: str) -> None:
        super().__init__(booster, objective)
        classes = int(booster.params.get("num_class", 1)) if objective != "binary" else 2
        self.classes_ = np.arange(max(classes, booster.num_model_per_iteration()))

    def predict(self, rows: Any) -> Array:
        """The most probable class, as ``LGBMClassifier`` picks it."""
        picked: Array = self.classes_[np.argmax(self.predict_proba(rows), axis=1)]
        return picked

    def predict_proba(self, rows: Any) -> Array:
        """One column for each class, as ``LGBMClassifier`` makes them."""
        scores = super().predict(rows)
        return np.vstack((1.0 - scores, scores)).T if scores.ndim == 1 else scores


def lightgbm_booster(booster: Any) -> LightGBMBooster:
    """*booster* as the one or the other."""
    objective = _objective(booster)
    if objective in ("binary", "multiclass", "multiclassova"):
        return LightGBMBoosterClassifier(booster, objective)
    return LightGBMBooster(booster, objective)


def _objective(booster: Any) -> str:
    """Of the model's text, which tells what the parameters do not: one without an objective."""
    head = booster.model_to_string(num_iteration=1).partition("\nTree=")[0]
    line = next((each for each in head.splitlines() if each.startswith("objective=")), "")
    return line.removeprefix("objective=").partition(" ")[0]


def xgboost_booster(booster: Any) -> Any:
    """An ``XGBClassifier``, ``XGBRanker`` or ``XGBRegressor`` around a copy of *booster*, by what
    was stored with it or by its objective."""
    import json

    import xgboost

    name = json.loads(booster.save_config())["learner"]["learner_train_param"]["objective"]
    stored = json.loads(booster.attr("scikit_learn") or "{}").get("_estimator_type")
    if stored == "classifier" or name.startswith(("binary:", "multi:")):
        model = xgboost.XGBClassifier(enable_categorical=True)
    elif stored == "ranker" or name.startswith("rank:"):
        model = xgboost.XGBRanker(enable_categorical=True)
    else:
        model = xgboost.XGBRegressor(enable_categorical=True)
    model.load_model(booster.save_raw("ubj"))
    if booster.attr("scikit_learn") is None:
        # A bare booster answers with all its trees, a wrapper with those up to the best.
        model.get_booster().set_attr(best_iteration=None, best_score=None)
    return model


def _generic(names: list[str], prefix: str) -> bool:
    return names == [f"{prefix}{at}" for at in range(len(names))]
