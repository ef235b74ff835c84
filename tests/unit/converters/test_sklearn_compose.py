"""compiling/converters/sklearn: encoders and compositions, against their own answers."""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn import (
    compose,
    ensemble,
    impute,
    pipeline,
    preprocessing,
)

from inferd.compiling.converters.base import Context
from inferd.signature import TensorSpec
from inferd.tensors import datatype_of
from tests.unit.converters.comparing import compiled, fit, inputs_of, nasty, same, table

REFUSED = onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument
"""What a run raises that fails as the library does."""


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
        with pytest.raises(REFUSED):
            session.run(None, inputs_of(mixed))


def test_categories_that_are_worth_probing_are_told() -> None:
    """Probes can be made of the numbers that the model's own columns are compared with."""
    context, rows = Context(), people()[CATEGORIES]
    specs = [TensorSpec(n, datatype_of(v).name, (-1, 1)) for n, v in inputs_of(rows).items()]
    encoder = fit(preprocessing.OneHotEncoder(), rows)
    context.emit(pipeline.make_pipeline(encoder), context.inputs(specs), "transform")
    assert list(context.points) == [2]
    assert {1.0, 2.0, 3.0} <= set(context.points[2][0])


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
