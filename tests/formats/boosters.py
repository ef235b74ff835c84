"""XGBoost, LightGBM and CatBoost: classifiers, regressors and rankers, with gaps and categories, in
scikit-learn's manner and from their own files."""

from collections.abc import Callable, Iterator
from typing import Any

import catboost
import lightgbm
import numpy as np
import xgboost

from tests.formats.cases import SIZE, Case

GROUP = 20
QUERIES = np.arange(SIZE) // GROUP
SMALL = {"n_estimators": 10, "max_depth": 4, "random_state": 0}
FILES = {"xgboost": (".json", ".ubj"), "lightgbm": (".txt",), "catboost": (".cbm",)}
CLASSES = {
    "XGBClassifier": xgboost.XGBClassifier, "XGBRegressor": xgboost.XGBRegressor,
    "XGBRanker": xgboost.XGBRanker, "XGBRFClassifier": xgboost.XGBRFClassifier,
    "XGBRFRegressor": xgboost.XGBRFRegressor, "LGBMClassifier": lightgbm.LGBMClassifier,
    "LGBMRegressor": lightgbm.LGBMRegressor, "LGBMRanker": lightgbm.LGBMRanker,
    "CatBoostClassifier": catboost.CatBoostClassifier,
    "CatBoostRegressor": catboost.CatBoostRegressor, "CatBoostRanker": catboost.CatBoostRanker,
}  # fmt: skip
NAMES = {"xgboost": "XGBoost", "lightgbm": "LightGBM", "catboost": "CatBoost"}


def cases() -> Iterator[Case]:
    """All of them."""
    for name, settings, table, target in XGBOOST + LIGHTGBM + CATBOOST:
        yield _case(name, settings, table, target, ".joblib")
    for name, settings, table, target in FROM_FILES:
        for suffix in FILES[_library(name)]:
            yield _case(name, settings, table, target, suffix)


Row = tuple[str, dict[str, Any], str, str]


def _case(name: str, settings: dict[str, Any], table: str, target: str, suffix: str) -> Case:
    library = _library(name)
    must = settings.get("must", table not in {"categories", "people"})
    chosen = {key: value for key, value in settings.items() if key != "must"}
    shown = [f"{key}={value}" for key, value in chosen.items()]
    told = [f"({', '.join(shown)})" if shown else "", _told(table, target)]
    file = "" if suffix == ".joblib" else f", {suffix} file"
    return Case(
        f"{name}{''.join(told)}{file}",
        NAMES[library],
        _maker(name, chosen),
        table,
        target,
        fit=_fit(name, table),
        suffix=suffix,
        must=must,
        raw=table != "categories",
    )


def _library(name: str) -> str:
    return {"X": "xgboost", "L": "lightgbm", "C": "catboost"}[name[0]]


def _told(table: str, target: str) -> str:
    targets = {
        "two": "two classes",
        "three": "three classes",
        "words": "three words",
        "pair": "two targets",
        "flags": "three flags",
    }
    tables = {
        "missing": "missing values",
        "coarse": "ties",
        "codes": "category numbers",
        "categories": "categories",
        "integers": "integers",
        "people": "words",
        "named": "named columns",
    }
    told = [targets.get(target, ""), tables.get(table, "")]
    return "".join(f", {each}" for each in told if each)


