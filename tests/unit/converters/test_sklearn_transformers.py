"""scikit-learn's transformers and compositions, compiled, against their own answers."""

import functools
import warnings
from typing import Any

import numpy as np
import onnxruntime
import pytest

from inferd.compile.converters.base import CannotConvert, Context
from inferd.signature import TensorSpec
from inferd.tensors import Array, datatype_of

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from sklearn import (  # noqa: E402 - after the skip
    compose,
    decomposition,
    ensemble,
    feature_selection,
    impute,
    linear_model,
    pipeline,
    preprocessing,
    random_projection,
    tree,
)
from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.kernel_approximation import RBFSampler  # noqa: E402

NASTY = (0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e300, -1e300, 1e-300, 1.0, -1.0, 2.0**53, 0.1, 1 / 3)
COLUMNS = 4


def table(rows: int = 200, seed: int = 0, missing: float = 0.0) -> Array:
    """Numbers of all sizes; the last column holds small whole numbers."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, COLUMNS)) * [1.0, 1e3, 1e-3, 1.0]
    values[:, -1] = random.integers(0, 5, rows)
    values[random.random(values.shape) < missing] = np.nan
    return values


def nasty(missing: float = 0.0) -> Array:
    """As ``table``, with what arithmetic stumbles on strewn in."""
    random = np.random.default_rng(1)
    values = table(1000, 2, missing)
    strewn = random.random(values.shape) < 0.3
    values[strewn] = random.choice(NASTY, int(strewn.sum()))
    return values


TARGET = (table()[:, 0] + table()[:, -1] > 2).astype(int)


def fit(model: Any, rows: Any, target: Any = TARGET) -> Any:
    """*model* fitted, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, target)


def inputs_of(rows: Any) -> dict[str, Array]:
    """A matrix as one input, a data frame as one a column."""
    if isinstance(rows, np.ndarray):
        return {"X": rows}
    text = {name: not pd.api.types.is_numeric_dtype(rows[name]) for name in rows}
    return {
        name: rows[[name]].to_numpy(object if text[name] else np.float64) for name in rows.columns
    }


