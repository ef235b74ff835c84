"""inferd.pipeline, engine/prepare and the stages that are off: from a path to an answer."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inferd import log
from inferd.artifact import Artifact
from inferd.calls import InferRequest
from inferd.clock import Nanoseconds, monotonic_ns
from inferd.config import Settings
from inferd.engine import cache
from inferd.engine.cost import Cost
from inferd.engine.execution import Execution
from inferd.engine.home import Home
from inferd.engine.prepare import Preparer, scheduler_for
from inferd.engine.schedulers.batch import Batch
from inferd.engine.schedulers.direct import Direct
from inferd.errors import ArtifactNotFound, ConfigError
from inferd.experiments import router
from inferd.gate import admit, door
from inferd.journal import record
from inferd.models.manager import Manager, Version
from inferd.models.state import State
from inferd.pipeline import Pipeline
from inferd.signature import Signature, TensorSpec
from inferd.spec import Batching, ModelSpec
from tests.unit.threaded import Clock, Threaded
from tests.unit.toys import (
    DOUBLING,
    CountingReply,
    Engine,
    FakeClock,
    StreamingRuntime,
    ToyRuntime,
    until,
)

Make = Callable[..., Pipeline]


@pytest.mark.parametrize("settings", [{}, {"inline_limit_microseconds": 0}, {"max_batch_size": 1}])
def test_a_request_goes_through_every_stage(pipeline: Make, settings: dict[str, Any]) -> None:
    """At once or in a thread, joined or not: the answer is the model's, and the handle is free."""

    async def go() -> None:
        served = pipeline("iris", **settings)
        served.home.attach(asyncio.get_running_loop())
        handle, reply = served.manager.lookup("iris"), CountingReply()
        rows = np.array([[9, 0, 0, 0]], np.float32)
        request = InferRequest(handle, {"X": rows}, handle.checker.output_names, 1, {})
        served.handlers[InferRequest](request, reply)
        await until(lambda: reply.answered)
        assert reply.responses[0].outputs["label"].tolist() == [0]
        assert handle._users == 0

    asyncio.run(go())


def test_every_model_is_ready_after_loading_and_gone_after_closing(pipeline: Make) -> None:
    """Loading publishes, closing retires."""
    served = pipeline("iris", "simple")
    assert [v.model for v in served.manager.ready()] == ["iris", "simple"]
    served.close()
    assert {v.state for v in served.manager.versions()} == {State.GONE}


def test_what_is_prepared_is_not_handed_out_until_it_is_published(
    models: Path, pipeline: Make
) -> None:
    """A change can be made ready first, and hold later, or never."""
    served = pipeline("iris")
    (spec,) = served.find([models / "simple.onnx"])
    version = Version(spec)
    served.prepare(version)
    assert version.runtime_name == "onnx"
    assert [v.model for v in served.manager.versions()] == ["iris"]


@pytest.mark.parametrize(("workers", "each"), [(1, 3), (2, 2), (3, 1), (8, 1)])
def test_processes_of_models_are_shared_out_over_the_workers(
    models: Path, workers: int, each: int
) -> None:
    """Rounded up: a worker without one could not answer."""
    served = Pipeline(Settings(native_processes=3), cores=1, workers=workers)
    (spec,) = served.find([models / "iris.onnx"])
    assert spec.loading.native_processes == each
    served.close()


def test_a_default_model_must_be_served(pipeline: Make) -> None:
    """The names that are served are told."""
    assert pipeline("iris", "simple", default_model="simple").manager.lookup(None).model == "simple"
    with pytest.raises(ConfigError, match="got 'x', expected iris or simple"):
        pipeline("iris", "simple", default_model="x")


def test_a_missing_model_is_told_before_another_is_loaded(models: Path, pipeline: Make) -> None:
    """Nothing is published of a set that cannot be served."""
    served = pipeline()
    with pytest.raises(ArtifactNotFound):
        served.load([models / "iris.onnx", models / "none.onnx"])
    assert served.manager.versions() == []


def _prepared(runtime: ToyRuntime, limit: float = 200.0, clock: Nanoseconds = monotonic_ns) -> Any:
    """The scheduler that stands before *runtime*."""
    manager, home = Manager(), Home(1)
    version = manager.begin(ModelSpec("toy", "1", Artifact(Path("x.toy")), Batching()))
    Preparer(home, record.off, clock, limit, cores=3).prepare(version, runtime)
    manager.publish(version)
    home.close()
    return getattr(version.infer, "__self__", version.infer)


def test_a_model_is_measured_when_it_is_prepared() -> None:
    """A quick model runs at once; the number of instances is that of the cores."""
    runtime = ToyRuntime()
    scheduler = _prepared(runtime, limit=1e6)
    assert isinstance(scheduler, Batch)
    assert scheduler.execution.quick_rows > 0
    assert scheduler.instances == 3
    assert runtime.calls


