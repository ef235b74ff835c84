"""compiling/forest and compiling/tree_ensemble: forests written as ONNX and read back."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.compiling import tree_ensemble
from inferd.compiling.forest import LEQ, LT, Forest, round_for
from tests.unit.forests import Grower, run, walk, write

DTYPES = [np.float32, np.float64]


def _node(model: onnx.ModelProto) -> Any:
    return next(node for node in model.graph.node if node.op_type == "TreeEnsemble")


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_a_forest_answers_as_its_walk(dtype: Any, seed: int) -> None:
    """ONNX Runtime gives, bit for bit, what walking the trees in order gives, in any batch."""
    grower = Grower(seed, dtype)
    forest, rows = grower.forest(), grower.rows(70)
    model = write(forest)
    expected = walk(forest, rows)
    for size in (1, 31, 70):
        assert np.array_equal(run(model, rows[:size]), expected[:size])
    assert tree_ensemble.differences(forest, _node(model)) == 0


@pytest.mark.parametrize(
    "field",
    ["nodes_splits", "nodes_featureids", "nodes_missing_value_tracks_true", "leaf_weights"],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_changed_node_is_found(field: str, seed: int) -> None:
    """Reading back finds one threshold moved to its neighbour, and any other single change."""
    forest = Grower(seed, np.float64).forest()
    node = _node(write(forest))
    attribute = _attribute(node, field)
    # The node with the largest threshold: one that compares, and no constant.
    at = int(np.argmax(np.abs(onnx.numpy_helper.to_array(_attribute(node, "nodes_splits").t))))
    if attribute.HasField("t"):
        values = onnx.numpy_helper.to_array(attribute.t).copy()
        at = at if field == "nodes_splits" else int(np.argmax(values))
        values[at] = np.nextafter(values[at], np.inf)
        attribute.t.CopyFrom(onnx.numpy_helper.from_array(values, field))
    else:
        attribute.ints[at] = 1 - attribute.ints[at]
    assert tree_ensemble.differences(forest, node) == 1


def _attribute(node: Any, name: str) -> Any:
    return next(each for each in node.attribute if each.name == name)


def test_a_forest_of_nothing() -> None:
    """No trees, or trees whose leaves are all zero, give zeros."""
    tree = Grower(1, np.float64).forest().trees[0]
    silent = tree._replace(weight=np.zeros_like(tree.weight[:, :1]))
    for trees in ([], [silent]):
        forest = Forest(trees, 1, np.dtype(np.float64), np.zeros(1))
        model = write(forest)
        assert run(model, Grower(1, np.float64).rows(5)).tolist() == [[0.0]] * 5
        assert tree_ensemble.differences(forest, _node(model)) == 0


def test_a_weight_that_the_datatype_cannot_hold_is_refused() -> None:
    """float64 leaves are not squeezed into float32."""
    forest = Grower(3, np.float64).forest()
    trees = [tree._replace(weight=tree.weight + 0.1) for tree in forest.trees]
    narrow = Forest(trees, forest.targets, np.dtype(np.float32), np.zeros(forest.targets))
    with pytest.raises(ValueError, match="float32 cannot hold"):
        write(narrow)


@given(
    st.floats(allow_nan=False, width=64),
    st.floats(allow_nan=False, width=32),
    st.sampled_from([LEQ, LT]),
)
def test_a_rounded_threshold_parts_float32_alike(threshold: float, value: float, mode: int) -> None:
    """A float32 number is on the same side of the rounded threshold as of the original."""
    with np.errstate(over="ignore"):
        rounded = round_for(np.dtype(np.float32), np.array([threshold]), np.array([mode]))[0]
    x = np.float32(value)
    if mode == LEQ:
        assert (x <= rounded) == (float(x) <= threshold)
    else:
        assert (x < rounded) == (float(x) < threshold)