def compiled(model: Any, inputs: dict[str, Array], method: str = "transform") -> Any:
    """A session that answers as *model*'s *method*, and the datatype of its answer."""
    context = Context()
    specs = [
        TensorSpec(name, datatype_of(values).name, (-1, values.shape[1]))
        for name, values in inputs.items()
    ]
    made = context.emit(model, context.inputs(specs), method)
    shape = (-1, made.width) if made.width else (-1,)
    spec = TensorSpec("Y", datatype_of(np.empty(0, made.dtype)).name, shape)
    context.graph.output(spec, made.name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model_bytes = context.graph.finish().SerializeToString()
    return onnxruntime.InferenceSession(model_bytes, options)


def answers(model: Any, rows: Any, method: str = "transform") -> tuple[Array, Array]:
    """What the compiled form and the library give."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = getattr(model, method)(rows)
        if hasattr(expected, "toarray"):
            expected = expected.toarray()
        inputs = inputs_of(rows)
        got = compiled(model, inputs, method).run(None, inputs)[0]
    return got, np.asarray(expected)


def same(model: Any, rows: Any, method: str = "transform") -> None:
    """Assert that both forms give the same, to the last bit."""
    for some in (rows, rows[:1]):
        got, expected = answers(model, some, method)
        assert got.shape == expected.shape
        if expected.dtype.kind in "OUT":
            assert got.tolist() == expected.tolist()
            continue
        assert got.dtype == expected.dtype
        numbers = expected.dtype.kind == "f"
        assert np.array_equal(got, expected, equal_nan=numbers)


def close(model: Any, rows: Any, tolerance: float = 1e-12) -> None:
    """Assert that both forms give the same but for the rounding of sums."""
    sizes = np.nan_to_num(np.abs(answers(model, rows)[1]), posinf=0).max(axis=0)
    for some in (rows, rows[:1]):
        got, expected = answers(model, some)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))
        assert np.isclose(got, expected, tolerance, tolerance * sizes, equal_nan=True).all()


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


@pytest.mark.parametrize("degree", [1, 2, 4, (0, 0), (2, 3), (3, 3), (0, 2)])
@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("include_bias", [False, True])
def test_products(degree: Any, interaction_only: bool, include_bias: bool) -> None:
    """Products are multiplied in the library's order."""
    if degree == (0, 0) and not include_bias:
        pytest.skip("the library refuses it")
    model = preprocessing.PolynomialFeatures(
        degree, interaction_only=interaction_only, include_bias=include_bias
    )
    rows = nasty()
    rows[np.abs(rows) > 1e50] = 0.7
    same(fit(model, table()), rows)


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
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
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
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
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


def people(rows: int = 300, seed: int = 0) -> Any:
    """A table of strings and numbers, some of them missing."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "city": random.choice(["Ulm", "Köln", "", "東京", "ulm"], rows),
            "age": random.integers(18, 30, rows).astype(float),
            "size": random.choice(["S", "M", "L", "XL"], rows, p=[0.5, 0.3, 0.19, 0.01]),
            "income": np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)),
            "door": random.choice([1.0, 2.0, 3.0, np.nan], rows, p=[0.4, 0.4, 0.1, 0.1]),
        }
    )


CATEGORIES = ["city", "size", "door"]


def strangers() -> Any:
    """As ``people``, with categories that were never seen."""
    rows = people(200, 1)
    rows.loc[::7, "city"] = "Rom"
    rows.loc[::5, "size"] = "s"
    rows.loc[::11, "door"] = 1.5
    rows.loc[1::11, "door"] = -0.0
    return rows


@pytest.mark.parametrize("drop", [None, "first", "if_binary"])
@pytest.mark.parametrize("unknown", ["ignore", "infrequent_if_exist", "warn"])
@pytest.mark.parametrize("groups", [{}, {"min_frequency": 40}, {"max_categories": 2}], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.float32])
def test_one_hot(drop: Any, unknown: str, groups: dict[str, int], dtype: Any) -> None:
    """Strings, numbers and missing numbers get the library's columns, seen before or not."""
    model = preprocessing.OneHotEncoder(
        drop=drop, handle_unknown=unknown, sparse_output=False, dtype=dtype, **groups
    )
    same(fit(model, people()[CATEGORIES]), strangers()[CATEGORIES])


@pytest.mark.parametrize("missing", [np.nan, -5])
@pytest.mark.parametrize("unknown", [np.nan, -1, 99])
@pytest.mark.parametrize("groups", [{}, {"min_frequency": 40}, {"max_categories": 2}], ids=str)
def test_ordinal(missing: Any, unknown: Any, groups: dict[str, int]) -> None:
    """Each category has the library's number; the missing and the unknown have their own."""
    model = preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=unknown,
        encoded_missing_value=missing,
        **groups,
    )
    same(fit(model, people()[CATEGORIES]), strangers()[CATEGORIES])


@pytest.mark.parametrize("target", ["binary", "continuous", "multiclass"])
def test_target_means(target: str) -> None:
    """Each category has its mean, each unknown one the mean of all."""
    rows = people()
    y = rows["age"] if target == "continuous" else rows["age"] % (2 if target == "binary" else 3)
    y = y + 0.5 if target == "continuous" else y.astype(int)
    model = preprocessing.TargetEncoder(target_type=target, cv=2, random_state=0)
    same(fit(model, rows[CATEGORIES], y), strangers()[CATEGORIES])


@pytest.mark.parametrize("encoder", [preprocessing.OneHotEncoder, preprocessing.OrdinalEncoder])
@pytest.mark.parametrize("groups", [{}, {"min_frequency": 40}], ids=str)
def test_an_unseen_category_fails_where_the_library_raises(encoder: Any, groups: Any) -> None:
    """No answer is made up for it, in whichever column it stands."""
    known, rows = people()[CATEGORIES], strangers()[CATEGORIES]
    model = fit(encoder(**groups), known)
    same(model, known)
    session = compiled(model, inputs_of(rows))
    for column in CATEGORIES:
        mixed = known.iloc[:50].copy()
        mixed.loc[7, column] = "Rom" if column != "door" else 1.5
        with pytest.raises(ValueError, match="unknown categories"):
            model.transform(mixed)
        with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
            session.run(None, inputs_of(mixed))


