"""Probes: what they cover, and the wrong conversions that they must catch."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from inferd.compiling import tree_ensemble
from inferd.compiling.batches import Inputs, Probe
from inferd.compiling.forest import LEAF, LEQ, Forest, Tree
from inferd.compiling.graph import Graph
from inferd.compiling.parity import Parity, compare
from inferd.compiling.probes import probes
from inferd.estimators.fitted import Fitted
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

Run = Callable[[Inputs, Sequence[str]], Mapping[str, Array]]
COLUMNS = 3


class Asked:
    """A model of COLUMNS numbers whose label is whether their sum is positive; *refuses* says which
    rows it takes not."""

    model: Any = None
    positions = range(COLUMNS)

    def __init__(
        self,
        refuses: Callable[[Array], Any] = lambda _: False,
        run: Run | None = None,
        datatype: str = "FP64",
    ) -> None:
        label = TensorSpec("label", "INT64", (-1,))
        self.signature = Signature((TensorSpec("X", datatype, (-1, COLUMNS)),), (label,), 0)
        self._refuses, self._run = refuses, run
        self.calls = 0

    def run(self, inputs: Inputs, outputs: Sequence[str]) -> Mapping[str, Array]:
        self.calls += 1
        if np.any(self._refuses(inputs["X"])):
            raise ValueError("refused")
        if self._run:
            return self._run(inputs, outputs)
        return {"label": (inputs["X"].sum(axis=1) > 0).astype(np.int64)}


def rows_of(found: Sequence[Probe], *kinds: str) -> Array:
    """The rows of some kinds, or of all."""
    return np.concatenate([p.inputs["X"] for p in found if p.kind in kinds or not kinds])


def test_the_same_seed_gives_the_same_probes() -> None:
    """Everything comes from the seed."""
    one, two, other = (probes(Asked(), {}, seed=seed) for seed in (1, 1, 2))
    assert [p.kind for p in one] == [p.kind for p in two]
    assert np.array_equal(rows_of(one), rows_of(two), equal_nan=True)
    assert not np.array_equal(rows_of(one)[:100], rows_of(other)[:100], equal_nan=True)


def test_there_are_some_thousands_of_all_kinds() -> None:
    """A model that takes all numbers is asked for them all, and no more than 20,000 rows."""
    sample = {"X": np.array([[1.0, 2.0, 3.0]])}
    found = probes(Asked(), {0: np.arange(500) + 0.5}, sample)
    assert {p.kind for p in found} == {
        *("sample", "thresholds", "ranges", "ties", "extremes", "missing", "boundary")
    }
    assert 5000 < len(rows_of(found)) <= 20_000
    assert all(p.inputs["X"].dtype == np.float64 for p in found)
    assert [1.0, 2.0, 3.0] in rows_of(found, "sample").tolist()


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_each_point_and_its_neighbours_are_asked(datatype: str) -> None:
    """Every value that the model compares with is asked, with the next number on each side."""
    points = np.random.default_rng(0).normal(size=200)
    found = rows_of(probes(Asked(datatype=datatype), {1: points}), "thresholds")[:, 1]
    kind = np.dtype({"FP32": np.float32, "FP64": np.float64}[datatype])
    for side in (-np.inf, np.inf):
        assert set(points.astype(kind)) <= set(found)
        assert set(np.nextafter(points.astype(kind), kind.type(side))) <= set(found)
        near = np.nextafter(points.astype(np.float32), np.float32(side))
        assert set(near.astype(kind)) <= set(found)


def test_hard_numbers_are_asked() -> None:
    """Zeros of both signs, denormals, integers that float32 cannot tell apart, infinities, NaN."""
    found = rows_of(probes(Asked(), {})).ravel()
    assert {5e-324, np.inf, -np.inf, 1e39, float(np.finfo(np.float32).max)} <= set(found)
    assert np.isnan(found).any()
    assert np.signbit(found[found == 0]).any()
    assert not np.signbit(found[found == 0]).all()
    beyond = found[(abs(found) > 2**24) & (abs(found) < 2**24 + 100)]
    assert (beyond != beyond.astype(np.float32)).any()


@pytest.mark.parametrize("column", range(COLUMNS))
def test_missing_values_go_where_they_are_taken(column: int) -> None:
    """A model that takes NaN in one column alone gets it there, and nowhere else."""
    others = [at for at in range(COLUMNS) if at != column]
    found = rows_of(probes(Asked(lambda x: np.isnan(x[:, others])), {}), "missing")
    assert np.isnan(found[:, column]).sum() > 100
    assert not np.isnan(found[:, others]).any()


def test_refused_rows_are_left_out() -> None:
    """No probe is a row that the model raises on, and those beside it in a batch are kept."""
    for refuses in (np.isnan, np.isinf, lambda x: x < 0, lambda x: abs(x) > 3e38):
        found = rows_of(probes(Asked(refuses), {}))
        assert len(found) > 3000
        assert not refuses(found).any()


def test_a_model_that_refuses_everything_has_no_probes() -> None:
    """Nothing is asked of a model that answers nothing, and it is soon given up."""
    model = Asked(lambda _: True)
    assert probes(model, {}) == []
    assert model.calls < 5000


def test_a_slow_model_is_asked_less() -> None:
    """Where each row takes a millisecond the probes are fewer, by the clock that was given."""
    now = 0

    def slow(inputs: Inputs, _: Sequence[str]) -> Mapping[str, Array]:
        nonlocal now
        now += 1_000_000 * len(inputs["X"])
        return {"label": (inputs["X"].sum(axis=1) > 0).astype(np.int64)}

    found = probes(Asked(run=slow), {}, clock=lambda: now)
    assert 500 < len(rows_of(found)) < 3000


def test_the_boundary_is_asked_from_both_sides() -> None:
    """Rows stand within 1e-6 of where the label changes, on both sides."""
    rows = rows_of(probes(Asked(), {}), "boundary").sum(axis=1)
    assert ((rows > 0) & (rows < 1e-6)).any()
    assert ((rows < 0) & (rows > -1e-6)).any()


def test_answers_made_of_rounding_prove_nothing() -> None:
    """Far from all data, rows whose answer hangs on the last bit of their numbers are asked only
    for a form that is to be exact."""

    def parity(inputs: Inputs, _: Sequence[str]) -> Mapping[str, Array]:
        return {"label": (np.floor(np.nan_to_num(inputs["X"][:, 0]) / 2) % 2 == 0).astype(int)}

    def large(adjacent: bool) -> int:
        rows = np.abs(rows_of(probes(Asked(run=parity), {}, adjacent=adjacent), "ranges"))[:, 0]
        return int(((rows > 2**52) & (rows < 2**54)).sum())

    assert large(True) > 100
    assert large(False) < large(True) / 4


def forest(dtype: Any, *thresholds: float) -> Forest:
    """Trees that ask the second column, each of one threshold; leaves of 0 and 1."""
    trees = [
        Tree(
            np.array([1, 0, 0]),
            np.full(3, LEQ, np.uint8),
            np.array([threshold, 0, 0]),
            np.array([1, LEAF, LEAF]),
            np.array([2, LEAF, LEAF]),
            np.zeros(3, bool),
            np.array([[0.0], [0.0], [1.0]]),
        )
        for threshold in thresholds
    ]
    return Forest(trees, 1, np.dtype(dtype), np.zeros(1))


def runner(made: Forest) -> Run:
    """A forest as ONNX Runtime runs it; its label is the sum."""
    graph = Graph()
    name = {"float32": "FP32", "float64": "FP64"}[made.dtype.name]
    matrix = graph.input(TensorSpec("X", name, (-1, COLUMNS)))
    summed = graph.cast(tree_ensemble.write(graph, made, matrix), np.int64)
    flat = graph.node("Squeeze", summed, np.array([1], np.int64))
    graph.output(TensorSpec("label", "INT64", (-1,)), flat)
    session = onnxruntime.InferenceSession(graph.finish().SerializeToString())
    return lambda inputs, outputs: dict(
        zip(outputs, session.run(outputs, dict(inputs)), strict=True)
    )


@pytest.mark.parametrize(("dtype", "datatype"), [(np.float32, "FP32"), (np.float64, "FP64")])
@pytest.mark.parametrize("side", [-np.inf, np.inf])
def test_one_threshold_wrong_by_one_float_is_caught(dtype: Any, datatype: str, side: float) -> None:
    """Of ten thresholds one is the next float, and nobody tells where they are: labels differ."""
    right = [float(dtype(t)) for t in np.random.default_rng(1).normal(size=10)]
    wrong = [*right[:7], float(np.nextafter(dtype(right[7]), dtype(side))), *right[8:]]
    model = Asked(run=runner(forest(dtype, *right)), datatype=datatype)
    asked = probes(model, {}, adjacent=True)
    assert compare(model.run, runner(forest(dtype, *wrong)), model.signature, asked).labels_differ
    assert compare(model.run, runner(forest(dtype, *right)), model.signature, asked).identical


def by_skl2onnx(fitted: Fitted) -> Run:
    """skl2onnx's float32 form of a model, under the names of its signature."""
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType

    width = fitted.signature.inputs[0].shape[1]
    kind = FloatTensorType([None, width])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = skl2onnx.convert_sklearn(
            fitted.model,
            initial_types=[("X", kind)],
            options={id(fitted.model): {"zipmap": False}},
            target_opset={"": 17, "ai.onnx.ml": 3},
        )
    session = onnxruntime.InferenceSession(made.SerializeToString())

    def run(inputs: Inputs, outputs: Sequence[str]) -> dict[str, Array]:
        answers = session.run(None, {"X": inputs["X"].astype(np.float32)})
        return {
            spec.name: answer.reshape(-1, *spec.shape[1:]).astype(spec.type.numpy)
            for spec, answer in zip(fitted.signature.outputs, answers, strict=True)
            if spec.name in outputs
        }

    return run


