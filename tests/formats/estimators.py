"""Every class of scikit-learn that predicts, fitted."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sklearn import base
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from tests.formats.cases import FULL, SIZE, Case

Arguments = Callable[[], Mapping[str, Any]]


def _logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


def _classifiers() -> list[tuple[str, Any]]:
    return [("tree", DecisionTreeClassifier(max_depth=4)), ("bayes", GaussianNB())]


def _regressors() -> list[tuple[str, Any]]:
    return [("tree", DecisionTreeRegressor(max_depth=4)), ("ridge", Ridge())]


ARGUMENTS: Mapping[str, Arguments] = {
    "ClassifierChain": lambda: {"estimator": _logistic()},
    "FixedThresholdClassifier": lambda: {"estimator": _logistic(), "threshold": 0.3},
    "GridSearchCV": lambda: {
        "estimator": _logistic(),
        "param_grid": {"logisticregression__C": [0.5, 2]},
        "cv": 2,
    },
    "MultiOutputClassifier": lambda: {"estimator": _logistic()},
    "MultiOutputRegressor": lambda: {"estimator": Ridge()},
    "OneVsOneClassifier": lambda: {"estimator": LogisticRegression()},
    "OneVsRestClassifier": lambda: {"estimator": LogisticRegression()},
    "OutputCodeClassifier": lambda: {"estimator": LogisticRegression(), "random_state": 0},
    "Pipeline": lambda: {"steps": [("scale", StandardScaler()), ("model", LogisticRegression())]},
    "RFE": lambda: {"estimator": LogisticRegression(), "n_features_to_select": 3},
    "RFECV": lambda: {"estimator": LogisticRegression(), "cv": 2},
    "RandomizedSearchCV": lambda: {
        "estimator": DecisionTreeClassifier(),
        "param_distributions": {"max_depth": [3, 4]},
        "n_iter": 2,
        "cv": 2,
    },
    "RegressorChain": lambda: {"estimator": Ridge()},
    "SelfTrainingClassifier": lambda: {"estimator": GaussianNB()},
    "StackingClassifier": lambda: {"estimators": _classifiers(), "cv": 2},
    "StackingRegressor": lambda: {"estimators": _regressors(), "cv": 2},
    "TransformedTargetRegressor": lambda: {
        "regressor": LinearRegression(),
        "transformer": StandardScaler(),
    },
    "TunedThresholdClassifierCV": lambda: {"estimator": _logistic(), "cv": 2},
    "VotingClassifier": lambda: {"estimators": _classifiers(), "voting": "soft"},
    "VotingRegressor": lambda: {"estimators": _regressors()},
    "RadiusNeighborsClassifier": lambda: {"radius": 50.0, "outlier_label": "most_frequent"},
    "RadiusNeighborsRegressor": lambda: {"radius": 50.0},
    "LocalOutlierFactor": lambda: {"novelty": True},
    "KMeans": lambda: {"n_clusters": 4, "n_init": 1},
    "MiniBatchKMeans": lambda: {"n_clusters": 4, "n_init": 1},
    "GaussianMixture": lambda: {"n_components": 3},
    "BayesianGaussianMixture": lambda: {"n_components": 3},
    "MLPClassifier": lambda: {"hidden_layer_sizes": (16, 8), "max_iter": 50},
    "MLPRegressor": lambda: {"hidden_layer_sizes": (16, 8), "max_iter": 50},
    "HistGradientBoostingClassifier": lambda: {"max_iter": 10},
    "HistGradientBoostingRegressor": lambda: {"max_iter": 10},
    "TheilSenRegressor": lambda: {"max_subpopulation": 100},
    "LogisticRegressionCV": lambda: {"Cs": 3, "cv": 2},
    "BisectingKMeans": lambda: {"n_clusters": 4},
    "IsotonicRegression": lambda: {"out_of_bounds": "clip"},
}
"""What a class cannot be made without, or would be slow or pointless without."""

TABLE = {
    "ComplementNB": "counts",
    "MultinomialNB": "counts",
    "CategoricalNB": "counts",
    "IsotonicRegression": "single",
    "SGDRegressor": "even",
}
TARGET = {
    "CCA": "pair",
    "PLSCanonical": "pair",
    "MultiTaskElasticNet": "pair",
    "MultiTaskElasticNetCV": "pair",
    "MultiTaskLasso": "pair",
    "MultiTaskLassoCV": "pair",
    "MultiOutputClassifier": "two labels",
    "MultiOutputRegressor": "pair",
    "RegressorChain": "pair",
    "ClassifierChain": "flags",
    "FixedThresholdClassifier": "two",
    "TunedThresholdClassifierCV": "two",
    "GammaRegressor": "positive",
    "PoissonRegressor": "count",
    "TweedieRegressor": "positive",
    "GridSearchCV": "words",
    "Pipeline": "words",
    "SelfTrainingClassifier": "three",
    "RFE": "words",
    "RFECV": "words",
    "RandomizedSearchCV": "words",
}
NATIVE = frozenset({
    "GaussianProcessClassifier", "IsotonicRegression", "KNeighborsClassifier",
    "KNeighborsRegressor", "KernelRidge", "LabelPropagation", "LabelSpreading",
    "LocalOutlierFactor", "NearestCentroid", "NuSVC", "RadiusNeighborsClassifier",
    "RadiusNeighborsRegressor",
})  # fmt: skip
"""Classes that their own library may answer: without an exact form, or so sensitive to rounding
that a few rows decide."""
SLOW = {
    "GaussianProcessClassifier": 5_000,
    "GaussianProcessRegressor": 20_000,
    "KNeighborsClassifier": 20_000,
    "KNeighborsRegressor": 20_000,
    "LabelPropagation": 20_000,
    "LabelSpreading": 20_000,
    "LocalOutlierFactor": 20_000,
    "NuSVC": 20_000,
    "NuSVR": 20_000,
    "OneClassSVM": 20_000,
    "RadiusNeighborsClassifier": 5_000,
    "RadiusNeighborsRegressor": 5_000,
    "SVC": 20_000,
    "SVR": 20_000,
}
"""Rows for classes that are slow in their own library."""
SMALL = dict.fromkeys(("GaussianProcessClassifier", "GaussianProcessRegressor"), 80)

MISSING = (
    "BaggingClassifier", "BaggingRegressor", "DecisionTreeClassifier", "DecisionTreeRegressor",
    "ExtraTreeClassifier", "ExtraTreeRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "IsolationForest",
    "RandomForestClassifier", "RandomForestRegressor",
)  # fmt: skip
TIES = (
    "AdaBoostClassifier", "BaggingClassifier", "DecisionTreeClassifier", "ExtraTreeClassifier",
    "ExtraTreesClassifier", "GradientBoostingClassifier", "HistGradientBoostingClassifier",
    "IsolationForest", "RandomForestClassifier", "RandomForestRegressor",
)  # fmt: skip
SEVERAL = {
    "DecisionTreeClassifier": "two labels", "DecisionTreeRegressor": "pair",
    "ExtraTreesRegressor": "pair", "KNeighborsRegressor": "pair", "Lasso": "pair",
    "LinearRegression": "pair", "MLPClassifier": "flags", "MLPRegressor": "pair",
    "OneVsRestClassifier": "flags", "PLSRegression": "pair", "RandomForestClassifier": "two labels",
    "RandomForestRegressor": "pair", "Ridge": "pair", "RidgeClassifier": "flags",
}  # fmt: skip


def classes() -> Mapping[str, type]:
    """Every class that predicts, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: cls for name, cls in all_estimators() if hasattr(cls, "predict")}


