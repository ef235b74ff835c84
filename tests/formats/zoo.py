"""All models of the sweep, by name."""

from collections.abc import Mapping

from tests.formats import boosters, estimators, pipelines
from tests.formats.cases import Case


def _named() -> Mapping[str, Case]:
    every = [*estimators.cases(), *pipelines.cases(), *boosters.cases()]
    made = {case.name: case for case in every}
    if len(made) < len(every):
        raise ValueError("two cases have one name")
    return made


CASES = _named()

FAST = (
    "RandomForestClassifier, three words",
    "RandomForestClassifier, missing values",
    "RandomForestClassifier(100 trees), ties",
    "GradientBoostingRegressor",
    "HistGradientBoostingClassifier, missing values",
    "StandardScaler, LogisticRegression",
    "SimpleImputer, StandardScaler, HistGradientBoostingClassifier",
    "StandardScaler, RandomForestClassifier, integers",
    "ColumnTransformer(OneHotEncoder, StandardScaler), LogisticRegression",
    "GaussianNB, two classes",
    "KMeans",
    "XGBClassifier, three classes, missing values, .json file",
    "LGBMClassifier, two classes, .txt file",
    "CatBoostClassifier, three words, missing values, .cbm file",
)
"""One of each kind of model, and of each kind of fault that conversions have been seen to make."""
