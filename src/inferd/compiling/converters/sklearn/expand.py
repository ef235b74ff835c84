"""Columns made of columns: products, bins, and ranks among the quantiles of ``fit``."""

from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.encode import hot
from inferd.compiling.converters.sklearn.tables import (
    DOUBLE,
    as_sparse,
    beside,
    dense,
    doubles,
    require,
)
from inferd.compiling.forest import LEAF, LT, Forest, Tree
from inferd.compiling.graph import Value
from inferd.tensors import Array

TOGETHER = 16
"""Columns looked up by one TreeEnsemble: what it takes to write one grows with their square."""


def _polynomial(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Products of columns; each is the first of its columns times the product of the others."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "products")
    value, choose, node = doubles(context, frame), _chooser(model), context.graph.node
    parts, before, known = [], value, {(at,): at for at in range(value.width)}
    if model._min_degree <= 1 <= model._max_degree:
        parts.append(value)
    for degree in range(2, model._max_degree + 1):
        chosen = list(choose(range(value.width), degree))
        if not chosen:
            break
        rest = np.array([known[each[1:]] for each in chosen])
        first = np.array([each[0] for each in chosen])
        factors = node("Gather", before, rest, axis=1), node("Gather", value, first, axis=1)
        before = Value(node("Mul", *factors), len(chosen), DOUBLE)
        known = {each: at for at, each in enumerate(chosen)}
        if degree >= model._min_degree:
            parts.append(before)
    if model.include_bias:
        parts.insert(0, _ones(context, value))
    require(parts, "a table without columns")
    return beside(context, parts)


def _chooser(model: Any) -> Any:
    return combinations if model.interaction_only else combinations_with_replacement


def _ones(context: Context, value: Value) -> Value:
    """A column of ones, as long as *value*."""
    node = context.graph.node
    rows = node("Slice", node("Shape", value), np.array([0]), np.array([1]))
    shape = node("Concat", rows, np.array([1]), axis=0)
    return Value(node("Expand", np.float64(1), shape), 1, DOUBLE)


def counts(context: Context, matrix: Value, edges: list[Array]) -> Value:
    """How many of its column's *edges*, which ascend, are not above each value: [N, width].

    By a search tree a column, so exactly. The count for NaN means nothing.
    """
    parts = []
    for start in range(0, len(edges), TOGETHER):
        group = edges[start : start + TOGETHER]
        picked = context.select(Frame((matrix,)), range(start, start + len(group))).parts[0]
        trees = [_search(each, at, len(group)) for at, each in enumerate(group)]
        forest = Forest(trees, len(group), DOUBLE, np.zeros(len(group)))
        parts.append(context.forest(forest, picked))
    return beside(context, parts)


def _search(edges: Array, feature: int, targets: int) -> Tree:
    """A balanced tree over *edges*; its leaves are the numbers of edges to their left."""
    threshold, left, right, weight = [0.0], [LEAF], [LEAF], [0.0]
    todo = [(0, 0, len(edges))]
    while todo:
        node, low, high = todo.pop()
        if low == high:
            weight[node] = low
            continue
        middle, end = (low + high) // 2, len(threshold)
        threshold[node], left[node], right[node] = edges[middle], end, end + 1
        for column, blank in ((threshold, 0.0), (left, LEAF), (right, LEAF), (weight, 0.0)):
            column += [blank, blank]
        todo += [(end, low, middle), (end + 1, middle + 1, high)]
    weights = np.zeros((len(left), targets))
    weights[:, feature] = weight
    return Tree(
        feature=np.full(len(left), feature),
        mode=np.full(len(left), LT, np.uint8),
        threshold=np.array(threshold, float),
        left=np.array(left, np.int64),
        right=np.array(right, np.int64),
        missing_left=np.zeros(len(left), bool),
        weight=weights,
    )


def _bins(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """The number of each value's bin; those at the ends reach to infinity."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "bins")
    require(model.dtype in (None, np.float64), f"bins of {model.dtype}")
    value = doubles(context, frame)
    places = counts(context, value, [edges[1:-1] for edges in model.bin_edges_])
    if model.encode == "ordinal":
        return places
    made = hot(context, places, [int(each) for each in model.n_bins_], DOUBLE)
    return as_sparse(context, made) if model.encode == "onehot" else made


def _quantiles(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """The mean of interpolating from below and from above, as ``numpy.interp`` does each."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "quantiles")
    require(model.output_distribution == "uniform", "the normal distribution's quantiles")
    value, quantiles, node = doubles(context, frame), model.quantiles_, context.graph.node
    require(len(quantiles) > 1 and np.isfinite(quantiles).all(), "quantiles that are no numbers")
    ranks = np.asarray(model.references_, float)
    below = _interpolated(context, value, quantiles, ranks)
    mirrored = value._replace(name=node("Neg", value))
    above = _interpolated(context, mirrored, -quantiles[::-1], -ranks[::-1])
    made = node("Mul", np.float64(0.5), node("Sub", below, above))
    made = node("Where", node("Equal", value, quantiles[-1].copy()), np.float64(1), made)
    made = node("Where", node("Equal", value, quantiles[0].copy()), np.float64(0), made)
    return value._replace(name=node("Where", node("IsNaN", value), value, made))


def _interpolated(context: Context, value: Value, points: Array, ranks: Array) -> str:
    """``np.interp(column, its points, ranks)`` for each column: compiled_base.c of numpy."""
    count, width = points.shape
    node = context.graph.node
    reached = counts(context, value, list(points.T))
    index = node("Max", node("Sub", reached, np.float64(1)), np.float64(0))
    index = node("Add", node("Cast", index, to=7), np.arange(width) * count)
    steps, rises = np.diff(points, axis=0), np.diff(ranks)[:, None]
    with np.errstate(divide="ignore", over="ignore"):
        slopes = np.where(steps > 0, rises / np.where(steps > 0, steps, 1), 0.0)
    require(np.isfinite(slopes).all() and np.isfinite(steps).all(), "quantiles too close together")
    slopes = np.vstack([slopes, np.zeros(width)])
    x, y, slope = (
        node("Gather", np.ascontiguousarray(table.T).ravel(), index, axis=0)
        for table in (points, np.repeat(ranks[:, None], width, axis=1), slopes)
    )
    line = node("Add", node("Mul", slope, node("Sub", value, x)), y)
    # Outside, and on a point, numpy gives the point's own rank.
    line = node("Where", node("Equal", value, x), y, line)
    line = node("Where", node("Equal", reached, np.float64(0)), y, line)
    return node("Where", node("Equal", reached, np.float64(count)), y, line)


EMITTERS = {
    "KBinsDiscretizer": _bins,
    "PolynomialFeatures": _polynomial,
    "QuantileTransformer": _quantiles,
}
