"""Decision trees, forests of them, and isolation forests: the trees themselves, node by node.

scikit-learn casts rows to float32, compares them with float64 thresholds (``x <= t``), and adds the
trees' float64 leaves in the trees' order; so does what is written here, to the last bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.compiling.converters.base import UNKNOWN, CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.tables import INFINITE, fail_at, is_sparse
from inferd.compiling.forest import LEAF, LEQ, Forest, Tree
from inferd.compiling.graph import Value
from inferd.tensors import Array

DOUBLE = np.dtype(np.float64)


def tree_of(grown: Any, weight: Array, features: Array | None = None) -> Tree:
    """A ``sklearn.tree._tree.Tree`` with *weight* [nodes, targets] in its leaves.

    *features* are the columns that it was grown on, where those are not all.
    """
    left = np.asarray(grown.children_left, np.int64)
    asked = np.where(left == LEAF, 0, grown.feature)
    return Tree(
        feature=asked if features is None else np.asarray(features)[asked],
        mode=np.full(len(left), LEQ, np.uint8),
        threshold=np.asarray(grown.threshold, float),
        left=left,
        right=np.asarray(grown.children_right, np.int64),
        missing_left=np.asarray(grown.missing_go_to_left).astype(bool),
        weight=np.asarray(weight, float).reshape(len(left), -1),
    )


def as_trees_see_it(context: Context, frame: Frame, model: Any = None) -> Value:
    """All columns, as float32 numbers in float64.

    The run fails, as the library raises, where a number becomes infinite in float32; and where one
    that is computed in the graph is NaN, if *model* is given and takes no missing values. What the
    model's own inputs must not be is held against them before the run.
    """
    narrow = context.matrix(frame, np.float32)
    refused = _refused(context, frame, model)
    guarded = fail_at(context, narrow, refused) if refused else narrow
    return context.cast(guarded, np.float64)


def _refused(context: Context, frame: Frame, model: Any) -> list[float]:
    """The float32 numbers that must not come up in *frame*."""
    computed = any(UNKNOWN in context.own(part) for part in frame.parts)
    if not computed and all(part.dtype != DOUBLE for part in frame.parts):
        return []
    takes_missing = model is None or _takes_missing(context, model, frame)
    return [*INFINITE, *([] if takes_missing or not computed else [float("nan")])]


def _takes_missing(context: Context, model: Any, frame: Frame) -> bool:
    from sklearn.utils import get_tags

    return bool(get_tags(model).input_tags.allow_nan) and not is_sparse(context, frame)


def _sums(trees: Sequence[Tree], context: Context, matrix: Value) -> Value:
    targets = trees[0].weight.shape[1]
    forest = Forest(trees, targets, DOUBLE, np.zeros(targets))
    return context.forest(forest, matrix)


def _ensemble(model: Any) -> Sequence[Any]:
    """The model's single trees: itself, or its estimators."""
    return getattr(model, "estimators_", None) or [model]


def _mean(context: Context, model: Any, frame: Frame, output: int) -> Value:
    """The mean of the trees' values for one *output*: [N, classes], or [N, 1] for a regressor.

    Written once, however many methods ask for it.
    """
    key = ("mean", id(model), frame, output)
    return context.graph.once(key, lambda: _write_mean(context, model, frame, output))


def _write_mean(context: Context, model: Any, frame: Frame, output: int) -> Value:
    grown = [each.tree_ for each in _ensemble(model)]
    width = int(np.atleast_1d(model.n_classes_)[output]) if hasattr(model, "n_classes_") else 1
    trees = [tree_of(each, each.value[:, output, :width]) for each in grown]
    sums = _sums(trees, context, as_trees_see_it(context, frame, model))
    if not hasattr(model, "estimators_"):
        return sums
    count = context.graph.constant(float(len(trees)))
    return sums._replace(name=context.graph.node("Div", sums, count))


