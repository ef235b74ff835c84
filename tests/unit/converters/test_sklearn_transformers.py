"""compiling/converters/sklearn: scikit-learn's transformers of numbers, against themselves."""

import functools
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn import (
    compose,
    decomposition,
    feature_selection,
    impute,
    linear_model,
    pipeline,
    preprocessing,
    random_projection,
    tree,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.kernel_approximation import RBFSampler

from inferd.compiling.converters.base import CannotConvert
from tests.unit.converters.comparing import (
    COLUMNS,
    answers,
    close,
    compiled,
    fit,
    nasty,
    same,
    table,
)

REFUSED = onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument
"""What a run raises that fails as the library does."""

SCALERS = [
    preprocessing.StandardScaler(),
    preprocessing.StandardScaler(with_mean=False),
    preprocessing.StandardScaler(with_std=False),
    preprocessing.MinMaxScaler(),
    preprocessing.MinMaxScaler(feature_range=(-3, 0.7), clip=True),
    preprocessing.MaxAbsScaler(),
    preprocessing.MaxAbsScaler(clip=True),
    preprocessing.RobustScaler(),
    preprocessing.RobustScaler(with_centering=False, unit_variance=True),
    preprocessing.RobustScaler(with_scaling=False),
]


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_scalers_give_the_same_bits(scaler: Any) -> None:
    """A scaled number is the library's to the last bit, missing ones included."""
    same(fit(scaler, table(missing=0.1)), nasty(missing=0.1))


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_scalers_give_the_same_bits_backwards(scaler: Any) -> None:
    """So is one that is scaled back."""
    rows = nasty()
    rows[np.abs(rows) > 1e100] = 1.0
    same(fit(scaler, table()), rows, "inverse_transform")


@pytest.mark.parametrize(
    "scaler",
    [
        preprocessing.StandardScaler(with_mean=False),
        preprocessing.MaxAbsScaler(),
        preprocessing.RobustScaler(with_centering=False),
    ],
    ids=str,
)
def test_a_scaler_of_a_sparse_matrix_multiplies(scaler: Any) -> None:
    """Behind a step with a sparse result, scaling is multiplying by the reciprocal."""
    bins = preprocessing.KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")
    union = pipeline.make_union(bins, preprocessing.StandardScaler())
    same(fit(pipeline.make_pipeline(union, scaler), table()), table(1000, 3))


def test_norms() -> None:
    """Rows over their largest value have the same bits; over a sum, but for its rounding."""
    rows = nasty()
    rows[np.abs(rows) > 1e100] = 0.5
    rows[:5] = 0
    same(fit(preprocessing.Normalizer("max"), table()), rows)
    for norm in ("l1", "l2"):
        close(fit(preprocessing.Normalizer(norm), table()), rows)


@pytest.mark.parametrize("threshold", [0.0, 0.1, -1.0])
def test_a_binarizer_compares(threshold: float) -> None:
    """What is above the threshold is 1, and what lies on it is not."""
    same(fit(preprocessing.Binarizer(threshold=threshold), table()), nasty())


@pytest.mark.parametrize("encode", ["ordinal", "onehot", "onehot-dense"])
@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
def test_bins(encode: str, strategy: str) -> None:
    """A value on an edge is in the bin above it; those beyond the ends are in the last bins."""
    quantile = {"quantile_method": "averaged_inverted_cdf"} if strategy == "quantile" else {}
    bins = preprocessing.KBinsDiscretizer(5, encode=encode, strategy=strategy, **quantile)
    fit(bins, table())
    edges = np.column_stack([np.resize(each, 12) for each in bins.bin_edges_])
    rows = np.vstack([edges, np.nextafter(edges, 1e9), np.nextafter(edges, -1e9), nasty()])
    same(bins, rows)


@pytest.mark.parametrize("degree", [1, 2, 4, (2, 3), (3, 3), (0, 2)])
@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("include_bias", [False, True])
def test_products(degree: Any, interaction_only: bool, include_bias: bool) -> None:
    """Products are multiplied in the library's order."""
    model = preprocessing.PolynomialFeatures(
        degree, interaction_only=interaction_only, include_bias=include_bias
    )
    rows = nasty()
    rows[np.abs(rows) > 1e50] = 0.7
    same(fit(model, table()), rows)


def test_no_products_but_the_bias() -> None:
    """The empty product alone is a column of ones."""
    same(fit(preprocessing.PolynomialFeatures(0), table()), table())


@pytest.mark.parametrize("quantiles", [2, 7, 100])
def test_ranks_among_quantiles(quantiles: int) -> None:
    """Interpolation from both sides gives the library's ranks, repeated quantiles included."""
    model = fit(preprocessing.QuantileTransformer(n_quantiles=quantiles), table(missing=0.1))
    same(model, np.vstack([model.quantiles_, table(), nasty(missing=0.1)]))


def test_many_columns_are_looked_up_in_groups() -> None:
    """More columns than one search tree node takes give the same."""
    wide = np.hstack([table(seed=seed) for seed in range(5)])
    same(fit(preprocessing.QuantileTransformer(n_quantiles=20), wide), wide)


@pytest.mark.parametrize("standardize", [False, True])
def test_yeo_johnson(standardize: bool) -> None:
    """Powers agree to rounding, near zero and far from it, missing values included."""
    model = preprocessing.PowerTransformer(standardize=standardize)
    fit(model, table(missing=0.1))
    rows = np.vstack([table(500, 3, 0.1), table(100) * 1e-9, table(100) * 10])
    close(model, rows)
    model.lambdas_ = np.array([0.0, 2.0, 1e-3, 1.0])
    close(model, rows)


def test_box_cox() -> None:
    """Powers agree to rounding; what is not positive fails, as in the library."""
    model = preprocessing.PowerTransformer(method="box-cox", standardize=False)
    fit(model, np.abs(table()) + 0.1)
    for powers in (model.lambdas_, np.array([0.0, 30.0, -2.0, 1.0])):
        model.lambdas_ = powers
        close(model, np.abs(table(500, 5)) + 1e-3)
    with pytest.raises(REFUSED):
        compiled(model, {"X": table()}).run(None, {"X": np.zeros((2, COLUMNS))})


@pytest.mark.parametrize("function", [np.log1p, np.expm1])
def test_functions_near_zero_keep_their_digits(function: Any) -> None:
    """Each answer is within a few last places of numpy's, for the tiniest numbers too."""
    model = preprocessing.FunctionTransformer(function)
    sizes = np.concatenate([10.0 ** np.arange(-320, 2.0, 0.25), np.linspace(0, 50, 999)])
    rows = np.concatenate([sizes, -sizes[sizes < 0.9], [np.nan, np.inf, 0.0, -0.0]])[:, None]
    got, expected = answers(model, rows)
    np.testing.assert_allclose(got, expected, rtol=2e-15, atol=0)


@pytest.mark.parametrize(
    "function",
    [None, np.abs, np.sqrt, np.square, np.floor, np.ceil, np.sign, np.negative, np.reciprocal],
)
def test_functions_with_the_same_bits(function: Any) -> None:
    """These are determined to the last bit."""
    same(preprocessing.FunctionTransformer(function), nasty(missing=0.1))


@pytest.mark.parametrize("function", [np.exp, np.log, np.tanh])
def test_functions_to_rounding(function: Any) -> None:
    """These differ in the last places."""
    close(preprocessing.FunctionTransformer(function), np.abs(table(500)))


@pytest.mark.parametrize(
    "imputer",
    [
        impute.SimpleImputer(),
        impute.SimpleImputer(strategy="median", add_indicator=True),
        impute.SimpleImputer(strategy="most_frequent", keep_empty_features=True),
        impute.SimpleImputer(strategy="constant", fill_value=-7.5),
        impute.SimpleImputer(missing_values=2.0, add_indicator=True),
        impute.SimpleImputer(missing_values=0),
        impute.MissingIndicator(error_on_new=False),
        impute.MissingIndicator(features="all"),
    ],
    ids=str,
)
def test_missing_numbers(imputer: Any) -> None:
    """Each missing value gets its column's statistic; columns without one go."""
    missing = 0.1 if np.isnan(imputer.missing_values) else 0.0
    known = table(missing=missing)
    known[:, 0] = np.nan if missing else 2.0
    known[:, 2] = np.where(np.isnan(known[:, 2]), 1, known[:, 2])
    same(fit(imputer, known), nasty(missing))


def test_a_column_that_must_not_be_missing_fails() -> None:
    """Where the library raises for a column newly missing, the run fails."""
    known = table()
    known[::3, :2] = np.nan
    model = fit(impute.MissingIndicator(), known)
    same(model, known)
    rows = table(missing=0.5)
    with pytest.raises(REFUSED):
        compiled(model, {"X": rows}).run(None, {"X": rows})


@pytest.mark.parametrize(
    "reducer",
    [
        decomposition.PCA(2),
        decomposition.PCA(3, whiten=True),
        decomposition.IncrementalPCA(2, whiten=True),
        decomposition.TruncatedSVD(2),
        decomposition.FastICA(2, random_state=0),
        random_projection.GaussianRandomProjection(3, random_state=0),
        RBFSampler(n_components=7, random_state=0),
    ],
    ids=str,
)
def test_projections(reducer: Any) -> None:
    """Sums agree to rounding."""
    rows = preprocessing.scale(table(1000, 4))
    close(fit(reducer, preprocessing.scale(table())), rows)


LINEAR = linear_model.LogisticRegression()


@pytest.mark.parametrize(
    "selector",
    [
        feature_selection.SelectKBest(k=2),
        feature_selection.SelectPercentile(percentile=50),
        feature_selection.SelectFpr(alpha=0.9),
        feature_selection.GenericUnivariateSelect(mode="k_best", param=1),
        feature_selection.SelectFromModel(tree.DecisionTreeClassifier(random_state=0)),
        feature_selection.VarianceThreshold(0.1),
        feature_selection.RFE(tree.DecisionTreeClassifier(random_state=0)),
        feature_selection.RFECV(tree.DecisionTreeClassifier(random_state=0), cv=2),
        feature_selection.SequentialFeatureSelector(LINEAR, n_features_to_select=1, cv=2),
    ],
    ids=lambda each: type(each).__name__,
)
def test_selections(selector: Any) -> None:
    """The same columns stay, as they are; a model over them answers the same."""
    same(fit(selector, table()), nasty())
    if hasattr(selector, "predict"):
        rows = table(300, 8)
        same(selector, rows, "predict")
        same(selector, rows, "predict_proba")


class Doubler(preprocessing.StandardScaler):  # type: ignore[misc]  # it ships no types
    """A subclass, which may answer otherwise."""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Doubler(), "Doubler"),
        (preprocessing.FunctionTransformer(np.sort), "sort"),
        (preprocessing.FunctionTransformer(lambda rows: rows), "lambda"),
        (preprocessing.FunctionTransformer(np.log1p, kw_args={"where": True}), "arguments"),
        (preprocessing.FunctionTransformer(functools.partial(np.log1p)), "partial"),
        (preprocessing.QuantileTransformer(n_quantiles=10, output_distribution="normal"), "normal"),
        (impute.KNNImputer(), "KNNImputer"),
        (preprocessing.SplineTransformer(), "SplineTransformer"),
    ],
)
def test_what_is_not_known_is_refused(model: Any, reason: str) -> None:
    """A step that has no exact form is refused with its name."""
    with pytest.raises(CannotConvert, match=reason):
        compiled(fit(model, table()), {"X": table()})


def test_float32_tables_are_refused() -> None:
    """The library would stay in float32, which has other bits."""
    rows = table().astype(np.float32)
    with pytest.raises(CannotConvert, match="float32"):
        compiled(fit(preprocessing.StandardScaler(), rows), {"X": rows})


def test_text_is_refused() -> None:
    """Words are split by rules that ONNX does not know."""
    words = np.array([["some words"], ["and more"]], object)
    model = compose.ColumnTransformer([("words", TfidfVectorizer(), 0)]).fit(words)
    with pytest.raises(CannotConvert, match="list of values"):
        compiled(model, {"X": words})
    with pytest.raises(CannotConvert, match="Unicode"):
        compiled(TfidfVectorizer().fit(words[:, 0]), {"X": words})
