"""Support vector machines by libsvm: kernels, and votes between each two classes.

Kernels are computed in float64 for all support vectors at once; libsvm's rules decide between equal
numbers of votes.
"""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.kernels import power
from inferd.compiling.converters.sklearn.scores import (
    affine,
    column,
    in_or_out,
    norms_of,
    one_against_one,
    plain,
    scaled,
    split,
    squared_norms,
    stacked,
    truth,
)
from inferd.compiling.converters.sklearn.tables import DOUBLE, require
from inferd.compiling.graph import Value
from inferd.tensors import Array


def _weighted(context: Context, model: Any, frame: Frame, weights: Array) -> Value:
    """The kernel with each support vector, times *weights* [vectors, sums]."""
    vectors = plain(model.support_vectors_)
    require(vectors.ndim == 2 and len(vectors) == len(weights), "no support vectors")
    matrix = context.matrix(frame)  # libsvm takes float64 only, so that scikit-learn casts
    if model.kernel == "linear":
        return affine(context, matrix, vectors.T @ weights)
    return affine(context, _kernel(context, model, matrix, vectors), weights)


def _kernel(context: Context, model: Any, matrix: Value, vectors: Array) -> Value:
    """``Kernel::k_function`` of libsvm."""
    gamma, node = float(model._gamma), context.graph.node
    if model.kernel == "rbf":
        distances = _distances(context, matrix, vectors)
        return distances._replace(name=node("Exp", scaled(context, distances, "Mul", -gamma)))
    require(model.kernel in ("poly", "sigmoid"), "a kernel of one's own")
    product = scaled(context, affine(context, matrix, vectors.T), "Mul", gamma)
    product = scaled(context, product, "Add", float(model.coef0))
    if model.kernel == "sigmoid":
        return product._replace(name=node("Tanh", product))
    return power(context, product, int(model.degree))


def _distances(context: Context, matrix: Value, vectors: Array) -> Value:
    """Squared distances. libsvm subtracts first; so that nothing is lost here either, both sides
    are moved to the middle of the support vectors before they are multiplied."""
    node, middle = context.graph.node, vectors.mean(axis=0)
    moved, near = scaled(context, matrix, "Sub", middle), vectors - middle
    made = node("Add", affine(context, moved, -2.0 * near.T), squared_norms(context, moved))
    made = node("Max", node("Add", made, norms_of(near)), np.float64(0))
    # Where squares overflow, the row is too far away for any kernel to see it.
    far = node("Where", node("IsNaN", made), np.float64(np.inf), made)
    return Value(far, len(vectors), DOUBLE)


def _one_sum(context: Context, model: Any, frame: Frame) -> Value:
    """The decision of a regressor or an outlier detector: [N]."""
    weights = plain(model._dual_coef_).reshape(-1, 1)
    sums = _weighted(context, model, frame, weights)
    return context.flat(scaled(context, sums, "Add", model._intercept_))


def _regressor(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(method == "predict", f"no {method}")
    return _one_sum(context, model, frame)


def _one_class(context: Context, model: Any, frame: Frame, method: str) -> Value:
    decision = _one_sum(context, model, frame)
    if method == "decision_function":
        return decision
    if method == "score_samples":
        return scaled(context, decision, "Add", plain(model.offset_).reshape(-1)[0])
    require(method == "predict", f"no {method}")
    return in_or_out(context, decision, "Greater")


def _pairs(context: Context, model: Any, frame: Frame) -> Value:
    """libsvm's decision between each two classes, positive for the first: [N, pairs].

    Each class's vectors have a coefficient against each other class, and only those of two classes
    decide between them: what overflows for a third does not matter.
    """
    counts, coefs = np.asarray(model.n_support_).tolist(), plain(model._dual_coef_)
    require(all(counts), "a class without support vectors")
    blocks = [block.T for block in np.split(coefs, np.cumsum(counts)[:-1], axis=1)]
    vectors = plain(model.support_vectors_)
    matrix = context.matrix(frame)
    if model.kernel == "linear":
        owned = np.split(vectors, np.cumsum(counts)[:-1])
        weights = np.hstack([mine.T @ block for mine, block in zip(owned, blocks, strict=True)])
        sums = affine(context, matrix, weights)
    else:
        parts = split(context, _kernel(context, model, matrix, vectors), counts)
        pairs = zip(parts, blocks, strict=True)
        sums = stacked(context, [affine(context, part, block) for part, block in pairs])
    others, node = len(counts) - 1, context.graph.node
    each = [(i, j) for i in range(len(counts)) for j in range(i + 1, len(counts))]
    first = node("Gather", sums, np.array([i * others + j - 1 for i, j in each]), axis=1)
    second = node("Gather", sums, np.array([j * others + i for i, j in each]), axis=1)
    made = Value(node("Add", first, second), len(each), DOUBLE)
    return scaled(context, made, "Add", model._intercept_)


def _classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    pairs, classes = _pairs(context, model, frame), len(model.classes_)
    wins = truth(context, "Greater", pairs, 0.0)
    if method == "predict":
        if model.break_ties and classes > 2:
            require(model.decision_function_shape == "ovr", "ties broken between pairs")
            return context.labels(model.classes_, context.argmax(_shares(context, pairs, classes)))
        votes = _votes(context, wins, classes)
        return context.labels(model.classes_, context.argmax(votes))
    if method == "predict_proba":
        raise CannotConvert("chances of support vectors are found by iteration")
    require(method == "decision_function", f"no {method}")
    if classes == 2:
        return context.flat(scaled(context, pairs, "Mul", -1.0))
    if model.decision_function_shape == "ovo":
        return pairs
    return _shares(context, pairs, classes)


def _shares(context: Context, pairs: Value, classes: int) -> Value:
    """One score a class, from the negated decisions."""
    negated = scaled(context, pairs, "Mul", -1.0)
    return one_against_one(context, truth(context, "Less", pairs, 0.0), negated, classes)


def _votes(context: Context, wins: Value, classes: int) -> Value:
    """How many of its pairs each class won: int64 [N, classes]."""
    node = context.graph.node
    losses = wins._replace(name=node("Sub", np.int64(1), wins))
    totals = []
    for wanted in range(classes):
        names, at = [], 0
        for i in range(classes):
            for j in range(i + 1, classes):
                if wanted in (i, j):
                    names.append(column(context, wins if wanted == i else losses, at))
                at += 1
        totals.append(names[0])
        for each in names[1:]:
            totals[-1] = each._replace(name=node("Add", totals[-1], each))
    return stacked(context, totals)


EMITTERS = {
    **dict.fromkeys(("NuSVC", "SVC"), _classifier),
    **dict.fromkeys(("NuSVR", "SVR"), _regressor),
    "OneClassSVM": _one_class,
}