def _classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """A tree or forest that votes; several outputs have their classes in lists."""
    name, _, number = method.partition(":")
    if name == "predict_proba":
        if (model.n_outputs_ > 1) != bool(number):
            raise CannotConvert("several outputs at once")
        return _mean(context, model, frame, int(number or 0))
    if name != "predict":
        raise CannotConvert(f"no {method}")
    if model.n_outputs_ == 1:
        scores = _mean(context, model, frame, 0)
        return context.labels(model.classes_, context.argmax(scores))
    columns = []
    for output in range(model.n_outputs_):
        scores = _mean(context, model, frame, output)
        columns.append(context.labels(model.classes_[output], context.argmax(scores)))
    if any(column.dtype.kind not in "iufb" for column in columns):
        raise CannotConvert("several outputs of strings")
    return stack(context, [_as_filled(context, column, model) for column in columns])


def _as_filled(context: Context, column: Value, model: Any) -> Value:
    """Forests fill a float64 table with labels, single trees one of the classes' own type."""
    return context.graph.cast(column, np.float64) if hasattr(model, "estimators_") else column


def stack(context: Context, columns: Sequence[Value]) -> Value:
    """[N] side by side: [N, columns]."""
    axis = np.array([1], np.int64)
    wide = [context.graph.node("Unsqueeze", column, axis) for column in columns]
    return Value(context.graph.node("Concat", *wide, axis=1), len(columns), columns[0].dtype)


def _regressor(context: Context, model: Any, frame: Frame, method: str) -> Value:
    if method != "predict":
        raise CannotConvert(f"no {method}")
    if model.n_outputs_ == 1:
        return context.flat(_mean(context, model, frame, 0))
    means = [context.flat(_mean(context, model, frame, k)) for k in range(model.n_outputs_)]
    return stack(context, means)


def _isolation(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """How deep a row lies in the trees, as a score: sklearn.ensemble._iforest."""
    from sklearn.ensemble._iforest import _average_path_length

    denominator = float(len(model.estimators_) * _average_path_length([model._max_samples])[0])
    if denominator == 0:
        raise CannotConvert("an isolation forest of one row")
    node = context.graph.node
    depth = context.graph.once(
        ("depth", id(model), frame), lambda: context.flat(_depth(context, model, frame))
    )
    power = node("Pow", np.float64(2), node("Neg", node("Div", depth, np.float64(denominator))))
    scores = node("Neg", power)
    if method == "score_samples":
        return Value(scores, 0, DOUBLE)
    decision = node("Sub", scores, np.float64(model.offset_))
    if method == "decision_function":
        return Value(decision, 0, DOUBLE)
    if method != "predict":
        raise CannotConvert(f"no {method}")
    outlier = node("Less", decision, np.float64(0))
    return Value(node("Where", outlier, np.int64(-1), np.int64(1)), 0, np.dtype(np.int64))


def _depth(context: Context, model: Any, frame: Frame) -> Value:
    """The sum of a row's depths in all trees: [N, 1]."""
    trees = [
        tree_of(
            each.tree_,
            model._decision_path_lengths[at] + model._average_path_length_per_tree[at] - 1.0,
            columns,
        )
        for at, (each, columns) in enumerate(
            zip(model.estimators_, model.estimators_features_, strict=True)
        )
    ]
    # Isolation forests take any number, infinities too.
    matrix = context.cast(context.matrix(frame, np.float32), np.float64)
    return _sums(trees, context, matrix)


EMITTERS = {
    "DecisionTreeClassifier": _classifier,
    "DecisionTreeRegressor": _regressor,
    "ExtraTreeClassifier": _classifier,
    "ExtraTreeRegressor": _regressor,
    "ExtraTreesClassifier": _classifier,
    "ExtraTreesRegressor": _regressor,
    "IsolationForest": _isolation,
    "RandomForestClassifier": _classifier,
    "RandomForestRegressor": _regressor,
}
