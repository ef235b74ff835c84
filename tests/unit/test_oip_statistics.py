"""protocols/oip and what stands behind it: the statistics of versions, in Triton's words."""

import asyncio
from collections.abc import Callable

import pytest

from inferd.calls import ModelStatistics, StatisticsReport
from inferd.engine.queries import queries
from inferd.engine.schedulers.direct import Direct
from inferd.errors import Code, ModelNotFound
from inferd.models.manager import Manager
from inferd.models.state import State
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip import plugin
from inferd.spec import Batching
from inferd.statistics import Statistics, Total
from tests.unit.asking import Asker, body
from tests.unit.toys import CountingReply, Engine, FakeClock, ToyRuntime, until, version_of

Make = Callable[..., Pipeline]
ALL = ("GET", "/v2/models/stats")
OF_MODEL = ("GET", "/v2/models/{model}/stats")
OF_VERSION = ("GET", "/v2/models/{model}/versions/{version}/stats")
INFER = ("POST", "/v2/models/{model}/infer")
DURATIONS = [
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
]


def _rows(count: int) -> bytes:
    tensor = {"name": "X", "shape": [count, 4], "datatype": "FP32", "data": [1.0] * 4 * count}
    return body(inputs=[tensor])


def test_a_model_that_nobody_asked_has_nothing_but_zeros(pipeline: Make) -> None:
    """Every key of Triton's statistics is there, in its order."""
    (told,) = Asker(plugin, pipeline("iris")).ask(OF_MODEL, model="iris")["model_stats"]
    assert list(told) == [
        "name",
        "version",
        "last_inference",
        "inference_count",
        "execution_count",
        "inference_stats",
        "response_stats",
        "batch_stats",
        "memory_usage",
    ]
    assert (told["name"], told["version"], told["last_inference"]) == ("iris", "1", 0)
    assert told["inference_stats"] == {key: {"count": 0, "ns": 0} for key in DURATIONS}
    assert list(told["inference_stats"]) == DURATIONS
    assert (told["response_stats"], told["batch_stats"], told["memory_usage"]) == ({}, [], [])


def test_inferences_are_rows_and_executions_are_calls(pipeline: Make) -> None:
    """``inference_count`` counts elements of batches, ``execution_count`` calls of the model, and
    each size of a batch has its own times."""
    oip = Asker(plugin, pipeline("iris"))
    for count in (1, 5, 1):
        oip.ask(INFER, _rows(count), model="iris")
    (told,) = oip.ask(OF_MODEL, model="iris")["model_stats"]
    assert (told["inference_count"], told["execution_count"]) == (7, 3)
    assert told["last_inference"] > 1_700_000_000_000
    stats = told["inference_stats"]
    assert [stats[name]["count"] for name in DURATIONS] == [3, 0, 3, 3, 3, 3, 0, 0]
    assert stats["success"]["ns"] >= stats["compute_infer"]["ns"] > 0
    sizes = [(each["batch_size"], each["compute_infer"]["count"]) for each in told["batch_stats"]]
    assert sizes == [(1, 2), (5, 1)]
    of_sizes = sum(each["compute_infer"]["ns"] for each in told["batch_stats"])
    assert of_sizes == stats["compute_infer"]["ns"]


def test_a_request_that_does_not_fit_counts_nowhere(pipeline: Make) -> None:
    """Requests refused at validation are no failures, as in Triton; a model that raises is one."""
    oip = Asker(plugin, pipeline("table"))
    tensor = {"name": "X", "shape": [1], "datatype": "INT64"}
    oip.refusal(INFER, body(inputs=[tensor | {"data": ["a"]}]), model="table")
    oip.refusal(INFER, body(inputs=[tensor | {"data": [7]}]), model="table")
    (told,) = oip.ask(OF_MODEL, model="table")["model_stats"]
    assert told["inference_stats"]["fail"]["count"] == 1
    assert told["inference_stats"]["success"]["count"] == 0
    assert (told["inference_count"], told["execution_count"]) == (0, 0)


