"""Typical pipelines of scikit-learn, and models over tables with names."""

from collections.abc import Callable, Iterator
from typing import Any

from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold, f_regression
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC
from xgboost import XGBClassifier

from tests.formats.cases import Case

NUMBERS = make_column_selector(dtype_include="number")
WORDS = make_column_selector(dtype_exclude="number")


def _forest() -> Any:
    return RandomForestClassifier(10, max_depth=6, random_state=0)


def _logistic() -> Any:
    return LogisticRegression(max_iter=300)


def _columns(words: Any, numbers: Any) -> ColumnTransformer:
    return make_column_transformer((words, WORDS), (numbers, NUMBERS))


def _one_hot() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore")


def _ordinal() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def _three() -> list[tuple[str, Any]]:
    return [("forest", _forest()), ("logistic", _logistic()), ("bayes", GaussianNB())]


def cases() -> Iterator[Case]:
    """All of them."""
    for name, model, table, target, must in (*_plain(), *_scaled(), *_people(), *_composed()):
        yield Case(
            name, "scikit-learn: pipelines", model, table, target, must=must,
            rows=20_000 if "SVC" in name or "KNN" in name else 100_000,
        )  # fmt: skip


Row = tuple[str, Callable[[], Any], str, str, bool]


def _plain() -> list[Row]:
    pipe = make_pipeline
    return [
        ("StandardScaler, LogisticRegression", lambda: pipe(StandardScaler(), _logistic()),
         "numbers", "words", True),
        ("StandardScaler, LogisticRegression, named columns",
         lambda: pipe(StandardScaler(), _logistic()), "named", "two", True),
        ("RandomForestClassifier, named columns", _forest, "named", "words", True),
        ("SimpleImputer, StandardScaler, RandomForestClassifier",
         lambda: pipe(SimpleImputer(), StandardScaler(), _forest()), "missing", "words", True),
        ("SimpleImputer(median, indicator), LogisticRegression",
         lambda: pipe(SimpleImputer(strategy="median", add_indicator=True), _logistic()),
         "missing", "two", True),
        ("SimpleImputer, StandardScaler, HistGradientBoostingClassifier",
         lambda: pipe(SimpleImputer(), StandardScaler(),
                      HistGradientBoostingClassifier(max_iter=10)), "missing", "words", True),
        ("KNNImputer, Ridge", lambda: pipe(KNNImputer(), Ridge()), "missing", "amount", False),
        ("StandardScaler, RandomForestClassifier, integers",
         lambda: pipe(StandardScaler(), _forest()), "integers", "words", True),
        ("RandomForestRegressor, integers",
         lambda: RandomForestRegressor(10, random_state=0), "integers", "amount", True),
        ("PCA, SVC", lambda: pipe(StandardScaler(), PCA(3), SVC()), "numbers", "words", True),
        ("StandardScaler, LinearSVC", lambda: pipe(StandardScaler(), LinearSVC()),
         "numbers", "words", True),
        ("PolynomialFeatures, Ridge", lambda: pipe(PolynomialFeatures(2), Ridge()),
         "numbers", "amount", True),
        ("SelectKBest, RandomForestRegressor",
         lambda: pipe(SelectKBest(f_regression, k=3), RandomForestRegressor(10, random_state=0)),
         "numbers", "amount", True),
        ("SelectFromModel, LogisticRegression",
         lambda: pipe(SelectFromModel(_forest()), _logistic()), "numbers", "two", True),
        ("VarianceThreshold, SGDClassifier",
         lambda: pipe(VarianceThreshold(), StandardScaler(), SGDClassifier(random_state=0)),
         "numbers", "words", True),
        ("TruncatedSVD, LogisticRegression", lambda: pipe(TruncatedSVD(3), _logistic()),
         "numbers", "words", True),
        ("StandardScaler, MLPClassifier",
         lambda: pipe(StandardScaler(), MLPClassifier((16,), max_iter=50, random_state=0)),
         "numbers", "words", True),
    ]  # fmt: skip


def _scaled() -> list[Row]:
    """Each transformer of single columns in front of a model that tells its values apart."""
    transformers: list[tuple[str, Callable[[], Any], bool]] = [
        ("MinMaxScaler", lambda: MinMaxScaler(clip=True), True),
        ("MaxAbsScaler", MaxAbsScaler, True),
        ("RobustScaler", RobustScaler, True),
        ("Normalizer", Normalizer, True),
        ("Binarizer", lambda: Binarizer(threshold=0.5), True),
        ("KBinsDiscretizer", lambda: KBinsDiscretizer(4), True),
        ("PowerTransformer", PowerTransformer, False),
        ("QuantileTransformer",
         lambda: QuantileTransformer(n_quantiles=50, output_distribution="normal"), False),
        ("SplineTransformer", lambda: SplineTransformer(4), False),
        ("FunctionTransformer", lambda: FunctionTransformer(), True),
    ]  # fmt: skip
    return [
        (f"{name}, {model}", _chain(transformer, last), "numbers", "words", must)
        for name, transformer, must in transformers
        for model, last in (("LogisticRegression", _logistic), ("RandomForestClassifier", _forest))
    ]


