"""XGBoost's objectives: from the margin to the answer, in float32 as XGBoost computes it."""

import numpy as np

from inferd.compiling.converters.base import Context
from inferd.compiling.graph import Value

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)

LINKS = {
    "binary:hinge": "step",
    "binary:logistic": "sigmoid",
    "binary:logitraw": "identity",
    "count:poisson": "exp",
    "multi:softmax": "argmax",
    "multi:softprob": "softmax",
    "rank:map": "identity",
    "rank:ndcg": "identity",
    "rank:pairwise": "identity",
    "reg:absoluteerror": "identity",
    "reg:gamma": "exp",
    "reg:linear": "identity",
    "reg:logistic": "sigmoid",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:tweedie": "exp",
}
"""What an objective makes of the margin (``PredTransform`` in src/objective)."""


def link(context: Context, name: str, margin: Value) -> Value:
    """What the objective answers with, in the operations that XGBoost does in float32."""
    node = context.graph.node
    one = np.float32(1)
    match name:
        case "identity":
            return margin
        case "exp":
            return _exp(context, margin)
        case "step":
            positive = node("Greater", margin, np.float32(0))
            return context.graph.cast(margin._replace(name=positive, dtype=np.dtype(bool)), SINGLE)
        case "sigmoid":
            bounded = margin._replace(name=node("Min", node("Neg", margin), np.float32(88.7)))
            denominator = node("Add", _exp(context, bounded), one)
            return margin._replace(name=node("Div", one, denominator))
    return _softmax(context, margin)


def _softmax(context: Context, margin: Value) -> Value:
    """common::Softmax: float32, but for the sum, whose terms are added in float64."""
    node, graph = context.graph.node, context.graph
    largest = node("Unsqueeze", node("Max", *_columns(context, margin)), np.array([1], np.int64))
    powers = _exp(context, margin._replace(name=node("Sub", margin, largest)))
    total, *terms = _columns(context, graph.cast(powers, DOUBLE))
    for term in terms:
        total = node("Add", total, term)
    divisor = node(
        "Unsqueeze", graph.cast(Value(total, 0, DOUBLE), SINGLE), np.array([1], np.int64)
    )
    return margin._replace(name=node("Div", powers, divisor))


def _columns(context: Context, value: Value) -> list[str]:
    """Each column of *value*: [N]."""
    return [
        context.graph.node("Gather", value, np.array(column, np.int64), axis=1)
        for column in range(value.width)
    ]


def _exp(context: Context, value: Value) -> Value:
    """``expf`` as glibc and musl compute it: in float64, and rounded once.

    exp(x) = 2^(k/32) * 2^(r/32), with k whole and r at most a half: the first factor from tables,
    the second by a polynomial (sysdeps/ieee754/flt-32/e_expf.c). Needs finite numbers.
    """
    node, graph = context.graph.node, context.graph
    x = node("Clip", graph.cast(value, DOUBLE), np.float64(-104), np.float64(89))  # 0 and infinity
    scaled = node("Mul", x, np.float64(32 * float.fromhex("0x1.71547652b82fep+0")))
    shifted = node("Add", scaled, np.float64(ROUNDS))
    whole = node("Sub", shifted, np.float64(ROUNDS))
    r = node("Sub", scaled, whole)
    k = graph.cast(Value(node("Add", whole, np.float64(32 * LOWEST)), 1, DOUBLE), np.int64).name
    exponent = node("Div", k, np.int64(32))
    fraction = node("Sub", k, node("Mul", exponent, np.int64(32)))
    roots = np.array([2.0 ** (i / 32) for i in range(32)])
    powers = np.array([2.0**i for i in range(-LOWEST, 130)])
    scale = node("Mul", node("Gather", roots, fraction), node("Gather", powers, exponent))
    high = node("Add", node("Mul", r, np.float64(CUBIC[0])), np.float64(CUBIC[1]))
    low = node("Add", node("Mul", r, np.float64(CUBIC[2])), np.float64(1))
    sum_ = node("Add", node("Mul", high, node("Mul", r, r)), low)
    return graph.cast(Value(node("Mul", sum_, scale), value.width, DOUBLE), SINGLE)


ROUNDS = 1.5 * 2.0**52
"""Added to a float64 number and taken away again, rounds it to a whole one."""
LOWEST = 151
"""exp(-104) is above 2 to the power of -151."""
CUBIC = (
    float.fromhex("0x1.c6af84b912394p-5") / 32**3,
    float.fromhex("0x1.ebfce50fac4f3p-3") / 32**2,
    float.fromhex("0x1.62e42ff0c52d6p-1") / 32,
)