def test_all_models_or_one_or_one_version(pipeline: Make) -> None:
    """``/v2/models/stats`` is every model's, by name."""
    oip = Asker(plugin, pipeline("text", "iris"))
    assert [each["name"] for each in oip.ask(ALL)["model_stats"]] == ["iris", "text"]
    told = oip.ask(OF_VERSION, model="text", version="1")
    assert told == oip.ask(OF_MODEL, model="text")
    assert [each["name"] for each in told["model_stats"]] == ["text"]


@pytest.mark.parametrize(
    ("route", "path", "text"),
    [
        (OF_MODEL, {"model": "X"}, "requested model 'X' is not available"),
        (
            OF_VERSION,
            {"model": "iris", "version": "9"},
            "requested model version is not available for model 'iris'",
        ),
    ],
)
def test_an_unknown_model_is_400_at_tritons_port_and_404_here(
    pipeline: Make, route: tuple[str, str], path: dict[str, str], text: str
) -> None:
    """Triton calls statistics of what is not there a wrong argument."""
    served = pipeline("iris")
    door, main = Asker(plugin.at("triton"), served), Asker(plugin, served)
    assert door.refusal(route, b"", **path) == text
    assert "is not found" in main.refusal(route, b"", **path)
    with pytest.raises(ModelNotFound) as caught:
        main.ask(route, b"", {}, **path)
    assert plugin.code(caught.value, Message(b"", path)) is Code.NOT_FOUND


class Served(Manager):
    """Two toys, of which one is not ready any more."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = version_of(ToyRuntime(), "b"), version_of(ToyRuntime(), "a")
        self._versions = {"b": {"1": self.one}, "a": {"1": self.two}}
        self._answering = self._table()


def _report(manager: Manager, call: ModelStatistics) -> StatisticsReport:
    reply = CountingReply()
    queries(manager)[ModelStatistics](call, reply)
    for error in reply.errors:
        raise error
    (report,) = reply.responses
    assert isinstance(report, StatisticsReport)
    return report


def test_the_question_is_answered_with_what_each_ready_version_counted() -> None:
    """Models by name; a version that is retired is not among them."""
    served = Served()
    counted = Statistics(success=Total(3, 4))
    served.two.statistics = lambda: counted
    report = _report(served, ModelStatistics())
    assert [handle for handle, _ in report.versions] == [served.two, served.one]
    assert report.versions[0][1] == counted
    assert _report(served, ModelStatistics("b", "1")).versions == (report.versions[1],)
    served.retire(served.two)
    assert served.two.state is State.GONE
    assert [handle for handle, _ in _report(served, ModelStatistics()).versions] == [served.one]
    for call in (ModelStatistics("x"), ModelStatistics("b", "2")):
        with pytest.raises(ModelNotFound):
            _report(served, call)


def test_what_a_scheduler_ran_is_what_is_counted() -> None:
    """A request that waited has its time in the queue; one that failed is a failure and no
    inference."""

    async def go() -> None:
        clock = FakeClock(step=1000)
        engine = Engine(ToyRuntime(), clock=clock)
        direct = Direct(engine.execution, Batching(), 1)
        replies = [CountingReply() for _ in range(3)]
        for reply, value in zip(replies, (1.0, 2.0, -1.0), strict=True):
            direct(engine.ask([value, value]), reply)
        await until(lambda: all(reply.answered for reply in replies))
        await until(lambda: engine.version._users == 0)
        told = engine.execution.counters.read()
        assert (told.success.count, told.fail.count, told.requests) == (2, 1, 3)
        assert (told.rows, told.executions) == (2, 2)
        assert told.queue.ns > 0
        parts = (told.queue, told.compute_input, told.compute_infer, told.compute_output)
        assert told.success.ns == sum(part.ns for part in parts)
        assert told.fail.ns > 0

    asyncio.run(go())


def test_a_caller_who_left_is_a_failure() -> None:
    """Who goes away before his turn was not answered."""

    async def go() -> None:
        engine = Engine(ToyRuntime())
        direct = Direct(engine.execution, Batching(), 1)
        reply = CountingReply()
        reply.cancelled = True
        assert direct.enqueue(engine.ask([1.0, 1.0]), reply)
        direct.fill()
        told = engine.execution.counters.read()
        assert (told.success.count, told.fail.count) == (0, 1)

    asyncio.run(go())
