"""The comparison of two forms of a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from inferd.compiling.batches import Probe
from inferd.compiling.parity import AGAIN_KIND, BATCHES, Parity, compare
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

Form = Callable[[Mapping[str, Array], Sequence[str]], dict[str, Array]]

LABEL, SCORES = TensorSpec("label", "INT64", (-1,)), TensorSpec("scores", "FP64", (-1, 2))
SIGNATURE = Signature((TensorSpec("X", "FP64", (-1, 1)),), (LABEL, SCORES), 0)


def native(inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
    """The label is 1 above 10; the scores are x and -x."""
    x = inputs["X"]
    answers = {"label": (x[:, 0] > 10).astype(np.int64), "scores": np.hstack([x, -x])}
    return {name: answers[name] for name in outputs}


def changed(name: str, change: Callable[[Array, Array], Array]) -> Form:
    """As ``native``, with an output changed: *change* is given the input and the output."""

    def run(inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        answers = native(inputs, outputs)
        return answers | {name: change(inputs["X"], answers[name])}

    return run


def asked(values: Sequence[float], form: Form, **more: Sequence[float]) -> Parity:
    """The parity of ``native`` and *form* over *values*, and over *more* by kind."""
    kinds = {"some": values, **more}
    probes = [Probe(kind, {"X": np.array(v, float)[:, None]}) for kind, v in kinds.items()]
    return compare(native, form, SIGNATURE, probes)


def test_the_same_is_identical() -> None:
    """A form that gives the same bits is identical, NaN and infinities included."""
    parity = asked([1.0, np.nan, np.inf, -np.inf, 0.0], native)
    assert (parity.identical, parity.labels_differ, parity.largest_difference) == (True, 0, 0.0)
    assert (parity.worst, parity.failed) == ("", "")


def test_rows_are_counted_by_kind() -> None:
    """Each kind's rows are counted once, and those asked again in other sizes under their own."""
    parity = asked([1.0] * 1500, native, other=[2.0] * 10)
    assert parity.kinds == {"some": 1500, "other": 10, AGAIN_KIND: 4 * 186}
    assert parity.rows == sum(parity.kinds.values())


def test_zeros_of_both_signs_are_equal() -> None:
    """The sign of a zero makes no difference."""
    flipped = changed("scores", lambda _, y: np.where(y == 0, -y, y))
    assert asked([0.0, -0.0], flipped).identical


def test_labels_that_differ_are_counted_by_row() -> None:
    """Every row with another label counts, and its kind is the worst."""
    wrong = changed("label", lambda x, y: np.where(x[:, 0] == 3, 7, y))
    parity = asked([1.0, 2.0], wrong, bad=[3.0, 3.0, 1.0])
    assert parity.kinds["bad"] == 3
    assert parity.labels_differ == 2 + 2 * len(BATCHES)
    assert not parity.identical
    assert parity.worst == "bad"


@pytest.mark.parametrize(
    ("value", "by", "difference"),
    [(0.5, 0.001, 0.001), (1.0, 0.001, 0.001), (1000.0, 1.0, 0.001), (-1000.0, -1.0, 0.001)],
)
def test_differences_are_absolute_to_1_and_relative_beyond(
    value: float, by: float, difference: float
) -> None:
    """Below 1 the difference itself counts, beyond it its ratio to the model's number."""
    parity = asked([value], changed("scores", lambda _, y: y + by))
    assert parity.largest_difference == pytest.approx(difference, rel=1e-9)
    assert parity.labels_differ == 0
    assert not parity.identical


@pytest.mark.parametrize(
    ("value", "instead"), [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1e308), (np.inf, -np.inf)]
)
def test_nothing_is_near_nan_or_infinity(value: float, instead: float) -> None:
    """A number in place of NaN or an infinity, or the reverse, is infinitely wrong."""
    form = changed("scores", lambda _, y: np.full_like(y, instead))
    assert asked([value], form).largest_difference == np.inf


def test_one_last_bit_is_not_identical() -> None:
    """The smallest difference that there is, is told."""
    parity = asked([0.5], changed("scores", lambda _, y: np.nextafter(y, 2)))
    assert 0 < parity.largest_difference < 1e-15
    assert not parity.identical


def test_batch_sizes_are_tried() -> None:
    """A form that goes wrong only in batches of one size is caught."""

    def broken(size: int) -> Form:
        return changed("label", lambda x, y: y + (len(x) == size))

    for size in BATCHES:
        parity = asked([1.0] * 300, broken(size))
        assert parity.labels_differ
        assert parity.worst == AGAIN_KIND


def test_rows_that_the_model_refuses_are_left_out() -> None:
    """What the model raises on is not asked, though its neighbours in the batch are."""

    def strict(inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        if np.isnan(inputs["X"]).any():
            raise ValueError("NaN")
        return native(inputs, outputs)

    rows = {"X": np.array([[1.0], [np.nan], [2.0], [np.nan], [3.0]])}
    nothing = {"X": np.array([[np.nan]])}
    probes = [Probe("some", rows), Probe("nothing", nothing)]
    parity = compare(strict, native, SIGNATURE, probes)
    assert parity.kinds["some"] == 3
    assert "nothing" not in parity.kinds
    assert parity.identical


def test_a_form_that_raises_has_failed() -> None:
    """Where the model answers and the form raises, the kind and the reason are told."""

    def broken(*_: Any) -> dict[str, Array]:
        raise RuntimeError("no kernel\nand much more")

    parity = asked([1.0], broken)
    assert parity.failed == "some: no kernel"
    assert not parity.identical


@pytest.mark.parametrize(
    "change",
    [
        lambda _, y: y.astype(np.float32),
        lambda _, y: y[:, :1],
        lambda _, y: y[:1],
        lambda _, y: y.sum(),
    ],
)
def test_another_shape_or_datatype_has_failed(change: Callable[[Array, Array], Array]) -> None:
    """Answers that are no comparable tensors are a failure, and not a difference."""
    assert "'scores'" in asked([1.0, 2.0], changed("scores", change)).failed


def test_strings_are_labels() -> None:
    """Strings are compared as strings, however the two forms keep them."""
    spec = TensorSpec("label", "BYTES", (-1,))
    signature = Signature(SIGNATURE.inputs, (spec,), 0)
    rows = [Probe("some", {"X": np.array([[0.0], [1.0]])})]

    def answer(kind: Any, *words: str) -> Form:
        known = np.array(words, kind)
        return lambda inputs, _: {"label": known[inputs["X"][:, 0].astype(int)]}

    assert compare(answer("U3", "a", "b"), answer(object, "a", "b"), signature, rows).identical
    assert compare(answer(object, "a", "b"), answer("U3", "a", "c"), signature, rows).labels_differ


def test_no_rows_is_no_agreement() -> None:
    """Without probes nothing was compared, and the count says so."""
    assert compare(native, native, SIGNATURE, []).rows == 0