def _fit(name: str, table: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if name == "XGBRanker":
        made["qid"] = QUERIES
    elif name == "LGBMRanker":
        made["group"] = np.full(SIZE // GROUP, GROUP)
    elif name == "CatBoostRanker":
        made["group_id"] = QUERIES
    if name.startswith("LGBM") and table == "codes":
        made["categorical_feature"] = [0, 3]
    return made


def _maker(name: str, settings: dict[str, Any]) -> Callable[[], Any]:
    quiet = {
        "xgboost": {"n_jobs": 1},
        "lightgbm": {"verbose": -1, "n_jobs": 1},
        "catboost": {"verbose": False, "allow_writing_files": False, "thread_count": 1},
    }[_library(name)]
    return lambda: CLASSES[name](**{**SMALL, **quiet, **settings})


XGBOOST: list[Row] = [
    ("XGBClassifier", {}, "numbers", "two"),
    ("XGBClassifier", {}, "numbers", "three"),
    ("XGBClassifier", {}, "missing", "three"),
    ("XGBClassifier", {}, "coarse", "two"),
    ("XGBClassifier", {}, "named", "two"),
    ("XGBClassifier", {}, "numbers", "flags"),
    ("XGBClassifier", {"booster": "dart", "rate_drop": 0.3}, "numbers", "three"),
    ("XGBClassifier", {"booster": "gblinear", "must": False}, "numbers", "three"),
    ("XGBClassifier", {"tree_method": "exact"}, "numbers", "two"),
    ("XGBClassifier", {"grow_policy": "lossguide", "max_leaves": 9}, "numbers", "two"),
    ("XGBClassifier", {"missing": -1.0, "must": False}, "integers", "two"),
    ("XGBClassifier", {"enable_categorical": True}, "categories", "two"),
    ("XGBClassifier", {"feature_types": ["c", "q", "q", "c", "q"], "enable_categorical": True},
     "codes", "three"),
    ("XGBRFClassifier", {}, "numbers", "three"),
    ("XGBRegressor", {}, "numbers", "amount"),
    ("XGBRegressor", {}, "missing", "amount"),
    ("XGBRegressor", {}, "integers", "amount"),
    ("XGBRegressor", {"base_score": 3.5}, "numbers", "amount"),
    ("XGBRegressor", {"objective": "reg:logistic"}, "numbers", "share"),
    ("XGBRegressor", {"objective": "count:poisson"}, "numbers", "count"),
    ("XGBRegressor", {"objective": "reg:gamma"}, "numbers", "positive"),
    ("XGBRegressor", {"objective": "reg:tweedie"}, "numbers", "positive"),
    ("XGBRegressor", {"objective": "reg:absoluteerror"}, "numbers", "amount"),
    ("XGBRegressor", {"objective": "reg:quantileerror", "quantile_alpha": 0.8},
     "numbers", "amount"),
    ("XGBRegressor", {}, "numbers", "pair"),
    ("XGBRegressor", {"multi_strategy": "multi_output_tree", "must": False}, "numbers", "pair"),
    ("XGBRFRegressor", {}, "numbers", "amount"),
    ("XGBRanker", {}, "numbers", "grades"),
    ("XGBRanker", {"objective": "rank:pairwise"}, "missing", "grades"),
]  # fmt: skip
LIGHTGBM: list[Row] = [
    ("LGBMClassifier", {}, "numbers", "two"),
    ("LGBMClassifier", {}, "numbers", "words"),
    ("LGBMClassifier", {}, "missing", "words"),
    ("LGBMClassifier", {}, "coarse", "two"),
    ("LGBMClassifier", {}, "named", "two"),
    ("LGBMClassifier", {"boosting_type": "dart"}, "numbers", "words"),
    ("LGBMClassifier", {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
     "numbers", "words"),
    ("LGBMClassifier", {"objective": "multiclassova"}, "numbers", "words"),
    ("LGBMClassifier", {"zero_as_missing": True}, "counts", "two"),
    ("LGBMClassifier", {"use_missing": False}, "missing", "two"),
    ("LGBMClassifier", {"linear_tree": True, "must": False}, "numbers", "two"),
    ("LGBMClassifier", {}, "codes", "words"),
    ("LGBMClassifier", {}, "categories", "two"),
    ("LGBMRegressor", {}, "numbers", "amount"),
    ("LGBMRegressor", {}, "missing", "amount"),
    ("LGBMRegressor", {}, "integers", "amount"),
    ("LGBMRegressor", {"objective": "poisson"}, "numbers", "count"),
    ("LGBMRegressor", {"objective": "gamma"}, "numbers", "positive"),
    ("LGBMRegressor", {"objective": "tweedie"}, "numbers", "positive"),
    ("LGBMRegressor", {"objective": "quantile"}, "numbers", "amount"),
    ("LGBMRegressor", {"objective": "cross_entropy"}, "numbers", "share"),
    ("LGBMRegressor", {"reg_sqrt": True, "must": False}, "numbers", "positive"),
    ("LGBMRanker", {}, "numbers", "grades"),
    ("LGBMRanker", {"objective": "rank_xendcg"}, "missing", "grades"),
]  # fmt: skip
CATBOOST: list[Row] = [
    ("CatBoostClassifier", {}, "numbers", "two"),
    ("CatBoostClassifier", {}, "numbers", "yes or no"),
    ("CatBoostClassifier", {}, "numbers", "words"),
    ("CatBoostClassifier", {}, "missing", "words"),
    ("CatBoostClassifier", {}, "coarse", "two"),
    ("CatBoostClassifier", {}, "named", "two"),
    ("CatBoostClassifier", {"loss_function": "MultiClassOneVsAll"}, "numbers", "words"),
    ("CatBoostClassifier", {"loss_function": "MultiLogloss", "must": False}, "numbers", "flags"),
    ("CatBoostClassifier", {"grow_policy": "Depthwise"}, "numbers", "two"),
    ("CatBoostClassifier", {"grow_policy": "Lossguide"}, "missing", "words"),
    ("CatBoostClassifier", {"nan_mode": "Max"}, "missing", "two"),
    ("CatBoostClassifier", {"cat_features": ["city", "plan"]}, "people", "two"),
    ("CatBoostClassifier", {"cat_features": ["city", "plan"], "one_hot_max_size": 10},
     "people", "words"),
    ("CatBoostRegressor", {}, "numbers", "amount"),
    ("CatBoostRegressor", {}, "missing", "amount"),
    ("CatBoostRegressor", {}, "integers", "amount"),
    ("CatBoostRegressor", {"loss_function": "MAE"}, "numbers", "amount"),
    ("CatBoostRegressor", {"loss_function": "Poisson"}, "numbers", "count"),
    ("CatBoostRegressor", {"loss_function": "Quantile:alpha=0.8"}, "numbers", "amount"),
    ("CatBoostRegressor", {"loss_function": "MultiRMSE"}, "numbers", "pair"),
    ("CatBoostRegressor", {"loss_function": "RMSEWithUncertainty", "must": False},
     "numbers", "amount"),
    ("CatBoostRanker", {}, "numbers", "grades"),
    ("CatBoostRanker", {"loss_function": "YetiRank"}, "missing", "grades"),
]  # fmt: skip
FROM_FILES: list[Row] = [
    ("XGBClassifier", {}, "numbers", "two"),
    ("XGBClassifier", {}, "missing", "three"),
    ("XGBRegressor", {}, "numbers", "amount"),
    ("XGBRanker", {}, "numbers", "grades"),
    ("LGBMClassifier", {}, "numbers", "two"),
    ("LGBMClassifier", {}, "missing", "three"),
    ("LGBMClassifier", {}, "codes", "three"),
    ("LGBMRegressor", {}, "numbers", "amount"),
    ("LGBMRanker", {}, "numbers", "grades"),
    ("CatBoostClassifier", {}, "numbers", "two"),
    ("CatBoostClassifier", {}, "missing", "words"),
    ("CatBoostRegressor", {}, "numbers", "amount"),
    ("CatBoostRanker", {}, "numbers", "grades"),
]
