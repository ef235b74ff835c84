"""compiling/leaf_tables: forests with many targets, by the leaves' numbers."""

from typing import Any

import numpy as np
import pytest

from inferd.compiling import leaf_tables, tree_ensemble
from inferd.compiling.forest import Forest, Tree
from inferd.compiling.graph import Graph
from inferd.signature import TensorSpec
from tests.unit.forests import COLUMNS, Grower, run, walk


def _wide(seed: int) -> Forest:
    """A forest whose leaves weigh something for five targets."""
    random = np.random.default_rng(seed)
    grown = [Grower(seed + at, np.float64).forest().trees[0] for at in range(9)]
    trees = [tree._replace(weight=random.random((len(tree.left), 5))) for tree in grown]
    return Forest(trees, 5, np.dtype(np.float64), np.zeros(5))


@pytest.mark.parametrize("seed", range(6))
def test_sums_are_those_of_the_walk(seed: int) -> None:
    """Bit for bit, in the trees' order; and the trees read back are the forest's."""
    forest, rows = _wide(seed), Grower(seed, np.float64).rows(100)
    assert leaf_tables.suits(forest)
    graph = Graph()
    matrix = graph.input(TensorSpec("X", "FP64", (-1, COLUMNS)))
    sums, [(name, numbers)] = leaf_tables.write(graph, forest, matrix)
    graph.output(TensorSpec("Y", "FP64", (-1, 5)), sums.name)
    model = graph.finish()
    assert graph.inexact == []
    for size in (1, 7, 100):
        assert np.array_equal(run(model, rows[:size]), walk(forest, rows)[:size])
    node: Any = next(node for node in model.graph.node if node.output[0] == name)
    assert tree_ensemble.differences(numbers, node) == 0


def _single(tree: Tree, target: int) -> Tree:
    weight = np.zeros_like(tree.weight)
    weight[:, target] = 1.0
    return tree._replace(weight=weight)


def test_trees_of_one_target_each_are_written_otherwise() -> None:
    """Boosting adds each tree to one class: a table of mostly zeros would only cost."""
    forest = _wide(1)
    single = [_single(tree, at % 5) for at, tree in enumerate(forest.trees)]
    assert not leaf_tables.suits(forest._replace(trees=single))
    assert not leaf_tables.suits(forest._replace(base=np.ones(5)))
    assert not leaf_tables.suits(forest._replace(dtype=np.dtype(np.float32)))


def test_a_call_is_kept_small() -> None:
    """The weights looked up for the rows of one call fit in BYTES."""
    forest = _wide(2)
    rows = leaf_tables.rows_at_once(forest)
    assert rows * 9 * 5 * 8 <= leaf_tables.BYTES < (rows + 1) * 9 * 5 * 8
