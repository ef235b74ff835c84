"""What the converters of predictors share: weighted sums, and from scores to labels and chances."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.tables import DOUBLE, doubles, require
from inferd.compiling.graph import Value
from inferd.tensors import Array

WHOLE = np.dtype(np.int64)
TRUTH = np.dtype(bool)
ACROSS = np.array([1], np.int64)
"""The axis of a table's columns, for operators that take it as an input."""


def plain(array: Any) -> Array:
    """A fitted parameter as float64: exact, since scikit-learn holds it as that or as float32."""
    return np.asarray(array.toarray() if hasattr(array, "toarray") else array, np.float64)


def affine(context: Context, value: Value, weights: Any, bias: Any = None) -> Value:
    """``value @ weights + bias``: [N, outputs]; *weights* are [inputs, outputs]."""
    matrix = np.ascontiguousarray(plain(weights))
    require(matrix.shape[0] == value.width, "weights for another number of columns")
    name = context.graph.node("MatMul", value, matrix)
    if bias is not None:
        name = context.graph.node("Add", name, np.atleast_1d(plain(bias)))
    return Value(name, matrix.shape[1], DOUBLE)


def linear(context: Context, model: Any, frame: Frame) -> Value:
    """``X @ coef_.T + intercept_``, in the shape that it has in scikit-learn."""
    coef = plain(model.coef_)
    scores = affine(context, doubles(context, frame), np.atleast_2d(coef).T, model.intercept_)
    return context.flat(scores) if coef.ndim == 1 else scores


def narrow(context: Context, scores: Value) -> Value:
    """One score a row as [N]; several as they are."""
    return context.flat(scores) if scores.width == 1 else scores


def wide(context: Context, column: Value) -> Value:
    """[N] as [N, 1]; a table as it is."""
    if column.width:
        return column
    return column._replace(name=context.graph.node("Unsqueeze", column, ACROSS), width=1)


def column(context: Context, table: Value, at: int) -> Value:
    """One column of a table: [N]."""
    return table._replace(name=context.graph.node("Gather", table, np.int64(at), axis=1), width=0)


def stacked(context: Context, columns: Sequence[Value]) -> Value:
    """[N] or tables side by side, in the datatype that numpy gives them together."""
    kinds = {each.dtype for each in columns}
    strings = np.dtype(object) in kinds
    require(not strings or len(kinds) == 1, "strings and numbers in one table")
    dtype = np.dtype(object) if strings else np.result_type(*kinds)
    parts = [wide(context, c if strings else context.graph.cast(c, dtype)) for c in columns]
    if len(parts) == 1:
        return parts[0]
    name = context.graph.node("Concat", *parts, axis=1)
    return Value(name, sum(part.width for part in parts), dtype)


def added(context: Context, values: Sequence[Value]) -> Value:
    """The sum, first to last."""
    total = values[0]
    for each in values[1:]:
        total = total._replace(name=context.graph.node("Add", total, each))
    return total


def scaled(context: Context, value: Value, operator: str, number: Any) -> Value:
    """*value* and a number, or a number a column."""
    return value._replace(name=context.graph.node(operator, value, plain(number)))


def summed(context: Context, table: Value) -> Value:
    """The sum of each row, added in numpy's order, so to the last bit: [N, 1].

    numpy adds up to seven numbers one by one, and more in eight heaps, or in halves of eight heaps:
    ``pairwise_sum`` in its loops. Rows far longer than that are added in any order.
    """
    if table.width > LONG:
        name = context.graph.node("ReduceSum", table, ACROSS, keepdims=1)
        return table._replace(name=name, width=1)
    if table.width > BLOCK:
        half = table.width // 2
        half -= half % HEAPS
        parts = split(context, table, [half, table.width - half])
        return added(context, [summed(context, part) for part in parts])
    return _block(context, table)


