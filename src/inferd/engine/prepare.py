"""Makes a loaded runtime answer: warms and measures it, and puts the scheduler that suits it in
front."""

from inferd import plugins
from inferd.clock import Nanoseconds
from inferd.engine import cache
from inferd.engine.cost import GIVE_UP_US, UNKNOWN, Cost, measure
from inferd.engine.execution import Execution
from inferd.engine.home import Home
from inferd.engine.schedulers.base import Scheduler
from inferd.journal.record import Record
from inferd.log import logger
from inferd.models.example import example_inputs
from inferd.models.manager import Version
from inferd.runtimes.base import Runtime, check_outputs
from inferd.signature import Signature
from inferd.spec import Batching
from inferd.tensors import Array


class Preparer:
    """What every version's engine is made from."""

    def __init__(
        self,
        home: Home,
        journal: Record,
        clock: Nanoseconds,
        inline_limit_us: float,
        instances: int,
    ) -> None:
        self.home, self._journal, self._clock = home, journal, clock
        self._inline_limit_us, self._instances = inline_limit_us, instances

    def prepare(self, version: Version, runtime: Runtime) -> None:
        """Fill *version* with *runtime*, ready to be published. Blocks while the model is run for
        the first time."""
        example = example_inputs(runtime.signature, runtime.example())
        unmeasurable = runtime.streams or sizes_vary(runtime.signature)
        cost = UNKNOWN if unmeasurable else self._measure(version, runtime, example)
        execution = Execution(
            runtime, cost, self._inline_limit_us, self.home, self._journal, self._clock
        )
        instances = (runtime.instances or self._instances) if runtime.parallel else 1
        name = scheduler_for(runtime.signature, version.spec.batching, streams=runtime.streams)
        scheduler: Scheduler = plugins.load("schedulers", name)(
            execution, version.spec.batching, instances
        )
        version.fill(runtime, cache.off(scheduler.__call__), example)
        version.instances = instances
        version.statistics = execution.counters.read

    def _measure(self, version: Version, runtime: Runtime, example: dict[str, Array]) -> Cost:
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


def sizes_vary(signature: Signature) -> bool:
    """Whether an input has a free dimension beside its rows: no row then costs as another."""
    after = 0 if signature.batch_axis is None else 1
    return any(d < 0 for spec in signature.inputs for d in spec.shape[after:])


def scheduler_for(signature: Signature, batching: Batching, *, streams: bool) -> str:
    """The name of the scheduler that suits a model: rows are joined where they can be."""
    joins = signature.batch_axis == 0 and batching.max_batch_size > 1 and not streams
    return "batch" if joins else "direct"
