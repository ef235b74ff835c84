"""From what the probes showed to the verdict: pure."""

from typing import Any

from inferd.compiling.conversion import Conversion
from inferd.compiling.parity import Parity
from inferd.signature import Signature
from inferd.verdict import Verdict

TOLERANCE = {"FP64": 1e-9, "FP32": 1e-5, "FP16": 1e-3}
"""How far scores may lie apart, by their datatype: absolutely up to 1, relatively beyond. Far above
the rounding of sums in another order, far below what any use of a score could tell apart."""


def judge(conversion: Conversion, parity: Parity, signature: Signature) -> Verdict:
    """The verdict on *conversion*. Labels must agree on every probe; there is no waiver for
    ties."""
    shown: dict[str, Any] = {
        "probes": parity.rows,
        "largest_difference": parity.largest_difference,
        "kinds": parity.kinds,
        "worst": parity.worst,
        "nodes_compared": conversion.nodes,
    }
    if refusal := _refusal(parity, tolerance_of(signature)):
        return Verdict(kind="native", reason=refusal, **shown)
    if parity.identical and not conversion.inexact:
        return Verdict(kind="exact", **shown)
    reason = conversion.inexact or "the last bits of some scores differ"
    return Verdict(kind="agrees", reason=reason, **shown)


def tolerance_of(signature: Signature) -> float:
    """The tolerance for a model's scores; 0 where it has none."""
    kinds = {spec.datatype for spec in signature.outputs}
    return max((TOLERANCE[kind] for kind in kinds & TOLERANCE.keys()), default=0.0)


def _refusal(parity: Parity, tolerance: float) -> str:
    """Why the compiled form must not answer; empty where nothing speaks against it."""
    if parity.failed:
        return f"the compiled form fails where the model answers ({parity.failed})"
    if not parity.rows:
        return "the model refused every probe"
    where = f" (kind: {parity.worst})" if parity.worst else ""
    if parity.labels_differ:
        return f"{parity.labels_differ:,} of {parity.rows:,} probes got another label{where}"
    if not parity.largest_difference <= tolerance:  # NaN, too
        return f"scores differ by up to {parity.largest_difference:.2g}{where}"
    return ""


def described(model: Any) -> str:
    """A fitted model in a few words: its class, and what it is made of."""
    if isinstance(model, str):
        return model
    name = type(model).__name__
    parts = getattr(model, "steps", None) or getattr(model, "transformers_", None)
    if not isinstance(parts, list):
        return name
    return f"{name}({', '.join(described(part[1]) for part in parts)})"
