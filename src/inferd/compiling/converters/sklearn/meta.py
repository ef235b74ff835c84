"""Models made of other models: wrappers that pass a question on, votes, stacks, calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.linear import interpolated
from inferd.compiling.converters.sklearn.scores import (
    WHOLE,
    added,
    column,
    complemented,
    expit,
    plain,
    scaled,
    shared_out,
    softmax,
    stacked,
    wide,
)
from inferd.compiling.converters.sklearn.tables import DOUBLE, dense, require
from inferd.compiling.graph import Value


def asked_first(model: Any, methods: Sequence[str]) -> str:
    """The first of *methods* that *model* has."""
    for method in methods:
        if hasattr(model, method):
            return method
    raise CannotConvert(f"{type(model).__name__} has none of {', '.join(methods)}")


def response(
    context: Context, model: Any, frame: Frame, method: str, positive: Any = None
) -> Value:
    """``sklearn.utils._response._get_response_values``: for two classes one number a row, that of
    the *positive* class, which is the last where it is not told."""
    made = context.emit(model, frame, method)
    classes = np.asarray(getattr(model, "classes_", ()))
    if method not in ("predict_proba", "decision_function") or not len(classes):
        return made
    fractions = classes.dtype.kind == "f" and (classes != np.floor(classes)).any()
    require(len(classes) > 1 and not fractions, "classes that are no classes")
    if len(classes) > 2:
        return made
    at = 1 if positive is None else _place(classes, positive)
    if method == "predict_proba":
        require(made.width == 2, "chances of one class")
        return column(context, made, at)
    return made if at == 1 else scaled(context, made, "Mul", -1.0)


def _place(classes: Any, label: Any) -> int:
    found = np.flatnonzero(np.asarray(classes) == label)
    require(len(found) == 1, "a label that is no class")
    return int(found[0])


def _passing(attribute: str) -> Any:
    """The emitter of a model that hands its question on to *attribute*."""

    def emit(context: Context, model: Any, frame: Frame, method: str) -> Value:
        require(hasattr(model, attribute), f"no {attribute}")
        return context.emit(getattr(model, attribute), frame, method)

    return emit


def averaged(context: Context, values: Sequence[Value], weights: Any) -> Value:
    """``numpy.average`` over models."""
    if weights is None:
        return scaled(context, added(context, values), "Div", len(values))
    weighted = [scaled(context, v, "Mul", w) for v, w in zip(values, weights, strict=True)]
    return scaled(context, added(context, weighted), "Div", np.asarray(weights).sum())


def ballots(context: Context, label: Value, classes: int, weight: float = 1.0) -> Value:
    """A row with *weight* at each label's number, else zeros: [N, classes]."""
    require(label.dtype.kind == "i", "labels that are no numbers")
    column_of = wide(context, context.graph.cast(label, WHOLE))
    mine = context.graph.node("Equal", column_of, np.arange(classes).reshape(1, -1))
    name = context.graph.node("Where", mine, np.float64(weight), np.float64(0))
    return Value(name, classes, DOUBLE)


def _voting_classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    weights, classes = model._weights_not_none, model.le_.classes_
    if model.voting == "soft":
        chances = [context.emit(each, frame, "predict_proba") for each in model.estimators_]
        scores = averaged(context, chances, weights)
        if method == "predict_proba":
            return scores
    else:
        labels = [context.emit(each, frame, "predict") for each in model.estimators_]
        shares = [1.0] * len(labels) if weights is None else weights
        pairs = zip(labels, shares, strict=True)
        scores = added(context, [ballots(context, v, len(classes), w) for v, w in pairs])
    require(method == "predict", f"no {method}")
    return context.labels(classes, context.argmax(scores))


def _voting_regressor(context: Context, model: Any, frame: Frame, method: str) -> Value:
    made = [context.emit(each, frame, "predict") for each in model.estimators_]
    if method == "transform":
        return stacked(context, made)
    require(method == "predict", f"no {method}")
    return averaged(context, made, model._weights_not_none)