def cases() -> Iterator[Case]:
    """Each class: classifiers with two classes and with three words; trees also with gaps and on
    coarse grids; what takes several targets also with these."""
    known = classes()
    for name, cls in known.items():
        for suffix, target in _targets(name, cls):
            yield _case(name, cls, suffix, TABLE.get(name, "numbers"), target)
    for name in MISSING:
        yield _case(name, known[name], ", missing values", "missing", _last(name, known[name]))
    for name in TIES:
        yield _case(name, known[name], ", ties", "coarse", _last(name, known[name]))
    for name, target in SEVERAL.items():
        yield _case(name, known[name], ", several targets", "numbers", target)


def _targets(name: str, cls: type) -> list[tuple[str, str]]:
    if name in TARGET:
        return [("", TARGET[name])]
    if issubclass(cls, base.ClassifierMixin):
        return [(", two classes", "two"), (", three words", "words")]
    return [("", "amount" if issubclass(cls, base.RegressorMixin) else "")]


def _last(name: str, cls: type) -> str:
    return _targets(name, cls)[-1][1]


def _case(name: str, cls: type, suffix: str, table: str, target: str) -> Case:
    return Case(
        name + suffix,
        f"scikit-learn: {cls.__module__.split('.')[1].strip('_').replace('_', ' ')}",
        lambda: _make(name, cls),
        table,
        target,
        must=name not in NATIVE,
        rows=SLOW.get(name, FULL),
        size=SMALL.get(name, SIZE),
    )


def _make(name: str, cls: type) -> Any:
    model = cls(**ARGUMENTS.get(name, dict)())
    known = model.get_params(deep=False)
    small = {"n_estimators": 10, "random_state": 0}
    model.set_params(**{key: value for key, value in small.items() if key in known})
    return model
