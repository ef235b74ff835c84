"""A forest as one TreeEnsemble node, and that node read back and held against the forest.

ONNX's TreeEnsemble has one target a leaf, so each tree is written once for each target, as far as
it bears on that target: where all leaves below a node weigh the same, the node is one leaf.
(https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html)
"""

from typing import Any

import numpy as np

from inferd.compiling.forest import LEAF, MEMBER, Forest, Tree, round_for
from inferd.compiling.graph import Graph, Value
from inferd.tensors import Array

FIELDS = (
    "nodes_featureids",
    "nodes_modes",
    "nodes_splits",
    "nodes_missing_value_tracks_true",
    "nodes_truenodeids",
    "nodes_trueleafs",
    "nodes_falsenodeids",
    "nodes_falseleafs",
)


def write(graph: Graph, forest: Forest, matrix: Value) -> Value:
    """Add a TreeEnsemble over *matrix*, which has the forest's dtype: the sums, [N, targets]."""
    writer = _Writer()
    for start in np.flatnonzero(forest.base).tolist():
        writer.add_constant(start, forest.base[start])
    for tree in forest.trees:
        levels = list(tree.levels())
        for target, weight in tree.summands():
            writer.add(tree, levels, target, weight)
    if not writer.roots:
        writer.add_constant(0, 0.0)
    attributes = writer.attributes(forest)
    name = graph.node("TreeEnsemble", matrix, domain="ai.onnx.ml", **attributes)
    return Value(name, forest.targets, forest.dtype)


class _Writer:
    """The attributes of a TreeEnsemble that grows tree by tree."""

    def __init__(self) -> None:
        self._fields: dict[str, list[Array]] = {name: [] for name in FIELDS}
        self._members: list[float] = []
        self._targets: list[Array] = []
        self._weights: list[Array] = []
        self._nodes = self._leaves = 0
        self.roots: list[int] = []

    def add_constant(self, target: int, weight: float) -> None:
        """A tree whose two leaves weigh the same.

        One leaf for both sides is within the standard, but ONNX Runtime 1.32 then adds the weights
        of other trees' leaves.
        """
        self._nodes_of(0, 0, 0.0, 0, self._leaves, 1, self._leaves + 1, 1)
        self._leaves_of(target, np.array([weight, weight]))

    def add(self, tree: Tree, levels: list[Array], target: int, weights: Array) -> None:
        """*tree* with the nodes' *weights* for *target*."""
        weight, uniform = collapse(tree, levels, weights)
        if uniform[0]:
            if weight[0] != 0:  # adding nothing changes nothing
                self.add_constant(target, weight[0])
            return
        kept = np.concatenate([level[~uniform[level]] for level in levels])
        left, right = tree.left[kept], tree.right[kept]
        ends = np.concatenate([left[uniform[left]], right[uniform[right]]])
        number = np.zeros(len(tree.left), np.int64)
        number[kept] = np.arange(len(kept)) + self._nodes
        number[ends] = np.arange(len(ends)) + self._leaves
        for node in kept[tree.mode[kept] == MEMBER]:
            self._members += [*map(float, tree.members[int(node)]), np.nan]
        self._nodes_of(
            tree.feature[kept],
            tree.mode[kept],
            tree.threshold[kept],
            tree.missing_left[kept],
            number[left],
            uniform[left],
            number[right],
            uniform[right],
        )
        self._leaves_of(target, weight[ends])

    def attributes(self, forest: Forest) -> dict[str, Any]:
        """All of them, by name. ValueError for weights that the forest's dtype cannot hold."""
        from onnx import numpy_helper

        fields = {name: np.concatenate(parts) for name, parts in self._fields.items()}
        modes = fields.pop("nodes_modes").astype(np.uint8)
        splits = round_for(forest.dtype, fields.pop("nodes_splits").astype(float), modes)
        weights = np.concatenate(self._weights)
        if not np.array_equal(weights.astype(forest.dtype), weights, equal_nan=True):
            raise ValueError(f"leaf weights that {forest.dtype} cannot hold")
        attributes: dict[str, Any] = {
            name: values.astype(np.int64).tolist() for name, values in fields.items()
        }
        attributes |= {
            "nodes_modes": numpy_helper.from_array(modes, "modes"),
            "nodes_splits": numpy_helper.from_array(splits, "splits"),
            "leaf_targetids": np.concatenate(self._targets).tolist(),
            "leaf_weights": numpy_helper.from_array(weights.astype(forest.dtype), "weights"),
            "tree_roots": self.roots,
            "n_targets": forest.targets,
            "aggregate_function": 1,  # SUM
            "post_transform": 0,  # NONE
        }
        if self._members:
            members = np.array(self._members, forest.dtype)
            attributes["membership_values"] = numpy_helper.from_array(members, "members")
        return attributes

    def _nodes_of(self, *fields: Any) -> None:
        self.roots.append(self._nodes)
        for parts, values in zip(self._fields.values(), fields, strict=True):
            parts.append(np.atleast_1d(values))
        self._nodes += len(np.atleast_1d(fields[4]))

    def _leaves_of(self, target: int, weights: Array) -> None:
        self._targets.append(np.full(len(weights), target))
        self._weights.append(weights)
        self._leaves += len(weights)


