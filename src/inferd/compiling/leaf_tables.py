"""A forest whose leaves weigh something for many targets: each tree tells its leaf's number, and
the leaves' weights are looked up and added, tree after tree.

Writing each tree once for each target, as ``tree_ensemble`` does, is slower from a few targets on:
ten classes and 100 trees take 78 us a row of many so, and 17 by tables.
"""

from typing import Any

import numpy as np

from inferd.compiling import tree_ensemble
from inferd.compiling.forest import LEAF, Forest, Tree
from inferd.compiling.graph import Graph, Value

TARGETS = 3
"""From so many on, on average of the trees, tables are quicker."""
BYTES = 16 << 20
"""What the weights looked up in one call may take."""


def suits(forest: Forest) -> bool:
    """Whether *forest* is of the kind."""
    if forest.base.any() or len(forest.trees) < 2 or forest.dtype != np.float64:
        return False
    return sum(len(list(tree.summands())) for tree in forest.trees) >= TARGETS * len(forest.trees)


def rows_at_once(forest: Forest) -> int:
    """How many rows one call may have: each takes a table of its own."""
    return max(1, BYTES // (len(forest.trees) * forest.targets * 8))


def write(graph: Graph, forest: Forest, matrix: Value) -> tuple[Value, list[tuple[str, Forest]]]:
    """The sums over *matrix*, [N, targets]; and the forest of the leaves' numbers, by its tensor.

    The numbers are float64, which holds them up to 2^53.
    """
    trees: list[Tree] = []
    table = [np.zeros((1, forest.targets))]  # row 0: no leaf has it, since 0 adds to no target
    count = 1
    for at, tree in enumerate(forest.trees):
        leaves = np.flatnonzero(tree.left == LEAF)
        number = np.zeros((len(tree.left), 1))
        number[leaves, 0] = np.arange(len(leaves)) + count
        table.append(tree.weight[leaves])
        count += len(leaves)
        trees.append(tree._replace(weight=number, target=at))
    numbers = Forest(trees, len(trees), forest.dtype, np.zeros(len(trees)))
    found = tree_ensemble.write(graph, numbers, matrix)
    rows = graph.constant(np.concatenate(table), forest.dtype)
    return _sum(graph, rows, found, forest), [(found.name, numbers)]


def _sum(graph: Graph, rows: str, found: Value, forest: Forest) -> Value:
    """The weights of the leaves *found*, [N, trees], added in the trees' order."""
    node: Any = graph.node
    each = node("Gather", rows, graph.cast(found, np.int64), axis=0)  # [N, trees, targets]
    sums = node("CumSum", each, np.int64(1))  # one after the other, as the library adds them
    last = node("Gather", sums, np.int64(len(forest.trees) - 1), axis=1)
    return Value(last, forest.targets, forest.dtype)