def test_a_very_slow_model_is_run_once_and_never_again() -> None:
    """The first run, which checks the signature, has told enough."""
    runtime = ToyRuntime()
    scheduler = _prepared(runtime, limit=1e6, clock=FakeClock(step=10**12))
    assert scheduler.execution.quick_rows < 1
    assert len(runtime.calls) == 1


def test_a_slow_model_is_opened_for_more_threads_where_they_help() -> None:
    """The version tells so, and the first runtime is closed."""
    runtime = Threaded(Clock(1), useful=3)
    scheduler = _prepared(runtime, clock=runtime.clock)
    assert (scheduler.instances, scheduler.execution.runtime.threads) == (1, 3)
    assert runtime.closed == 1


def test_a_model_whose_calls_are_not_joined_keeps_an_instance_a_core() -> None:
    """A long call is not to hold up all others."""
    runtime = Threaded(Clock(1), useful=3)
    runtime.signature = Signature(DOUBLING.inputs, DOUBLING.outputs, None)
    scheduler = _prepared(runtime, clock=runtime.clock)
    assert (scheduler.instances, scheduler.execution.runtime) == (3, runtime)


def test_a_model_that_refuses_made_up_numbers_keeps_an_instance_a_core() -> None:
    """It answers all the same."""

    class Strict(Threaded):
        def run(self, inputs: Any, outputs: Any) -> Any:
            if (inputs["X"] != 0).any():
                raise ValueError("only zeros")
            return super().run(inputs, outputs)

    runtime = Strict(Clock(1), useful=1)
    assert _prepared(runtime, clock=runtime.clock).instances == 3


def test_a_serial_model_has_one_instance() -> None:
    """What may not be entered twice is one instance, however many cores there are."""

    class Serial(ToyRuntime):
        parallel = False

    assert _prepared(Serial()).instances == 1


def test_a_streaming_model_is_not_measured() -> None:
    """It runs in a thread, call by call."""
    runtime = StreamingRuntime()
    scheduler = _prepared(runtime)
    assert isinstance(scheduler, Direct)
    assert scheduler.execution.quick_rows < 1
    assert not runtime.made


def _warned(runtime: ToyRuntime, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "inferd"):
        scheduler = _prepared(runtime, limit=1e6)
    assert scheduler.execution.quick_rows < 1
    assert "refused the row that it was to be measured with" in caplog.text


def test_a_model_that_refuses_the_example_is_served_from_a_thread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A made-up row may be none that the model likes; it is told in the log."""

    class Picky(ToyRuntime):
        def run(self, inputs: Any, outputs: Any) -> Any:
            raise ValueError("no zeros")

    _warned(Picky(), caplog)


def test_a_model_that_breaks_its_signature_is_told_when_it_is_loaded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first answer is held against the promise."""
    liar = Signature(DOUBLING.inputs, (TensorSpec("Y", "INT64", (-1, 2)),), 0)
    _warned(ToyRuntime(liar), caplog)


@pytest.mark.parametrize(
    ("axis", "size", "streams", "name"),
    [
        (0, 2, False, "batch"),
        (0, 1, False, "direct"),
        (None, 2, False, "direct"),
        (0, 2, True, "direct"),
    ],
)
def test_rows_are_joined_where_they_can_be(
    axis: int | None, size: int, streams: bool, name: str
) -> None:
    """The scheduler suits the signature, the settings and the runtime."""
    signature = Signature(DOUBLING.inputs, DOUBLING.outputs, axis)
    assert scheduler_for(signature, Batching(size), streams=streams) == name


def test_what_is_off_costs_nothing() -> None:
    """A stage that is off is the stage behind it."""

    def handler(call: Any, reply: Any) -> None: ...

    assert cache.off(handler) is router.off(handler) is admit.off(handler) is handler
    assert door.off({}) == ""


def test_the_journal_hears_of_every_request() -> None:
    """Once, after its answer, with whether it failed."""

    async def go() -> None:

        engine = Engine(ToyRuntime())
        heard: list[bool] = []
        execution = Execution(
            engine.runtime,
            Cost(1.0, 1.0),
            200,
            engine.home,
            lambda r, failed: heard.append(failed),
            int,
        )
        for value in (1, -1):
            execution.answer_now(engine.ask([value, value]), CountingReply())
        assert heard == [False, True]

    asyncio.run(go())


def test_the_log_goes_to_standard_error_from_its_level_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Starting it twice does not write twice."""
    before = log.logger.handlers[:], log.logger.level, log.logger.propagate
    try:
        log.start("warning")
        log.start("warning")
        log.logger.info("quiet")
        log.logger.warning("loud")
    finally:
        log.logger.handlers[:], log.logger.level, log.logger.propagate = before
        log.logger.setLevel(before[1])
    assert capsys.readouterr().err.count("WARNING loud") == 1