def _stacking(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """The last estimator over the answers of the others."""
    encoder = getattr(model, "_label_encoder", None)
    require(not isinstance(encoder, list), "several outputs")
    binary = encoder is not None and len(model.classes_) == 2
    parts = []
    for each, asked in zip(model.estimators_, model.stack_method_, strict=True):
        made = wide(context, context.emit(each, frame, asked))
        if asked == "predict_proba" and binary:
            made = wide(context, column(context, made, 1))
        parts.append(made)
    if model.passthrough:
        dense(context, frame, "a stack")
        parts += frame.parts
    inner = Frame((stacked(context, parts),))
    if method == "transform":
        return inner.parts[0]
    made = context.emit(model.final_estimator_, inner, method)
    if method != "predict" or encoder is None:
        return made
    require(made.dtype.kind == "i", "labels that are no numbers")
    return context.labels(encoder.classes_, context.graph.cast(made, WHOLE))


def _calibrated(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """CalibratedClassifierCV: the mean of calibrated classifiers."""
    parts = [_one_calibrated(context, each, frame) for each in model.calibrated_classifiers_]
    chances = scaled(context, added(context, parts), "Div", len(parts))
    if method == "predict":
        return context.labels(model.classes_, context.argmax(chances))
    require(method == "predict_proba", f"no {method}")
    return chances


def _one_calibrated(context: Context, model: Any, frame: Frame) -> Value:
    node, inner = context.graph.node, model.estimator
    asked = asked_first(inner, ("decision_function", "predict_proba"))
    scores = wide(context, response(context, inner, frame, asked))
    if model.method == "temperature":
        chances = _tempered(context, model, scores, asked)
    else:
        chances = _each_calibrated(context, model, scores)
    # Chances that rounding put above one are one.
    above = node("Greater", chances, np.float64(1))
    over = node("And", above, node("LessOrEqual", chances, np.float64(1 + 1e-5)))
    return chances._replace(name=node("Where", over, np.float64(1), chances))


def _each_calibrated(context: Context, model: Any, scores: Value) -> Value:
    classes = np.asarray(model.classes)
    places = [_place(classes, label) for label in model.estimator.classes_]
    if len(classes) == 2:
        require(len(places) == 2 and scores.width == 1, "a class that was never seen")
        (only,) = model.calibrators
        return complemented(context, context.flat(_curve(context, only, scores)))
    require(len(places) == scores.width == len(classes), "a class that was never seen")
    made: list[Value] = [scores] * len(classes)
    for at, (place, curve) in enumerate(zip(places, model.calibrators, strict=True)):
        made[place] = _curve(context, curve, wide(context, column(context, scores, at)))
    # Zeros over and over are 1 / n each; so is shared_out's 1 over n.
    return shared_out(context, stacked(context, made))


def _curve(context: Context, curve: Any, scores: Value) -> Value:
    """One calibrator over [N, 1] scores."""
    if type(curve).__name__ == "IsotonicRegression":
        return interpolated(context, curve, scores)
    require(type(curve).__name__ == "_SigmoidCalibration", "this calibrator")
    line = scaled(context, scaled(context, scores, "Mul", curve.a_), "Add", curve.b_)
    return expit(context, scaled(context, line, "Mul", -1.0))


def _tempered(context: Context, model: Any, scores: Value, asked: str) -> Value:
    """``_TemperatureScaling``."""
    node = context.graph.node
    if scores.width == 1 and asked == "predict_proba":
        scores = complemented(context, context.flat(scores))
    if asked == "predict_proba":
        raised = node("Add", scores, np.float64(1e-12))
        logits = scores._replace(name=node("Log", raised))
    elif scores.width == 1:
        other = scaled(context, scores, "Mul", -1.0)
        logits = stacked(context, [other, scores])
    else:
        # The library takes scores that happen to lie in [0, 1] and add up to 1 for chances.
        logits = scores
    (only,) = model.calibrators
    return softmax(context, scaled(context, logits, "Mul", plain(only.beta_)))


def _threshold(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """FixedThresholdClassifier and TunedThresholdClassifierCV."""
    inner = getattr(model, "estimator_", None) or model.estimator
    if method != "predict":
        return context.emit(inner, frame, method)
    wanted = model._get_response_method()
    asked = asked_first(inner, [wanted] if isinstance(wanted, str) else wanted)
    if hasattr(model, "best_threshold_"):
        label, bound = model._curve_scorer._get_pos_label(), model.best_threshold_
    else:
        label, bound = model.pos_label, model.threshold
        if isinstance(bound, str):
            bound = 0.5 if asked == "predict_proba" else 0.0
    classes = np.asarray(model.classes_)
    require(len(inner.classes_) == 2, "classes other than two")
    scores = response(context, inner, frame, asked, label)
    at = 1 if label is None else _place(classes, label)
    reached = context.graph.node("GreaterOrEqual", scores, np.float64(bound))
    index = context.graph.node("Where", reached, np.int64(at), np.int64(1 - at))
    return context.labels(classes, Value(index, 0, WHOLE))


EMITTERS = {
    **dict.fromkeys(
        (
            "GridSearchCV",
            "HalvingGridSearchCV",
            "HalvingRandomSearchCV",
            "RandomizedSearchCV",
        ),
        _passing("best_estimator_"),
    ),
    **dict.fromkeys(("FixedThresholdClassifier", "TunedThresholdClassifierCV"), _threshold),
    **dict.fromkeys(("StackingClassifier", "StackingRegressor"), _stacking),
    "CalibratedClassifierCV": _calibrated,
    "FrozenEstimator": _passing("estimator"),
    "SelfTrainingClassifier": _passing("estimator_"),
    "VotingClassifier": _voting_classifier,
    "VotingRegressor": _voting_regressor,
}
