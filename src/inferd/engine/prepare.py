"""Makes a loaded runtime answer: warms and measures it, and puts the scheduler that suits it in
front."""

from collections.abc import Mapping
from typing import NamedTuple

from inferd import plugins
from inferd.clock import Nanoseconds
from inferd.engine import cache
from inferd.engine.cost import GIVE_UP_US, ROWS, UNKNOWN, Cost, measure
from inferd.engine.execution import Execution, quick_rows
from inferd.engine.home import Home
from inferd.engine.instances import lay_out, telling_rows
from inferd.engine.schedulers.base import Scheduler
from inferd.journal.record import Record
from inferd.log import logger
from inferd.models.example import example_inputs
from inferd.models.manager import Version
from inferd.runtimes.base import Runtime, check_outputs
from inferd.signature import Signature
from inferd.spec import Batching
from inferd.tensors import Array

BATCH, DIRECT = "batch", "direct"  # schedulers
LONGEST_US = 100_000
"""Of one row: what takes longer is not run so often as choosing its instances takes."""


class Measured(NamedTuple):
    """A runtime as it will answer: what its calls cost, and how many may run at once."""

    runtime: Runtime
    cost: Cost
    instances: int


class Preparer:
    """What every version's engine is made from."""

    def __init__(
        self, home: Home, journal: Record, clock: Nanoseconds, inline_limit_us: float, cores: int
    ) -> None:
        self.home, self._journal, self._clock = home, journal, clock
        self._inline_limit_us, self._cores = inline_limit_us, cores

    def prepare(self, version: Version, runtime: Runtime) -> None:
        """Fill *version* with *runtime*, or with the same model opened for more threads; it may
        then be published. Blocks while the model is run for the first times."""
        example = example_inputs(runtime.signature, runtime.example())
        name = scheduler_for(runtime.signature, version.spec.batching, streams=runtime.streams)
        runtime, cost, instances = self._measured(version, runtime, example, joins=name == BATCH)
        execution = Execution(
            runtime, cost, self._inline_limit_us, self.home, self._journal, self._clock
        )
        scheduler: Scheduler = plugins.load("schedulers", name)(
            execution, version.spec.batching, instances
        )
        version.fill(runtime, cache.off(scheduler.__call__), example)
        version.instances, version.threads = instances, runtime.threads
        version.statistics = execution.counters.read

    def _measured(
        self, version: Version, runtime: Runtime, example: Mapping[str, Array], *, joins: bool
    ) -> Measured:
        instances = (runtime.instances or self._cores) if runtime.parallel else 1
        unmeasurable = runtime.streams or sizes_vary(runtime.signature)
        cost = UNKNOWN if unmeasurable else self._cost(version, runtime, example)
        # Calls that are not joined run side by side: with one at a time a long one holds up all.
        open_to_choice = joins and runtime.instances is None and instances > 1
        if not open_to_choice or not self._inline_limit_us < cost.of(1) <= LONGEST_US:
            return Measured(runtime, cost, instances)
        return self._laid_out(version, Measured(runtime, cost, instances), example)

    def _cost(self, version: Version, runtime: Runtime, example: Mapping[str, Array]) -> Cost:
        names = runtime.signature.output_names
        try:
            started = self._clock()
            check_outputs(runtime.signature, runtime.run(example, names), 1)
            took_us = (self._clock() - started) / 1000
            if took_us > GIVE_UP_US:
                return Cost(took_us, 0.0)
            return measure(
                lambda inputs: runtime.run(inputs, names),
                example,
                runtime.signature.batch_axis == 0,
                self._clock,
            )
        except Exception as error:  # noqa: BLE001 - a model may refuse a guess in any way
            logger.warning(
                "model %s refused the row that it was to be measured with: %s", version.model, error
            )
            return UNKNOWN

    def _laid_out(
        self, version: Version, plain: Measured, example: Mapping[str, Array]
    ) -> Measured:
        """*plain*, with the instances and threads that a measurement shows to be the best."""
        runtime, cost, _ = plain
        most = max(1, min(ROWS, quick_rows(cost, LONGEST_US)))
        rows = min(most, version.spec.batching.max_batch_size)
        inputs = telling_rows(example, rows)
        try:
            chosen, instances = lay_out(runtime, inputs, cost.of(rows), self._cores, self._clock)
        except Exception as error:  # noqa: BLE001 - as above
            logger.info(
                "model %s: its instances were not measured, as it refused a row of made-up numbers:"
                " %s",
                version.model,
                error,
            )
            return plain
        if chosen is not runtime:
            cost = self._cost(version, chosen, example)
        return Measured(chosen, cost, instances)


def sizes_vary(signature: Signature) -> bool:
    """Whether an input has a free dimension beside its rows: no row then costs as another."""
    after = 0 if signature.batch_axis is None else 1
    return any(d < 0 for spec in signature.inputs for d in spec.shape[after:])


def scheduler_for(signature: Signature, batching: Batching, *, streams: bool) -> str:
    """The name of the scheduler that suits a model: rows are joined where they can be."""
    joins = signature.batch_axis == 0 and batching.max_batch_size > 1 and not streams
    return BATCH if joins else DIRECT
