"""Functions of one number: FunctionTransformer over numpy's own functions, and PowerTransformer.

ONNX lacks log1p and expm1. Both are written by Kahan's formulas, which are right to a few last
places everywhere, near zero above all, where ``Log(1 + x)`` would lose all digits.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from inferd.compiling.converters.base import CannotConvert, Context, Frame
from inferd.compiling.converters.sklearn.tables import (
    DOUBLE,
    as_sparse,
    beside,
    dense,
    doubles,
    doubles_only,
    fail_where,
    is_sparse,
    joined,
    one,
    require,
)
from inferd.compiling.graph import Value

Function: TypeAlias = Callable[[Context, Any], str]
"""(context, tensor of float64) to its name."""


def log1p(context: Context, x: Any) -> str:
    """log(1 + x)."""
    node = context.graph.node
    u = node("Add", np.float64(1), x)
    log = node("Log", u)
    corrected = node("Mul", log, node("Div", x, node("Sub", u, np.float64(1))))
    finite = node("Where", node("IsInf", u), log, corrected)
    return node("Where", node("Equal", u, np.float64(1)), x, finite)


def expm1(context: Context, x: Any) -> str:
    """exp(x) - 1."""
    node = context.graph.node
    u = node("Exp", x)
    less = node("Sub", u, np.float64(1))
    corrected = node("Mul", less, node("Div", x, node("Log", u)))
    # Where exp(x) is 0 or infinite the logarithm is no use, and exp(x) - 1 is right as it is.
    ends = node("Or", node("Equal", less, np.float64(-1)), node("IsInf", u))
    return node("Where", node("Equal", u, np.float64(1)), x, node("Where", ends, less, corrected))


def _plain(operator: str) -> Function:
    """A function that ONNX has."""
    return lambda context, x: context.graph.node(operator, x)


FUNCTIONS: dict[Any, Function] = {
    np.absolute: _plain("Abs"),
    np.ceil: _plain("Ceil"),
    np.exp: _plain("Exp"),
    np.expm1: expm1,
    np.floor: _plain("Floor"),
    np.log: _plain("Log"),
    np.log1p: log1p,
    np.negative: _plain("Neg"),
    np.reciprocal: lambda context, x: context.graph.node("Div", np.float64(1), x),
    np.sign: _plain("Sign"),
    np.sqrt: _plain("Sqrt"),
    np.square: lambda context, x: context.graph.node("Mul", x, x),
    np.tanh: _plain("Tanh"),
}


def _function_transformer(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """No function, or one of numpy's; a user's own cannot be looked into."""
    if method == "transform":
        function, arguments = model.func, model.kw_args
    elif method == "inverse_transform":
        function, arguments = model.inverse_func, model.inv_kw_args
    else:
        raise CannotConvert(f"no {method}")
    require(not arguments, "a function with arguments")
    if function is None:
        value = joined(context, frame)
        require(not model.validate or value.dtype != object, "strings checked as numbers")
        return as_sparse(context, value) if is_sparse(context, frame) else value
    dense(context, frame, "a function")
    if _checks_only(function):
        return doubles(context, frame)
    known = isinstance(function, np.ufunc) and FUNCTIONS.get(function)
    if not known:
        raise CannotConvert(f"the function {getattr(function, '__name__', function)}")
    value = doubles_only(context, frame)
    return value._replace(name=known(context, value))


def _checks_only(function: Any) -> bool:
    """Whether *function* is the check that HistGradientBoosting* put before their numbers: it makes
    them float64, and changes none."""
    from sklearn.utils import check_array

    return (
        isinstance(function, functools.partial)
        and function.func is check_array
        and not function.args
        and function.keywords == {"dtype": [np.float64], "ensure_all_finite": False}
    )


def _power_transformer(context: Context, model: Any, frame: Frame, method: str) -> Value:
    """Yeo-Johnson or Box-Cox column by column, then a StandardScaler."""
    require(method == "transform", f"no {method}")
    dense(context, frame, "powers")
    require(np.isfinite(model.lambdas_).all(), "a column without a power")
    curve = {"yeo-johnson": _yeo_johnson, "box-cox": _box_cox}[model.method]
    matrix = Frame((doubles(context, frame),))
    columns = [
        curve(context, one(context, matrix, at), float(power))
        for at, power in enumerate(model.lambdas_)
    ]
    whole = beside(context, columns)
    return context.emit(model._scaler, Frame((whole,)), method) if model.standardize else whole


def _yeo_johnson(context: Context, x: Value, power: float) -> Value:
    """scipy.stats._morestats._yeojohnson_transform."""
    node = context.graph.node
    # Each side sees the other side's numbers as zero, lest they overflow in it.
    at_least_zero = node("GreaterOrEqual", x, np.float64(0))
    above = log1p(context, node("Where", at_least_zero, x, np.float64(0)))
    if abs(power) >= EPSILON:
        grown = expm1(context, node("Mul", np.float64(power), above))
        above = node("Div", grown, np.float64(power))
    below = log1p(context, node("Neg", node("Where", at_least_zero, np.float64(0), x)))
    if abs(power - 2) > EPSILON:
        grown = expm1(context, node("Mul", np.float64(2 - power), below))
        below = node("Div", grown, np.float64(2 - power))
    name = node("Where", at_least_zero, above, node("Neg", below))
    return Value(name, 1, DOUBLE)


def _box_cox(context: Context, x: Value, power: float) -> Value:
    """scipy.special.boxcox; scikit-learn raises for what is not above zero, so the run fails."""
    node = context.graph.node
    value = fail_where(context, node("LessOrEqual", x, np.float64(0)), x)
    log = node("Log", value)
    if abs(power) < 1e-19:
        return value._replace(name=log)
    exponent = node("Mul", np.float64(power), log)
    small = node("Div", expm1(context, exponent), np.float64(power))
    far = node("Exp", node("Sub", exponent, np.float64(np.log(abs(power)))))
    far = node("Sub", node("Mul", np.float64(np.sign(power)), far), np.float64(1 / power))
    return value._replace(name=node("Where", node("Less", exponent, LARGEST), small, far))


EPSILON = float(np.finfo(float).eps)
LARGEST = np.float64(709.78)
"""Beyond this exponent scipy computes Box-Cox in another way, lest it overflow."""

EMITTERS = {
    "FunctionTransformer": _function_transformer,
    "PowerTransformer": _power_transformer,
}