def collapse(tree: Tree, levels: list[Array], weights: Array) -> tuple[Array, Array]:
    """The weight of each node below which all leaves weigh the same, and whether it is such a
    node."""
    weight = weights.astype(float)
    uniform = tree.left == LEAF
    for level in reversed(levels):
        inner = level[tree.left[level] != LEAF]
        left, right = tree.left[inner], tree.right[inner]
        same = uniform[left] & uniform[right] & (weight[left] == weight[right])
        uniform[inner] = same
        weight[inner] = np.where(same, weight[left], np.nan)
    return weight, uniform


def differences(forest: Forest, node: Any) -> int:
    """How many places of a TreeEnsemble (an ``onnx.NodeProto``) are not *forest*'s; 0: it is the
    forest.

    Walks each tree of the node and its source side by side, from the roots down.
    """
    read = _Read(node)
    roots = list(read.tree_roots)
    expected = [(tree, *each) for tree in forest.trees for each in tree.summands()]
    wrong = int(read.n_targets != forest.targets)
    for start in np.flatnonzero(forest.base).tolist():
        wrong += not (roots and read.constant(roots.pop(0), start, forest.base[start]))
    if not expected and roots and not forest.base.any():
        return wrong + int(not read.constant(roots.pop(0), 0, 0.0)) + len(roots)
    wrong += abs(len(roots) - len(expected))
    for root, (tree, target, weight) in zip(roots, expected, strict=False):
        wrong += read.compare(
            root, tree._replace(weight=weight[:, None], target=target), forest.dtype
        )
    return wrong


class _Read:
    """A TreeEnsemble's attributes as arrays."""

    def __init__(self, node: Any) -> None:
        from onnx import helper, numpy_helper

        values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        arrays = {
            name: numpy_helper.to_array(v) if hasattr(v, "data_type") else np.asarray(v)
            for name, v in values.items()
        }
        self.tree_roots: list[int] = arrays.pop("tree_roots").tolist()
        self.n_targets = int(arrays.pop("n_targets"))
        self._a = arrays
        self._sets = self._members(arrays)

    def constant(self, root: int, target: int, weight: float) -> bool:
        """Whether the tree at *root* is nothing but *weight* for *target*."""
        found = self._constant(root)
        return found is not None and found == (target, weight)

    def _constant(self, root: int) -> tuple[int, float] | None:
        """Target and weight of a tree whose two leaves are alike; None for any other."""
        a = self._a
        if not (a["nodes_trueleafs"][root] and a["nodes_falseleafs"][root]):
            return None
        leaves = [a["nodes_truenodeids"][root], a["nodes_falsenodeids"][root]]
        one, other = zip(a["leaf_targetids"][leaves], a["leaf_weights"][leaves], strict=True)
        return (int(one[0]), float(one[1])) if one == other else None

    def compare(self, root: int, tree: Tree, dtype: np.dtype[Any]) -> int:
        """The places where the tree at *root* is not *tree*, which has one target."""
        a, wrong = self._a, 0
        whole = self._constant(root) is not None
        here = a["nodes_truenodeids"][[root]] if whole else np.array([root])
        there, leaf = np.array([0]), np.array([whole])
        splits = round_for(dtype, tree.threshold, tree.mode)
        while len(here):
            inner = tree.left[there] != LEAF
            # Below a written leaf all leaves of the source have its weight.
            ends, ended = here[leaf & ~inner], there[leaf & ~inner]
            wrong += int((a["leaf_targetids"][ends] != tree.target).sum())
            wrong += int((a["leaf_weights"][ends] != tree.weight[ended, 0]).sum())
            wrong += int((~leaf & ~inner).sum())
            at, node = here[~leaf & inner], there[~leaf & inner]
            member = tree.mode[node] == MEMBER
            wrong += int((a["nodes_featureids"][at] != tree.feature[node]).sum())
            wrong += int((a["nodes_modes"][at] != tree.mode[node]).sum())
            wrong += int(((a["nodes_splits"][at] != splits[node]) & ~member).sum())
            tracks = a["nodes_missing_value_tracks_true"][at].astype(bool)
            wrong += int((tracks != tree.missing_left[node]).sum())
            for i, j in zip(at[member], node[member], strict=True):
                wrong += self._sets.get(int(i)) != frozenset(map(float, tree.members[int(j)]))
            down, below = here[leaf & inner], there[leaf & inner]
            here = np.concatenate(
                [a["nodes_truenodeids"][at], a["nodes_falsenodeids"][at], down, down]
            )
            there = np.concatenate(
                [tree.left[node], tree.right[node], tree.left[below], tree.right[below]]
            )
            stays = np.ones(2 * len(down), bool)
            leaf = np.concatenate(
                [
                    a["nodes_trueleafs"][at].astype(bool),
                    a["nodes_falseleafs"][at].astype(bool),
                    stays,
                ]
            )
        return wrong

    @staticmethod
    def _members(arrays: dict[str, Array]) -> dict[int, frozenset[float]]:
        """The set of each MEMBER node: they lie in the nodes' order, each ended by NaN."""
        flat = arrays.get("membership_values", np.empty(0))
        nodes = np.flatnonzero(arrays["nodes_modes"] == MEMBER)
        ends = np.flatnonzero(np.isnan(flat))
        starts = [0, *(ends[:-1] + 1)]
        return {
            int(node): frozenset(flat[start:end].tolist())
            for node, start, end in zip(nodes, starts, ends, strict=False)
        }