def test_categories_that_are_worth_probing_are_told() -> None:
    """Probes can be made of the categories of the model's own columns."""
    context, rows = Context(), people()[CATEGORIES]
    specs = [TensorSpec(n, datatype_of(v).name, (-1, 1)) for n, v in inputs_of(rows).items()]
    encoder = fit(preprocessing.OneHotEncoder(), rows)
    context.emit(pipeline.make_pipeline(encoder), context.inputs(specs), "transform")
    assert set(context.points[0][0]) == set(rows["city"])
    assert 3.0 in context.points[2][0]


def mixed(sparse_threshold: float = 0.3, last: Any = "passthrough") -> Any:
    """What people write for a table of strings and numbers."""
    numbers = pipeline.make_pipeline(
        impute.SimpleImputer(strategy="median", add_indicator=True), preprocessing.StandardScaler()
    )
    words = pipeline.make_pipeline(
        impute.SimpleImputer(strategy="constant", missing_values="", fill_value="none"),
        preprocessing.OneHotEncoder(handle_unknown="ignore"),
    )
    columns = compose.ColumnTransformer(
        [
            ("words", words, ["size", "city"]),
            ("numbers", numbers, compose.make_column_selector(dtype_include="number")),
            ("nothing", preprocessing.StandardScaler(), []),
            ("dropped", "drop", ["door"]),
        ],
        remainder="passthrough",
        sparse_threshold=sparse_threshold,
        transformer_weights={"numbers": 0.3},
    )
    return pipeline.Pipeline([("columns", columns), ("none", None), ("last", last)])


@pytest.mark.parametrize("sparse_threshold", [0.0, 1.0])
def test_mixed_columns(sparse_threshold: float) -> None:
    """Strings and numbers, one input a column, give the library's table."""
    same(fit(mixed(sparse_threshold), people(), None), strangers())


@pytest.mark.parametrize("sparse_threshold", [0.0, 1.0])
def test_mixed_columns_before_a_forest(sparse_threshold: float) -> None:
    """Labels and votes behind such a table are the library's."""
    forest = ensemble.RandomForestClassifier(20, random_state=0)
    labels = np.where(people()["age"] > 24, "old", "young")
    model = fit(mixed(sparse_threshold, forest), people(), labels)
    same(model, strangers(), "predict")
    same(model, strangers(), "predict_proba")


def test_columns_of_a_matrix() -> None:
    """Columns by number, slice and mask; the rest by a step of its own."""
    columns = compose.make_column_transformer(
        (preprocessing.MinMaxScaler(), slice(1, 3)),
        (preprocessing.KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), [-1]),
        ("passthrough", [True, False, False, False]),
        (preprocessing.OrdinalEncoder(dtype=np.int64), [3]),
        remainder=preprocessing.RobustScaler(),
    )
    same(fit(columns, table()), table())


def test_unions_and_empty_pipelines() -> None:
    """Steps side by side, weighted, dropped and passed through."""
    union = pipeline.FeatureUnion(
        [
            ("scaled", preprocessing.StandardScaler()),
            ("dropped", "drop"),
            ("as is", "passthrough"),
        ],
        transformer_weights={"scaled": 3},
    )
    same(fit(pipeline.make_pipeline("passthrough", union), table()), nasty())
    same(fit(pipeline.make_pipeline(None, "passthrough"), table()), nasty())


def test_categories_in_hist_gradient_boosting() -> None:
    """The encoder within a model with categories is converted with it."""
    rows = people().assign(size=lambda each: each["size"].astype("category"))
    model = ensemble.HistGradientBoostingClassifier(max_iter=5, categorical_features=["door"])
    numeric = rows[["age", "door", "income"]]
    same(fit(model, numeric, rows["age"] > 24), strangers()[["age", "door", "income"]], "predict")


class Doubler(preprocessing.StandardScaler):
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
