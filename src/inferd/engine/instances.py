"""How many calls of a model run at once, and how many threads compute each: chosen from what a
short measurement shows, for models that are too slow to run at once."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import isqrt
from typing import NamedTuple

import numpy as np

from inferd.clock import Nanoseconds
from inferd.models.example import repeat_rows
from inferd.runtimes.base import Runtime
from inferd.tensors import Array


class Layout(NamedTuple):
    """``instances`` calls at once, each computed by so many ``threads``."""

    instances: int
    threads: int


ONE = Layout(1, 1)

ENOUGH = 0.9
"""Of the best rate: for less than the rest, nobody is to wait longer when he is alone."""
HARM = 0.8
"""Of the rate of one call at a time: with less, calls are in each other's way. Not with as much:
the other cores may only have been busy while it was measured, and they would be idle for ever."""
MEASURED_US = 20_000  # for each layout, twice: the server is to be ready soon
MOST_CALLS = 50


def layouts(cores: int) -> Iterator[Layout]:
    """Those worth measuring on so many cores.

    Three numbers of threads at most: each but 1 means that the model is opened once more.
    """
    for threads in sorted({1, isqrt(cores), cores}):
        yield Layout(cores // threads, threads)
    if cores > 1:
        yield ONE  # what computes with threads of its own may be slower by a second call


def choose(rates: Mapping[Layout, float]) -> Layout:
    """Of the layouts with about the best rate that with the fewest calls at once: its threads help
    a caller who is alone, and its batches are larger."""
    several = {layout: rate for layout, rate in rates.items() if layout != ONE}
    best = max(several.values(), default=0.0)
    if best <= HARM * rates.get(ONE, 0.0):
        return ONE
    return min(layout for layout, rate in several.items() if rate >= ENOUGH * best)


def lay_out(
    runtime: Runtime, inputs: Mapping[str, Array], once_us: float, cores: int, clock: Nanoseconds
) -> tuple[Runtime, int]:
    """*runtime*, or the same model opened for more threads, and how many calls of it are to run at
    once; *inputs* take one call about *once_us*.

    More threads are of use only where they give the same answers to the bit. Blocks; raises
    whatever the model raises, and has then closed all but *runtime*.
    """
    names, rates = runtime.signature.output_names, dict[Layout, float]()
    expected = runtime.run(inputs, names)
    for layout in layouts(cores):
        model = runtime if layout.threads == 1 else runtime.with_threads(layout.threads)
        if model is None:
            continue
        try:
            if _same(model.run(inputs, names), expected):
                rates[layout] = rate(model, inputs, layout.instances, once_us, clock)
        finally:
            if model is not runtime:  # two of a large model at a time are enough
                model.close()
    chosen = choose(rates) if rates else Layout(cores, 1)
    if chosen.threads > 1 and (wider := runtime.with_threads(chosen.threads)):
        runtime.close()
        return wider, chosen.instances
    return runtime, chosen.instances


def rate(
    runtime: Runtime,
    inputs: Mapping[str, Array],
    instances: int,
    once_us: float,
    clock: Nanoseconds,
) -> float:
    """Calls a second, so many at once. Blocks."""
    names, best = runtime.signature.output_names, 0.0
    each = max(1, min(int(MEASURED_US / max(once_us, 1.0)), MOST_CALLS))
    calls = [inputs] * (instances * each)
    with ThreadPoolExecutor(instances, "inferd-measure") as pool:
        for _ in range(2):  # the first also warms each thread
            started = clock()
            list(pool.map(lambda call: runtime.run(call, names), calls))
            best = max(best, len(calls) * 1e9 / max(clock() - started, 1))
    return best


def telling_rows(example: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """Rows like the *example*, whose numbers differ: sums of them in another order show."""
    numbers = np.random.default_rng(0)
    return {
        name: array + numbers.standard_normal(array.shape).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in repeat_rows(example, rows).items()
    }


def _same(found: Mapping[str, Array], expected: Mapping[str, Array]) -> bool:
    return all(found[name].tobytes() == array.tobytes() for name, array in expected.items())
