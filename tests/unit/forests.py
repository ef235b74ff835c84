"""Forests made by chance, and what they answer by walking them slowly."""

from typing import Any

import numpy as np
import onnx
import onnxruntime

from inferd.compiling import tree_ensemble
from inferd.compiling.forest import LEAF, LEQ, LT, MEMBER, Forest, Tree
from inferd.compiling.graph import Graph
from inferd.signature import TensorSpec
from inferd.tensors import Array, datatype_of

COLUMNS = 4
"""The features; the last one holds categories."""
THRESHOLDS = (0.1, 0.5, 0.3, -0.2, 1 / 3, 0.0)


class Grower:
    """Grows forests; the same ones from the same seed."""

    def __init__(self, seed: int, dtype: Any) -> None:
        self._random, self._dtype = np.random.default_rng(seed), np.dtype(dtype)

    def forest(self) -> Forest:
        """A few trees for a few targets, with all kinds of nodes."""
        targets = int(self._random.integers(1, 4))
        trees = [self._tree(targets) for _ in range(int(self._random.integers(1, 6)))]
        base = self._random.choice([0, 0.5, 0.1], targets).astype(self._dtype).astype(float)
        return Forest(trees, targets, self._dtype, base)

    def rows(self, count: int) -> Array:
        """Rows that hit thresholds, their neighbours, categories, and what is no number."""
        values = [*THRESHOLDS, 1.0, -0.0, np.nan, np.inf, -np.inf]
        values += [np.nextafter(t, side) for t in THRESHOLDS for side in (-9, 9)]
        rows = self._random.choice(values, (count, COLUMNS)).astype(self._dtype)
        rows[:, -1] = self._random.choice([*range(-2, 45), np.nan], count)
        return rows

    def _tree(self, targets: int) -> Tree:
        nodes: list[dict[str, Any]] = []
        self._grow(nodes, 5, targets)
        sets = {at: np.array(node.pop("members")) for at, node in enumerate(nodes)}
        members = {at: found for at, found in sets.items() if found.ndim}
        fields = {name: np.array([node[name] for node in nodes]) for name in nodes[0]}
        return Tree(
            feature=fields["feature"],
            mode=fields["mode"].astype(np.uint8),
            threshold=fields["threshold"].astype(float),
            left=fields["left"],
            right=fields["right"],
            missing_left=fields["missing_left"],
            weight=fields["weight"],
            members=members,
        )

    def _grow(self, nodes: list[dict[str, Any]], depth: int, targets: int) -> int:
        random, at = self._random, len(nodes)
        weight = random.choice([0.0, 0.25, 1.0, 0.1], targets).astype(self._dtype).astype(float)
        node = {
            "feature": 0,
            "mode": LEQ,
            "threshold": 0.0,
            "left": LEAF,
            "right": LEAF,
            "missing_left": False,
            "weight": weight,
            "members": None,
        }
        nodes.append(node)
        if depth == 0 or random.random() < 0.2:
            return at
        node["mode"] = int(random.choice([LEQ, LT, MEMBER]))
        node["missing_left"] = bool(random.random() < 0.5)
        if node["mode"] == MEMBER:
            node["feature"] = COLUMNS - 1
            node["members"] = sorted(random.choice(40, 5, replace=False).tolist())
        else:
            node["feature"] = int(random.integers(0, COLUMNS - 1))
            node["threshold"] = float(random.choice(THRESHOLDS))
        node["left"] = self._grow(nodes, depth - 1, targets)
        node["right"] = self._grow(nodes, depth - 1, targets)
        return at


def walk(forest: Forest, rows: Array) -> Array:
    """The forest's answers, node by node."""
    start = forest.base.astype(forest.dtype)
    sums: Array = np.zeros((len(rows), forest.targets), forest.dtype) + start
    for tree in forest.trees:
        leaves = [_leaf(tree, row) for row in rows]
        sums += tree.weight[leaves].astype(forest.dtype)
    return sums


def _leaf(tree: Tree, row: Array) -> int:
    node = 0
    while tree.left[node] != LEAF:
        value = float(row[tree.feature[node]])
        if np.isnan(value):
            left = bool(tree.missing_left[node])
        elif tree.mode[node] == MEMBER:
            left = value in tree.members[node]
        else:
            threshold = tree.threshold[node]
            left = value <= threshold if tree.mode[node] == LEQ else value < threshold
        node = int(tree.left[node] if left else tree.right[node])
    return node


def write(forest: Forest) -> onnx.ModelProto:
    """An ONNX model of nothing but *forest*: X to Y."""
    graph = Graph()
    kind = datatype_of(np.empty(0, forest.dtype)).name
    matrix = graph.input(TensorSpec("X", kind, (-1, COLUMNS)))
    sums = tree_ensemble.write(graph, forest, matrix)
    graph.output(TensorSpec("Y", kind, (-1, forest.targets)), sums.name)
    model: onnx.ModelProto = graph.finish()
    return model


def run(model: onnx.ModelProto, rows: Array) -> Array:
    """What ONNX Runtime answers on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    answer: Array = session.run(None, {"X": rows})[0]
    return answer