def _chain(first: Callable[[], Any], last: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: make_pipeline(first(), last())


def _people() -> list[Row]:
    """Words and numbers side by side, in a DataFrame."""
    pipe = make_pipeline
    return [
        ("ColumnTransformer(OneHotEncoder, StandardScaler), LogisticRegression",
         lambda: pipe(_columns(_one_hot(), StandardScaler()), _logistic()),
         "people", "yes or no", True),
        ("ColumnTransformer(OneHotEncoder, StandardScaler), LinearRegression",
         lambda: pipe(_columns(OneHotEncoder(drop="first"), StandardScaler()), LinearRegression()),
         "people", "amount", True),
        ("ColumnTransformer(OneHotEncoder, passthrough), RandomForestClassifier",
         lambda: pipe(_columns(_one_hot(), "passthrough"), _forest()), "people", "words", True),
        ("ColumnTransformer(OneHotEncoder, SimpleImputer), HistGradientBoostingClassifier",
         lambda: pipe(
             _columns(OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                      SimpleImputer(strategy="median")),
             HistGradientBoostingClassifier(max_iter=10)), "holey", "words", True),
        ("ColumnTransformer(OrdinalEncoder, passthrough), HistGradientBoostingRegressor",
         lambda: pipe(_columns(_ordinal(), "passthrough"),
                      HistGradientBoostingRegressor(max_iter=10)), "holey", "amount", True),
        ("ColumnTransformer(OrdinalEncoder, StandardScaler), ExtraTreesClassifier",
         lambda: pipe(_columns(_ordinal(), StandardScaler()),
                      ExtraTreesClassifier(10, random_state=0)), "people", "words", True),
        ("ColumnTransformer(imputed OneHotEncoder, imputed StandardScaler), LogisticRegression",
         lambda: pipe(
             _columns(pipe(SimpleImputer(strategy="most_frequent"), _one_hot()),
                      pipe(SimpleImputer(), StandardScaler())), _logistic()),
         "holey", "two", True),
        ("ColumnTransformer(TargetEncoder, StandardScaler), Ridge",
         lambda: pipe(_columns(TargetEncoder(random_state=0), StandardScaler()), Ridge()),
         "people", "amount", False),
        ("ColumnTransformer(OneHotEncoder, passthrough), XGBClassifier",
         lambda: pipe(_columns(_one_hot(), "passthrough"), XGBClassifier(n_estimators=10)),
         "people", "two", True),
        ("ColumnTransformer(OrdinalEncoder, passthrough), LGBMClassifier",
         lambda: pipe(_columns(_ordinal(), "passthrough"),
                      LGBMClassifier(n_estimators=10, verbose=-1)), "people", "two", True),
        ("HistGradientBoostingClassifier(categorical from_dtype)",
         lambda: HistGradientBoostingClassifier(max_iter=10), "categories", "words", True),
    ]  # fmt: skip


def _composed() -> list[Row]:
    pipe = make_pipeline
    return [
        ("CalibratedClassifierCV(RandomForestClassifier, isotonic)",
         lambda: CalibratedClassifierCV(_forest(), method="isotonic", cv=2),
         "numbers", "words", True),
        ("CalibratedClassifierCV(LinearSVC)",
         lambda: CalibratedClassifierCV(pipe(StandardScaler(), LinearSVC()), cv=2),
         "numbers", "two", True),
        ("StackingClassifier(RandomForest, LogisticRegression, GaussianNB)",
         lambda: StackingClassifier(_three(), cv=2), "numbers", "words", True),
        ("VotingClassifier(hard)", lambda: VotingClassifier(_three()), "numbers", "words", True),
        ("VotingClassifier(hard, ties)", lambda: VotingClassifier(_three()[:2]),
         "coarse", "words", True),
        ("VotingRegressor(RandomForest, Ridge)",
         lambda: VotingRegressor([("forest", RandomForestRegressor(10, random_state=0)),
                                  ("ridge", Ridge())]), "numbers", "amount", True),
        ("GridSearchCV(scaler, forest)",
         lambda: GridSearchCV(pipe(StandardScaler(), _forest()),
                              {"randomforestclassifier__max_depth": [3, 6]}, cv=2),
         "numbers", "words", True),
        ("FeatureUnion(PCA, SelectKBest), Ridge",
         lambda: pipe(make_union(PCA(2), SelectKBest(f_regression, k=2)), Ridge()),
         "numbers", "amount", True),
        ("FeatureUnion(SimpleImputer, MissingIndicator), GradientBoostingRegressor",
         lambda: pipe(make_union(SimpleImputer(), MissingIndicator(features="all")),
                      GradientBoostingRegressor(n_estimators=10, random_state=0)),
         "missing", "amount", True),
        ("HistGradientBoostingClassifier(categorical_features)",
         lambda: HistGradientBoostingClassifier(max_iter=10, categorical_features=[0, 3]),
         "codes", "words", True),
        ("RandomForestClassifier(100 deep trees)",
         lambda: RandomForestClassifier(100, random_state=0), "numbers", "two", True),
        ("RandomForestClassifier(100 trees), ties",
         lambda: RandomForestClassifier(100, max_depth=3, random_state=0), "coarse", "two", True),
    ]  # fmt: skip
