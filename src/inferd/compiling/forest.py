"""Tree ensembles, described once whatever library grew them.

A node asks one feature: it sends a row *left* where ``x <= threshold`` (LEQ), ``x < threshold``
(LT) or x is one of a set of whole numbers (MEMBER; a fraction counts as the whole number towards
zero), and right otherwise; where x is NaN, to the side that the node says.
The ensemble's answer for a target is its base and then the leaves' weights, tree after tree, added
in the ensemble's own datatype: sums of floating-point numbers depend on their order.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from inferd.tensors import Array

LEQ, LT, MEMBER = 0, 1, 6
"""How a node compares; the numbers are those of ONNX's TreeEnsemble (ai.onnx.ml 5)."""
LEAF = -1


class Tree(NamedTuple):
    """One tree, as arrays by node; node 0 is the root. Leaves have ``left == LEAF``."""

    feature: Array
    """The column asked: int64 [nodes]."""
    mode: Array
    """LEQ, LT or MEMBER: uint8 [nodes]."""
    threshold: Array
    """float64 [nodes], exactly as the library holds it."""
    left: Array
    """The child where the comparison holds: int64 [nodes]; LEAF in a leaf."""
    right: Array
    """The other child: int64 [nodes]."""
    missing_left: Array
    """Whether NaN goes left: bool [nodes]."""
    weight: Array
    """float64 [nodes, targets]; only the leaves' rows count."""
    members: Mapping[int, Array] = {}
    """The set of each MEMBER node, by node."""
    target: int | None = None
    """The only target that the weights, then [nodes, 1], are for."""

    def summands(self) -> Iterator[tuple[int, Array]]:
        """Each target that some leaf adds to, and the nodes' weights for it."""
        added = self.weight[self.left == LEAF].any(axis=0)
        for column in np.flatnonzero(added).tolist():
            yield (column if self.target is None else self.target), self.weight[:, column]

    def levels(self) -> Iterator[Array]:
        """The nodes, root first, one depth at a time."""
        level = np.zeros(1, np.int64)
        while len(level):
            yield level
            inner = level[self.left[level] != LEAF]
            level = np.concatenate([self.left[inner], self.right[inner]])


class Forest(NamedTuple):
    """Trees that add up."""

    trees: Sequence[Tree]
    targets: int
    dtype: np.dtype[Any]
    """In which features are compared and weights are added: float32 or float64."""
    base: Array
    """What each target starts from: [targets]."""

    def points(self) -> dict[int, Array]:
        """The distinct values that each feature is compared with, by feature: float64."""
        found: dict[int, list[Array]] = {}
        for tree in self.trees:
            plain = (tree.left != LEAF) & (tree.mode != MEMBER)
            for feature in np.unique(tree.feature[plain]):
                at = plain & (tree.feature == feature)
                found.setdefault(int(feature), []).append(tree.threshold[at])
            for node, members in tree.members.items():
                found.setdefault(int(tree.feature[node]), []).append(np.asarray(members, float))
        return {feature: np.unique(np.concatenate(parts)) for feature, parts in found.items()}


def round_for(dtype: np.dtype[Any], threshold: Array, mode: Array) -> Array:
    """Thresholds in *dtype* that part the numbers of *dtype* as the float64 ones do.

    ``x <= t`` is ``x <= t'`` with t' the largest number of *dtype* not above t; ``x < t`` is
    ``x < t'`` with t' the smallest not below t.
    """
    with np.errstate(over="ignore"):
        rounded = threshold.astype(dtype)
    down = (mode == LEQ) & (rounded > threshold)
    up = (mode == LT) & (rounded < threshold)
    rounded[down] = np.nextafter(rounded[down], dtype.type(-np.inf))
    rounded[up] = np.nextafter(rounded[up], dtype.type(np.inf))
    return rounded
