"""Naive Bayes: sums of logarithms, a class at a time or as one product."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.scores import (
    added,
    affine,
    column,
    decided,
    log_sum_exp,
    plain,
    scaled,
    stacked,
    summed,
)
from inferd.compiling.converters.sklearn.tables import DOUBLE, doubles, fail_where, require
from inferd.compiling.graph import Value


def _answer(context: Context, model: Any, joint: Value, method: str) -> Value:
    """From joint log-likelihoods [N, classes]: sklearn.naive_bayes._BaseNB."""
    if method == "predict":
        return decided(context, model.classes_, joint)
    if method == "predict_joint_log_proba":
        return joint
    require(method == "predict_proba", f"no {method}")
    node = context.graph.node
    return joint._replace(name=node("Exp", node("Sub", joint, log_sum_exp(context, joint))))


def _gaussian(context: Context, model: Any, frame: Frame, method: str) -> Value:
    table, node, parts = doubles(context, frame), context.graph.node, []
    for prior, mean, variance in zip(model.class_prior_, model.theta_, model.var_, strict=True):
        apart = scaled(context, table, "Sub", mean)
        ratio = node("Div", node("Mul", apart, apart), plain(variance))
        total = context.flat(summed(context, table._replace(name=ratio)))
        base = -0.5 * np.sum(np.log(2.0 * np.pi * plain(variance)))
        part = node("Sub", np.float64(base), scaled(context, total, "Mul", 0.5))
        with np.errstate(divide="ignore"):  # a class without rows
            log_prior = np.log(prior)
        parts.append(scaled(context, Value(part, 0, DOUBLE), "Add", log_prior))
    return _answer(context, model, stacked(context, parts), method)


def _multinomial(context: Context, model: Any, frame: Frame, method: str) -> Value:
    table = doubles(context, frame)
    joint = affine(context, table, plain(model.feature_log_prob_).T, model.class_log_prior_)
    return _answer(context, model, joint, method)


def _complement(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(len(model.classes_) > 1, "a single class")
    joint = affine(context, doubles(context, frame), plain(model.feature_log_prob_).T)
    return _answer(context, model, joint, method)


def _bernoulli(context: Context, model: Any, frame: Frame, method: str) -> Value:
    table = doubles(context, frame)
    if model.binarize is not None:
        above = context.graph.node("Greater", table, np.float64(model.binarize))
        table = context.graph.cast(table._replace(name=above, dtype=np.dtype(bool)), DOUBLE)
    present = plain(model.feature_log_prob_)
    absent = np.log(1 - np.exp(present))
    bias = model.class_log_prior_ + absent.sum(axis=1)
    joint = affine(context, table, (present - absent).T, bias)
    return _answer(context, model, joint, method)


def _categorical(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Categories are whole numbers; a fraction counts as the whole number towards zero."""
    table, node, parts = doubles(context, frame), context.graph.node, []
    start = Value(node("Mul", column(context, table, 0), np.float64(0)), 0, DOUBLE)
    zeros = context.graph.node("Unsqueeze", start, np.array([1], np.int64))
    parts.append(Value(zeros, len(model.classes_), DOUBLE))
    for at, logs in enumerate(model.feature_log_prob_):
        one = context.select(Frame((table,)), [at]).parts[0]
        # The library refuses negative numbers, but only after it cut off their fractions.
        one = fail_where(context, node("LessOrEqual", one, np.float64(-1)), one)
        number = node("Squeeze", node("Cast", one, to=INT64), np.array([1], np.int64))
        found = node("Gather", np.ascontiguousarray(plain(logs).T), number, axis=0)
        parts.append(Value(found, len(model.classes_), DOUBLE))
    total = added(context, parts)
    return _answer(context, model, scaled(context, total, "Add", model.class_log_prior_), method)


INT64 = 7
"""onnx.TensorProto.INT64"""

EMITTERS = {
    "BernoulliNB": _bernoulli,
    "CategoricalNB": _categorical,
    "ComplementNB": _complement,
    "GaussianNB": _gaussian,
    "MultinomialNB": _multinomial,
}
