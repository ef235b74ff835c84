"""Linear models: regressors, classifiers, and what stands on them.

Their sums are added in an order of each library's own, so that scores agree to rounding.
"""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.scores import (
    affine,
    complemented,
    decided,
    expit,
    in_or_out,
    inverse_link,
    linear,
    narrow,
    plain,
    scaled,
    shared_out,
    softmax,
    truth,
    wide,
)
from inferd.compiling.converters.sklearn.tables import doubles, require
from inferd.compiling.graph import Value


def _regressor(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(method == "predict", f"no {method}")
    return linear(context, model, frame)


def _generalised(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Poisson, gamma and Tweedie regressors: sklearn.linear_model._glm."""
    raw = _regressor(context, model, frame, method)
    return inverse_link(context, model._base_loss.link, raw)


def scores_of(context: Context, model: Any, frame: Frame) -> Value:
    """``decision_function`` of a linear classifier: [N] for two classes."""
    return narrow(context, linear(context, model, frame))


def _classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    scores = scores_of(context, model, frame)
    if method == "decision_function":
        return scores
    require(method == "predict", f"no {method}")
    return decided(context, model.classes_, scores)


def _one_against_rest(context: Context, scores: Value) -> Value:
    """``LinearClassifierMixin._predict_proba_lr``."""
    chances = expit(context, scores)
    if chances.width == 0:
        return complemented(context, chances)
    return shared_out(context, chances)


def _logistic(context: Context, model: Any, frame: Frame, method: str) -> Value:
    if method != "predict_proba":
        return _classifier(context, model, frame, method)
    # Until 1.8 a parameter could ask for one model a class, or for softmax with two classes.
    kind = getattr(model, "multi_class", "auto")
    require(kind in ("auto", "deprecated"), f"multi_class={kind!r}")
    scores = scores_of(context, model, frame)
    if len(model.classes_) <= 2:
        return _one_against_rest(context, scores)
    require(model.solver != "liblinear", "several classes by liblinear")
    return softmax(context, scores)


def _sgd(context: Context, model: Any, frame: Frame, method: str) -> Value:
    if method != "predict_proba":
        return _classifier(context, model, frame, method)
    scores = scores_of(context, model, frame)
    if model.loss == "log_loss":
        return _one_against_rest(context, scores)
    require(model.loss == "modified_huber", f"chances of the loss {model.loss}")
    clipped = context.graph.node("Clip", scores, np.float64(-1), np.float64(1))
    chances = scores._replace(name=clipped)
    chances = scaled(context, scaled(context, chances, "Add", 1), "Div", 2)
    if chances.width == 0:
        return complemented(context, chances)
    return shared_out(context, chances)


def _ridge_classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    if method != "predict" or model._label_binarizer.y_type_ in ("binary", "multiclass"):
        return _classifier(context, model, frame, method)
    scores = scores_of(context, model, frame)
    require(scores.width, "a single label of several")
    return truth(context, "Greater", scores, 0.0)


def _one_class(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """SGDOneClassSVM."""
    product = affine(context, doubles(context, frame), np.atleast_2d(plain(model.coef_)).T)
    decision = context.flat(scaled(context, product, "Sub", plain(model.offset_).reshape(1)))
    if method == "decision_function":
        return decision
    if method == "score_samples":
        return scaled(context, decision, "Add", plain(model.offset_).reshape(1))
    require(method == "predict", f"no {method}")
    return in_or_out(context, decision, "GreaterOrEqual", np.int32)


def _ransac(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(method == "predict", f"no {method}")
    return context.emit(model.estimator_, frame, method)


def _transformed_target(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """A regressor whose answer is transformed back."""
    require(method == "predict", f"no {method}")
    inner = wide(context, context.emit(model.regressor_, frame, method))
    made = context.emit(model.transformer_, Frame((inner,)), "inverse_transform")
    return narrow(context, made) if model._training_dim == 1 else made


def interpolated(context: Context, model: Any, values: Value) -> Value:
    """What an IsotonicRegression gives for each of [N, 1] numbers, as ``numpy.interp`` does."""
    at, known = plain(model.X_thresholds_), plain(model.y_thresholds_)
    require(np.asarray(model.X_thresholds_).dtype == np.float64, "thresholds in float32")
    require(model.out_of_bounds in ("clip", "nan"), f"out_of_bounds={model.out_of_bounds!r}")
    node, given = context.graph.node, values
    if model.out_of_bounds == "clip":
        limits = (np.float64(model.X_min_), np.float64(model.X_max_))
        given = values._replace(name=node("Clip", values, *limits))
    if len(at) == 1:
        same = node("Add", node("Mul", given, np.float64(0)), known)
        return values._replace(name=same)
    beyond = node("Or", node("Less", given, at[:1]), node("Greater", given, at[-1:]))
    reached = node("Cast", node("GreaterOrEqual", given, at[1:].reshape(1, -1)), to=INT64)
    left = node("ReduceSum", reached, np.array([1], np.int64), keepdims=1)
    with np.errstate(all="ignore"):
        slopes = np.append(np.diff(known) / np.diff(at), 0.0)
    require(np.isfinite(slopes).all(), "thresholds too near to each other")
    run = node("Sub", given, node("Gather", at, left))
    made = node("Add", node("Mul", node("Gather", slopes, left), run), node("Gather", known, left))
    return values._replace(name=node("Where", beyond, np.float64(np.nan), made))


INT64 = 7
"""onnx.TensorProto.INT64"""


def _isotonic(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(method in ("predict", "transform"), f"no {method}")
    require(frame.width == 1, "several columns")
    return context.flat(interpolated(context, model, doubles(context, frame)))


def _partial_least_squares(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """PLSRegression, PLSCanonical and CCA."""
    centred = scaled(context, doubles(context, frame), "Sub", model._x_mean)
    if method == "predict":
        made = affine(context, centred, plain(model.coef_).T, model.intercept_)
        return context.flat(made) if model._predict_1d else made
    require(method == "transform", f"no {method}")
    return affine(context, scaled(context, centred, "Div", model._x_std), model.x_rotations_)


EMITTERS = {
    **dict.fromkeys(
        (
            "ARDRegression",
            "BayesianRidge",
            "ElasticNet",
            "ElasticNetCV",
            "HuberRegressor",
            "Lars",
            "LarsCV",
            "Lasso",
            "LassoCV",
            "LassoLars",
            "LassoLarsCV",
            "LassoLarsIC",
            "LinearRegression",
            "LinearSVR",
            "MultiTaskElasticNet",
            "MultiTaskElasticNetCV",
            "MultiTaskLasso",
            "MultiTaskLassoCV",
            "OrthogonalMatchingPursuit",
            "OrthogonalMatchingPursuitCV",
            "PassiveAggressiveRegressor",
            "QuantileRegressor",
            "Ridge",
            "RidgeCV",
            "SGDRegressor",
            "TheilSenRegressor",
        ),
        _regressor,
    ),
    **dict.fromkeys(("LinearSVC", "PassiveAggressiveClassifier", "Perceptron"), _classifier),
    **dict.fromkeys(("GammaRegressor", "PoissonRegressor", "TweedieRegressor"), _generalised),
    **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV"), _logistic),
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSRegression"), _partial_least_squares),
    **dict.fromkeys(("RidgeClassifier", "RidgeClassifierCV"), _ridge_classifier),
    "IsotonicRegression": _isotonic,
    "RANSACRegressor": _ransac,
    "SGDClassifier": _sgd,
    "SGDOneClassSVM": _one_class,
    "TransformedTargetRegressor": _transformed_target,
}
