"""inferd.engine.instances: how many calls at once, of how many threads each, and that no answer
changes for it."""

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.clock import monotonic_ns
from inferd.engine.instances import (
    ENOUGH,
    HARM,
    ONE,
    Layout,
    choose,
    lay_out,
    layouts,
    rate,
    telling_rows,
)
from inferd.tensors import Array
from tests.unit.threaded import Clock, Threaded
from tests.unit.toys import ToyRuntime

ROWS = {"X": np.ones((4, 2), np.float32)}


@given(st.integers(1, 1024))
def test_no_layout_needs_more_cores_than_there_are(cores: int) -> None:
    """All of them use most of the cores, but the one for models that have threads of their own; and
    few times a model is opened again."""
    found = list(layouts(cores))
    assert all(1 <= layout.instances * layout.threads <= cores for layout in found)
    assert all(2 * layout.instances * layout.threads > cores for layout in found[:-1])
    assert found[0] == (cores, 1)
    assert found[-1] == (1, 1)
    assert len({layout.threads for layout in found} - {1}) <= 2


RATES = st.dictionaries(
    st.builds(Layout, st.integers(1, 8), st.integers(1, 8)), st.floats(1, 1e6), min_size=1
)


@given(RATES)
def test_of_the_good_ones_that_with_the_fewest_calls_is_chosen(rates: dict[Layout, float]) -> None:
    """Nothing with about the best rate has fewer, or as many of fewer threads; and cores are left
    idle only where it is clear that to use them does harm."""
    chosen, several = choose(rates), {each: rates[each] for each in {*rates} - {ONE}}
    if chosen == ONE:
        assert all(rate <= HARM * rates[ONE] for rate in several.values())
    else:
        good = [each for each, rate in several.items() if rate >= ENOUGH * max(several.values())]
        assert chosen == min(good)
        assert max(several.values()) > HARM * rates.get(ONE, 0)


def _chosen(runtime: ToyRuntime, clock: Clock, cores: int) -> tuple[ToyRuntime, int]:
    model, instances = lay_out(runtime, ROWS, 1000, cores, clock)
    assert isinstance(model, ToyRuntime)
    return model, instances


def test_a_model_whose_threads_help_answers_one_call_with_all_of_them() -> None:
    """As many rows a second, and who is alone waits less. Only the one chosen stays open."""
    first = Threaded(Clock(1), useful=4)
    model, instances = _chosen(first, first.clock, 4)
    assert (model.threads, instances) == (4, 1)
    assert [each.closed for each in first.opened if each is not model] == [1] * 3
    assert model.closed == 0


def test_cores_that_help_nobody_now_may_help_later() -> None:
    """Others may have kept them busy: the model gets its instances."""

    class Plain(Threaded):
        def with_threads(self, threads: int) -> None:
            return None

    first = Plain(Clock(1), useful=1)
    assert _chosen(first, first.clock, 4) == (first, 4)
    assert first.closed == 0


def test_a_model_whose_calls_are_in_each_others_way_runs_one_at_a_time() -> None:
    """Such as one that computes with threads of its own; a clear case only."""
    assert choose({Layout(4, 1): 70.0, ONE: 100.0}) == ONE
    assert choose({Layout(4, 1): 90.0, ONE: 100.0}) == (4, 1)


def test_threads_that_change_an_answer_are_not_used() -> None:
    """Not even in its last bit."""
    first = Threaded(Clock(1), useful=4, drift=1e-3)
    model, _ = _chosen(first, first.clock, 4)
    assert model is first
    assert [each.closed for each in first.opened] == [0, 1, 1]


def test_a_model_that_fails_meanwhile_leaves_nothing_open() -> None:
    """But the one that was there before."""

    class Broken(Threaded):
        def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
            if self.threads > 1:
                raise ValueError("no")
            return super().run(inputs, outputs)

    first = Broken(Clock(1), useful=4)
    with pytest.raises(ValueError, match="no"):
        lay_out(first, ROWS, 1000, 4, first.clock)
    assert [each.closed for each in first.opened] == [0, 1]


def test_calls_at_once_are_measured_at_once() -> None:
    """As many threads are within the model as there are to be instances."""
    together = threading.Barrier(3)

    class Meeting(ToyRuntime):
        def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
            together.wait(10)
            return super().run(inputs, outputs)

    runtime = Meeting()
    assert rate(runtime, ROWS, 3, 10_000, monotonic_ns) > 0
    assert len(runtime.seen_in) == 3


def test_rows_that_tell_differ_and_are_of_the_signature() -> None:
    """Numbers with fractions vary, others stay as the example has them."""
    example: dict[str, Array] = {
        "X": np.zeros((1, 3), np.float32),
        "N": np.full((1, 2), 7, np.int64),
    }
    rows = telling_rows(example, 5)
    assert [(a.shape, a.dtype.name) for a in rows.values()] == [
        ((5, 3), "float32"),
        ((5, 2), "int64"),
    ]
    assert len(np.unique(rows["X"])) == 15
    assert set(rows["N"].flat) == {7}