def _block(context: Context, table: Value) -> Value:
    """The sum of a row of up to BLOCK numbers."""
    heaps = table.width // HEAPS
    if not heaps:
        return added(context, split(context, table, [1] * table.width))
    rest = table.width % HEAPS
    parts = split(context, table, [HEAPS] * heaps + [1] * rest)
    eight = added(context, parts[:heaps])
    while eight.width > 1:
        # Neighbours first: (0 + 1) + (2 + 3), and so on.
        even, odd = (np.arange(start, eight.width, 2) for start in (0, 1))
        left, right = (context.graph.node("Gather", eight, at, axis=1) for at in (even, odd))
        name = context.graph.node("Add", left, right)
        eight = eight._replace(name=name, width=eight.width // 2)
    return added(context, [eight, *parts[heaps:]])


def split(context: Context, table: Value, widths: Sequence[int]) -> list[Value]:
    """*table* cut into parts of *widths* columns."""
    if len(widths) == 1:
        return [table]
    sizes = np.array(widths, np.int64)
    names = context.graph.nodes("Split", table, sizes, count=len(widths), axis=1)
    return [table._replace(name=n, width=w) for n, w in zip(names, widths, strict=True)]


HEAPS, BLOCK, LONG = 8, 128, 1024


def truth(context: Context, operator: str, scores: Value, bound: float) -> Value:
    """Whether each score is greater, less, ... than *bound*: 0 or 1, as int64."""
    name = context.graph.node(operator, scores, np.float64(bound))
    return context.graph.cast(Value(name, scores.width, TRUTH), WHOLE)


def decided(context: Context, classes: Any, scores: Value, bound: float = 0.0) -> Value:
    """The label: of two classes by whether the only score is above *bound*, of several by the
    largest score, the first of equal ones."""
    if scores.width == 0:
        require(len(classes) == 2, "one score for more or fewer than two classes")
        return context.labels(classes, truth(context, "Greater", scores, bound))
    require(len(classes) == scores.width, "a score for each class is missing")
    return context.labels(classes, context.argmax(scores))


def in_or_out(context: Context, decision: Value, operator: str, dtype: Any = WHOLE) -> Value:
    """1 where the decision is above (or on) zero, -1 elsewhere."""
    holds = context.graph.node(operator, decision, np.float64(0))
    one, other = (np.asarray(each, dtype) for each in (1, -1))
    return Value(context.graph.node("Where", holds, one, other), 0, np.dtype(dtype))


def expit(context: Context, scores: Value) -> Value:
    """The logistic function as scipy writes it, which keeps the digits of small chances."""
    node = context.graph.node
    power = node("Add", node("Exp", node("Neg", scores)), np.float64(1))
    return scores._replace(name=node("Div", np.float64(1), power))


def complemented(context: Context, chance: Value) -> Value:
    """The chances of two classes, from that of the second: [N] to [N, 2]."""
    first = chance._replace(name=context.graph.node("Sub", np.float64(1), chance))
    return stacked(context, [first, chance])


def softmax(context: Context, scores: Value) -> Value:
    """``sklearn.utils.extmath.softmax``, step by step."""
    node = context.graph.node
    top = node("ReduceMax", scores, axes=[1], keepdims=1)
    power = scores._replace(name=node("Exp", node("Sub", scores, top)))
    return power._replace(name=node("Div", power, summed(context, power)))


def shared_out(context: Context, chances: Value) -> Value:
    """Each row over its sum; where that is zero, all classes alike."""
    node, total = context.graph.node, summed(context, chances)
    nothing = node("Equal", total, np.float64(0))
    above = node("Where", nothing, np.float64(1), chances)
    below = node("Where", nothing, np.float64(chances.width), total)
    return chances._replace(name=node("Div", above, below))


def log_sum_exp(context: Context, table: Value) -> Value:
    """``sklearn.utils._array_api._logsumexp`` over columns, but for rounding: [N, 1]."""
    node = context.graph.node
    top = node("ReduceMax", table, axes=[1], keepdims=1)
    shift = node("Where", node("IsInf", top), np.float64(0), top)
    power = table._replace(name=node("Exp", node("Sub", table, shift)))
    total = node("Add", node("Log", summed(context, power)), shift)
    return Value(total, 1, DOUBLE)


def rows(context: Context, frame: Frame) -> str:
    """The number of rows: int64 [1]."""
    return context.graph.node("Shape", frame.parts[0], start=0, end=1)


def repeated(context: Context, frame: Frame, values: Any) -> Value:
    """The same numbers for each row: [N, values]."""
    row = np.asarray(values).reshape(1, -1)
    shape = context.graph.node("Concat", rows(context, frame), np.array([row.size]), axis=0)
    return Value(context.graph.node("Expand", row, shape), row.size, row.dtype)


def inverse_link(context: Context, link: Any, raw: Value) -> Value:
    """The inverse of a loss's link: sklearn._loss.link."""
    match type(link).__name__:
        case "IdentityLink":
            return raw
        case "LogLink":
            return raw._replace(name=context.graph.node("Exp", raw))
        case other:
            raise CannotConvert(f"the link {other}")


def squared_norms(context: Context, table: Value) -> Value:
    """The sum of each row's squares, as ``numpy.sum`` adds them: [N, 1]."""
    return summed(context, _squares(context, table))


def row_norms(context: Context, table: Value) -> Value:
    """``sklearn.utils.extmath.row_norms(squared=True)``, in ``numpy.einsum``'s order: [N, 1].

    It adds two heaps, of the even and the odd columns, four pairs at a time from the last back; in
    vectors of two numbers, which is what numpy builds everywhere.
    """
    squares, count = _squares(context, table), -(-table.width // 2)
    if table.width == 1 or table.width > LONG:
        return summed(context, squares)
    if table.width % 2:
        zero = context.flat(repeated(context, Frame((table,)), np.float64(0)))
        squares = stacked(context, [squares, zero])
    pairs = split(context, squares, [2] * count)
    whole = table.width // 8 * 4
    order = [start + at for start in range(0, whole, 4) for at in (3, 2, 1, 0)]
    two = added(context, [pairs[at] for at in [*order, *range(whole, count)]])
    return added(context, split(context, two, [1, 1]))


def _dots(context: Context, table: Value) -> Value:
    """Each row times itself, as BLAS adds up short rows: one by one."""
    if table.width >= SHORT:
        return row_norms(context, table)
    return added(context, split(context, _squares(context, table), [1] * table.width))


SHORT = 16
"""Where OpenBLAS begins to add in heaps, which differ from processor to processor."""


def _squares(context: Context, table: Value) -> Value:
    return table._replace(name=context.graph.node("Mul", table, table))


def squared_distances(context: Context, table: Value, points: Any) -> Value:
    """``sklearn.metrics.pairwise.euclidean_distances(squared=True)``: [N, points]."""
    centres = plain(points)
    return _expanded(context, table, centres, row_norms(context, table), norms_of(centres))


def nearest_point(context: Context, table: Value, points: Any, norms: Any = None) -> Value:
    """``sklearn.metrics.pairwise_distances_argmin``: the number of the nearest point, int64 [N].

    *norms* are the points' own where the model has them.
    """
    centres = plain(points)
    if norms is None:
        one_by_one = np.cumsum(centres * centres, axis=1)[:, -1]
        norms = one_by_one if table.width < SHORT else norms_of(centres)
    return nearest(context, _expanded(context, table, centres, _dots(context, table), norms))


def _expanded(context: Context, table: Value, points: Array, own: Value, norms: Any) -> Value:
    """Squared distances, multiplied out; rounding makes some of them negative, which count as 0."""
    # Doubling is exact, so that it may come before the product as well as after it.
    product = affine(context, table, -2.0 * points.T)
    product = product._replace(name=context.graph.node("Add", product, own))
    product = scaled(context, product, "Add", norms)
    return product._replace(name=context.graph.node("Max", product, np.float64(0)))


def norms_of(centres: Array) -> Array:
    """The squared norms of fitted points, as ``row_norms`` adds them up."""
    squares: Array = np.einsum("ij,ij->i", centres, centres)
    return squares


def nearest(context: Context, distances: Value) -> Value:
    """The number of the nearest point, the first of equally near ones: int64 [N]."""
    return Value(context.graph.node("ArgMin", distances, axis=1, keepdims=0), 0, WHOLE)


def one_against_one(context: Context, second: Value, confidence: Value, classes: int) -> Value:
    """``sklearn.utils.multiclass._ovr_decision_function``: a score a class from each two classes.

    *second* is 1 where the second of two classes was predicted, else 0 (int64 [N, pairs]).
    """
    node = context.graph.node
    won = context.graph.cast(second, DOUBLE)
    lost = won._replace(name=node("Sub", np.float64(1), won))
    nothing = repeated(context, Frame((confidence,)), np.float64(0))
    zero = context.flat(nothing).name
    votes = [[zero] for _ in range(classes)]
    sums = [zero] * classes
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    for at, (i, j) in enumerate(pairs):
        sums[i] = node("Sub", sums[i], column(context, confidence, at))
        sums[j] = node("Add", sums[j], column(context, confidence, at))
        votes[i].append(column(context, lost, at).name)
        votes[j].append(column(context, won, at).name)
    scores = []
    for names, total in zip(votes, sums, strict=True):
        below = node("Mul", node("Add", node("Abs", total), np.float64(1)), np.float64(3))
        vote = names[0]
        for each in names[1:]:
            vote = node("Add", vote, each)
        scores.append(Value(node("Add", vote, node("Div", total, below)), 0, DOUBLE))
    return stacked(context, scores)