def judged(model: Any) -> Parity:
    """The parity of a model and its float32 form by skl2onnx, over probes that know no points."""
    fitted = Fitted(model, "scikit-learn")
    return compare(fitted.run, by_skl2onnx(fitted), fitted.signature, probes(fitted, {}))


@pytest.fixture(scope="module")
def data() -> SimpleNamespace:
    """Rows with 4 columns, rows with missing values, whole numbers, and noisy labels."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 4))
    noisy = (rows[:, 0] * rows[:, 1] + rows[:, 2] + rng.normal(size=400) > 0).astype(int)
    missing = np.where(rng.random(rows.shape) < 0.2, np.nan, rows)
    return SimpleNamespace(rows=rows, y=noisy, missing=missing, whole=np.round(rows * 3))


@pytest.mark.formats
def test_a_forest_with_missing_values_is_caught(data: SimpleNamespace) -> None:
    """skl2onnx sends missing values to the wrong side."""
    from sklearn.ensemble import RandomForestClassifier

    parity = judged(RandomForestClassifier(7, random_state=0).fit(data.missing, data.y))
    assert parity.labels_differ
    assert parity.worst == "missing"


@pytest.mark.formats
def test_a_scaler_before_a_forest_is_caught(data: SimpleNamespace) -> None:
    """In float32 scaled whole numbers come to lie on the other side of thresholds."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trees = RandomForestClassifier(7, random_state=0)
    assert judged(make_pipeline(StandardScaler(), trees).fit(data.whole, data.y)).labels_differ


