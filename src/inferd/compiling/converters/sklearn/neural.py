"""Multi-layer perceptrons."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.scores import (
    affine,
    complemented,
    decided,
    expit,
    narrow,
    softmax,
    truth,
)
from inferd.compiling.converters.sklearn.tables import doubles, require
from inferd.compiling.graph import Value


def _activated(context: Context, kind: str, value: Value) -> Value:
    node = context.graph.node
    match kind:
        case "identity":
            return value
        case "logistic":
            return expit(context, value)
        case "tanh":
            return value._replace(name=node("Tanh", value))
        case "relu":
            return value._replace(name=node("Max", value, np.float64(0)))
        case "softmax":
            return softmax(context, value)
        case "exp":
            return value._replace(name=node("Exp", value))
        case other:
            raise CannotConvert(f"the activation {other}")


def _forward(context: Context, model: Any, frame: Frame) -> Value:
    """``_forward_pass_fast``: [N, outputs]."""
    value = doubles(context, frame)
    hidden = [model.activation] * (len(model.coefs_) - 1)
    layers = zip(model.coefs_, model.intercepts_, [*hidden, model.out_activation_], strict=True)
    for weights, bias, kind in layers:
        value = _activated(context, kind, affine(context, value, weights, bias))
    return value


def _classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    made = _forward(context, model, frame)
    if method == "predict_proba":
        return complemented(context, context.flat(made)) if made.width == 1 else made
    require(method == "predict", f"no {method}")
    binarizer = model._label_binarizer
    if binarizer.y_type_ == "multilabel-indicator":
        require(made.width > 1, "a single label of several")
        return truth(context, "Greater", made, 0.5)
    require(binarizer.y_type_ in ("binary", "multiclass"), f"labels: {binarizer.y_type_}")
    return decided(context, binarizer.classes_, narrow(context, made), 0.5)


def _regressor(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(method == "predict", f"no {method}")
    return narrow(context, _forward(context, model, frame))


EMITTERS = {"MLPClassifier": _classifier, "MLPRegressor": _regressor}
