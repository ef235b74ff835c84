"""One model for each class, pair of classes, or output."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.meta import response
from inferd.compiling.converters.sklearn.scores import (
    WHOLE,
    column,
    complemented,
    decided,
    nearest_point,
    one_against_one,
    repeated,
    stacked,
    summed,
    truth,
)
from inferd.compiling.converters.sklearn.tables import DOUBLE, dense, require
from inferd.compiling.graph import Value


def _score(context: Context, model: Any, frame: Frame) -> Value:
    """``sklearn.multiclass._predict_binary``: [N]."""
    from sklearn.base import is_regressor

    if is_regressor(model):
        made = context.emit(model, frame, "predict")
    elif hasattr(model, "decision_function"):
        made = context.emit(model, frame, "decision_function")
    else:
        made = column(context, context.emit(model, frame, "predict_proba"), 1)
    require(not made.width, "several scores for two classes")
    return made


def _constant(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """What stands for a class that all rows, or none, belonged to."""
    if method == "predict_proba":
        label = np.asarray(model.y_, float)
        return repeated(context, frame, np.hstack([1 - label, label]))
    require(method in ("predict", "decision_function"), f"no {method}")
    return context.flat(repeated(context, frame, np.asarray(model.y_)))


def _bound(model: Any) -> float:
    """``_threshold_for_binary_predict``."""
    from sklearn.base import is_classifier

    return 0.0 if hasattr(model, "decision_function") and is_classifier(model) else 0.5


def _one_against_rest(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """OneVsRestClassifier."""
    if method == "predict_proba":
        return _rest_chances(context, model, frame)
    scores = [_score(context, each, frame) for each in model.estimators_]
    if method == "decision_function":
        require(all(hasattr(e, method) for e in model.estimators_), f"no {method}")
        return scores[0] if len(scores) == 1 else stacked(context, scores)
    require(method == "predict", f"no {method}")
    binarizer, bound = model.label_binarizer_, _bound(model.estimators_[0])
    match binarizer.y_type_:
        case "multiclass":
            require(len(scores) > 1, "a single class")
            return decided(context, model.classes_, stacked(context, scores))
        case "binary":
            (only,) = scores
            return decided(context, binarizer.classes_, only, bound)
    require(binarizer.y_type_ == "multilabel-indicator", "labels of this kind")
    require(not binarizer.sparse_input_, "a sparse matrix of labels")
    return truth(context, "Greater", stacked(context, scores), bound)


def _rest_chances(context: Context, model: Any, frame: Frame) -> Value:
    for each in model.estimators_:
        require(hasattr(each, "predict_proba"), "no predict_proba")
    chances = [
        column(context, context.emit(each, frame, "predict_proba"), 1) for each in model.estimators_
    ]
    made = complemented(context, chances[0]) if len(chances) == 1 else stacked(context, chances)
    if model.multilabel_:
        return made
    node, total = context.graph.node, summed(context, made)
    total_or_one = node("Where", node("Equal", total, np.float64(0)), np.float64(1), total)
    return made._replace(name=node("Div", made, total_or_one))


def _each_two(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """OneVsOneClassifier."""
    require(model.pairwise_indices_ is None, "kernels computed before")
    winners = [context.emit(each, frame, "predict") for each in model.estimators_]
    require(all(w.dtype.kind == "i" for w in winners), "labels that are no numbers")
    sure = [_score(context, each, frame) for each in model.estimators_]
    second = context.graph.cast(stacked(context, winners), WHOLE)
    classes = len(model.classes_)
    scores = one_against_one(context, second, stacked(context, sure), classes)
    if classes == 2:
        scores = column(context, scores, 1)
    if method == "decision_function":
        return scores
    require(method == "predict", f"no {method}")
    return decided(context, model.classes_, scores, _bound(model.estimators_[0]))


def _output_codes(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """OutputCodeClassifier: the class with the nearest code."""
    require(method == "predict", f"no {method}")
    scores = stacked(context, [_score(context, each, frame) for each in model.estimators_])
    scores = context.graph.cast(scores, DOUBLE)
    index = nearest_point(context, scores, model.code_book_)
    return context.labels(model.classes_, index)


def _several_outputs(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """MultiOutputClassifier and MultiOutputRegressor."""
    name, _, number = method.partition(":")
    if name == "predict_proba" and number:
        return context.emit(model.estimators_[int(number)], frame, name)
    require(method == "predict", f"no {method}")
    return stacked(context, [context.emit(each, frame, method) for each in model.estimators_])


def _chain(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """ClassifierChain and RegressorChain: each output is a column for those after it."""
    dense(context, frame, "a chain")
    require(method in ("predict", "predict_proba", "decision_function"), f"no {method}")
    handed_on = getattr(model, "chain_method_", "predict")
    table, outputs = context.matrix(frame), []
    earlier: list[Value] = []
    for each in model.estimators_:
        wider = Frame((stacked(context, [table, *earlier]),))
        earlier.append(_number(context, response(context, each, wider, handed_on)))
        outputs.append(_number(context, response(context, each, wider, method)))
    order: Sequence[int] = np.argsort(np.asarray(model.order_)).tolist()
    return stacked(context, [outputs[at] for at in order])


def _number(context: Context, made: Value) -> Value:
    require(made.width == 0 and made.dtype != object, "several numbers for an output")
    return context.graph.cast(made, DOUBLE)


EMITTERS = {
    **dict.fromkeys(("ClassifierChain", "RegressorChain"), _chain),
    **dict.fromkeys(("MultiOutputClassifier", "MultiOutputRegressor"), _several_outputs),
    "OneVsOneClassifier": _each_two,
    "OneVsRestClassifier": _one_against_rest,
    "OutputCodeClassifier": _output_codes,
    "_ConstantPredictor": _constant,
}