@pytest.mark.formats
def test_an_imputer_and_a_scaler_before_boosting_are_caught(data: SimpleNamespace) -> None:
    """In float32 imputed rows, which lie all on one value, take the other branch together."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    boosting = HistGradientBoostingClassifier(max_iter=10)
    model = make_pipeline(SimpleImputer(), StandardScaler(), boosting).fit(data.missing, data.y)
    parity = judged(model)
    assert parity.labels_differ
    assert parity.largest_difference > 1e-3


@pytest.mark.formats
def test_boosting_over_categories_is_caught(data: SimpleNamespace) -> None:
    """skl2onnx takes the sets of categories for thresholds."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    names = np.abs(data.whole) % 5
    odd = ((names[:, 0] % 2) != (names[:, 1] > 2)).astype(int)
    boosting = HistGradientBoostingClassifier(max_iter=10, categorical_features=[0, 1])
    assert judged(boosting.fit(names, odd)).labels_differ


@pytest.mark.formats
def test_ties_between_classes_are_caught(data: SimpleNamespace) -> None:
    """Votes that are equal in float64 are not so in skl2onnx's float32 sums of fractions."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(20, random_state=0).fit(data.rows, data.y)
    fitted = Fitted(model, "scikit-learn")
    asked = [p for p in probes(fitted, {}) if p.kind == "ties"]
    assert compare(fitted.run, by_skl2onnx(fitted), fitted.signature, asked).labels_differ


@pytest.mark.formats
def test_unseen_categories_are_asked_where_they_are_taken() -> None:
    """An encoder that ignores unknown strings is asked for some, a strict one for none."""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    table = pd.DataFrame({"city": ["Rome", "Oslo", "Bonn"] * 4, "size": ["S", "L"] * 6})
    for unknown, taken in (("ignore", True), ("error", False)):
        encoder = OneHotEncoder(handle_unknown=unknown)
        model = make_pipeline(encoder, LogisticRegression()).fit(table, [0, 1, 1] * 4)
        found = probes(Fitted(model, "scikit-learn"), {})
        words = {word for p in found for word in p.inputs["city"].ravel().tolist()}
        assert {"Rome", "Oslo", "Bonn"} <= words
        assert ("" in words) is taken
