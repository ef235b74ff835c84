"""verdict and compiling/judge: what the probes showed, and what is said of it."""

from typing import Any

import pytest

from inferd import verdict
from inferd.compiling.conversion import Conversion
from inferd.compiling.judge import described, judge
from inferd.compiling.parity import Parity
from inferd.signature import Signature, TensorSpec
from inferd.verdict import Verdict

EXACT, ROUNDED = Conversion(None, {}, 7, ""), Conversion(None, {}, 0, "each rounds Exp")


def _signature(datatype: str = "FP64") -> Signature:
    label = TensorSpec("label", "INT64", (-1,))
    return Signature((), (label, TensorSpec("probabilities", datatype, (-1, 2))), 0)


def _parity(**fields: Any) -> Parity:
    nothing: dict[str, Any] = {
        "rows": 10,
        "labels_differ": 0,
        "largest_difference": 0.0,
        "identical": True,
        "worst": "",
        "kinds": {"ranges": 10},
    }
    return Parity(**nothing | fields)


def test_exact_needs_every_bit_and_arithmetic_that_is_determined() -> None:
    """Trees read back, arithmetic shown to be equal, and no probe a bit apart."""
    assert judge(EXACT, _parity(), _signature()).kind == "exact"
    assert judge(EXACT, _parity(), _signature()).nodes_compared == 7
    rounded = judge(ROUNDED, _parity(), _signature())
    assert (rounded.kind, rounded.reason) == ("agrees", "each rounds Exp")
    apart = judge(EXACT, _parity(identical=False, largest_difference=1e-16), _signature())
    assert apart.kind == "agrees"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"labels_differ": 1, "worst": "ties"}, "1 of 10 probes got another label (kind: ties)"),
        ({"largest_difference": 2e-9}, "scores differ by up to 2e-09"),
        ({"largest_difference": float("inf")}, "scores differ by up to inf"),
        ({"largest_difference": float("nan")}, "scores differ by up to nan"),
        ({"failed": "it raised"}, "fails where the model answers (it raised)"),
        ({"rows": 0}, "refused every probe"),
    ],
)
def test_what_is_native(fields: dict[str, Any], told: str) -> None:
    """One label apart is enough, and so is a score beyond the tolerance; the reason is told."""
    found = judge(EXACT, _parity(identical=False, **fields), _signature())
    assert found.kind == "native"
    assert told in found.reason


def test_float32_scores_have_a_wider_tolerance() -> None:
    """What a library computes in float32 cannot agree to nine digits."""
    parity = _parity(identical=False, largest_difference=1e-7)
    assert judge(EXACT, parity, _signature("FP32")).kind == "agrees"
    assert judge(EXACT, parity, _signature("FP64")).kind == "native"


def test_a_verdict_says_no_more_than_was_shown() -> None:
    """Each kind in its own words."""
    assert str(Verdict(kind="exact", probes=5)) == "exact"
    agrees = Verdict(kind="agrees", probes=12345, largest_difference=2.2e-16)
    assert str(agrees) == "agrees on 12,345 probes, largest difference 2.2e-16"
    assert str(Verdict(kind="native", reason="no form")) == "native: no form"


def test_a_verdict_travels_as_text() -> None:
    """Encoded and read back it is the same; anything else is none."""
    whole = Verdict(kind="agrees", probes=5, kinds={"ties": 5}, versions={"onnx": "1"})
    assert verdict.decode(verdict.encode(whole)) == whole
    assert [verdict.decode(text) for text in ("", "[]", '{"kind":"sure"}')] == [None] * 3
    coloured = verdict.encode(Verdict(kind="native", reason="\x1b[31mred"))
    assert verdict.decode(coloured) is None


def test_a_model_is_described_by_what_it_is_made_of() -> None:
    """Pipelines and column transformers name their parts."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = ColumnTransformer([("a", StandardScaler(), [0])], remainder="drop")
    model = make_pipeline(columns.fit([[1.0], [2.0]]), LogisticRegression())
    told = "Pipeline(ColumnTransformer(StandardScaler, drop), LogisticRegression)"
    assert described(model).replace(", drop", "") == told.replace(", drop", "")
