"""Nobody gets another's rows: requests of any mixture, through the schedulers, on real threads."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inferd import plugins
from inferd.calls import InferRequest
from inferd.clock import monotonic_ns
from inferd.engine.cost import UNKNOWN, Cost
from inferd.engine.schedulers.base import QueueStatistics, Scheduler
from inferd.errors import Cancelled, RunFailed
from inferd.signature import Signature, TensorSpec
from inferd.spec import Batching, QueuePolicy
from inferd.tensors import Array
from tests.unit.toys import CountingReply, Engine, ToyRuntime, until

MIXED = Signature(
    (TensorSpec("X", "FP32", (-1, -1)), TensorSpec("Z", "INT64", (-1, 2))),
    (TensorSpec("twice", "FP32", (-1, -1)), TensorSpec("next", "INT64", (-1, 2))),
    batch_axis=0,
)
POISON = -1.0


class MixedRuntime(ToyRuntime):
    """Two inputs and two outputs; refuses a call that no request can be a part of, and poison."""

    def __init__(self, most: int) -> None:
        super().__init__(MIXED)
        self.most = most
        self.wrong = 0

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        x, z = inputs["X"], inputs["Z"]
        if len(x) != len(z) or x.dtype not in (np.float32, np.float64) or len(x) > self.most:
            self.wrong += 1
        if (x == POISON).any():
            raise ValueError("a poisoned row")
        made = {"twice": x * 2, "next": z + 1}
        return {name: made[name] for name in outputs}


class Asked(NamedTuple):
    """One request of a mixture."""

    rows: int
    width: int
    dtype: Any
    outputs: tuple[str, ...]
    swapped: bool
    poisoned: bool
    cancelled: bool
    priority: int


ASKED = st.builds(
    Asked,
    st.integers(0, 12) | st.integers(1, 2),
    st.sampled_from([1, 1, 2]),
    st.sampled_from([np.float32, np.float32, np.float64]),
    st.sampled_from([("twice", "next"), ("twice", "next"), ("twice",), ("next",), ()]),
    st.booleans(),
    st.sampled_from([False] * 5 + [True]),
    st.sampled_from([False] * 9 + [True]),
    st.integers(0, 3),
)


class House(NamedTuple):
    """How they are run."""

    name: str
    most: int
    instances: int
    cost: Cost
    batching: Mapping[str, Any]


HOUSES = st.builds(
    House,
    st.sampled_from(["batch", "batch", "batch", "direct"]),
    st.integers(1, 8),
    st.integers(1, 3),
    st.sampled_from([UNKNOWN, Cost(199.0, 1.0), Cost(500.0, 10.0)]),
    st.sampled_from(
        [
            {},
            {"preserve_ordering": True},
            {"max_queue_delay_microseconds": 300},
            {"priority_levels": 3},
            {"priority_levels": 2, "queue": QueuePolicy(1000, "delay")},
        ]
    ),
)


def request_of(engine: Engine[Any], asked: Asked, number: int) -> InferRequest:
    """Rows that hold the request's own number, so that another's are told from them."""
    x = np.full((asked.rows, asked.width), number, asked.dtype)
    x += (np.arange(asked.rows)[:, None] / 16).astype(asked.dtype)
    if asked.poisoned and asked.rows:
        x[asked.rows // 2] = POISON
    z = np.arange(2 * asked.rows).reshape(asked.rows, 2) + 1000 * number
    inputs = {"Z": z, "X": x} if asked.swapped else {"X": x, "Z": z}
    engine.version.acquire()
    return InferRequest(
        engine.version, inputs, asked.outputs, asked.rows, {}, priority=asked.priority
    )


def check_answer(asked: Asked, request: InferRequest, reply: CountingReply) -> None:
    """Its own rows and outputs and nothing else, or its own fault."""
    assert reply.ends + reply.failures == 1
    if asked.cancelled and reply.errors:
        assert isinstance(reply.errors[0], Cancelled | RunFailed)
    elif asked.poisoned and asked.rows:
        assert isinstance(reply.errors[0], RunFailed)
    else:
        (response,) = reply.responses
        assert tuple(response.outputs) == asked.outputs
        expected = {"twice": request.inputs["X"] * 2, "next": request.inputs["Z"] + 1}
        for name, array in response.outputs.items():
            assert array.dtype == expected[name].dtype
            np.testing.assert_array_equal(array, expected[name])


LARGE = Asked(12, 1, np.float32, ("twice", "next"), False, False, False, 0)
POISONED = LARGE._replace(poisoned=True)


@settings(max_examples=50, deadline=None)
@example([[LARGE] * 4], House("batch", 5, 2, UNKNOWN, {}))
@example([[LARGE, POISONED, LARGE, POISONED]], House("batch", 5, 2, UNKNOWN, {}))
@example(
    [[LARGE._replace(rows=1), POISONED._replace(rows=1)] * 3], House("batch", 8, 1, UNKNOWN, {})
)
@given(st.lists(st.lists(ASKED, min_size=1, max_size=12), min_size=1, max_size=3), HOUSES)
def test_everybody_gets_his_own(turns: list[list[Asked]], house: House) -> None:
    """Whatever comes in whichever turns of the loop: shapes, datatypes, outputs, priorities, rows
    that are too many, poison and callers who leave."""

    async def go() -> None:
        whole = house.name == "direct" or house.cost is not UNKNOWN
        runtime = MixedRuntime(12 if whole else house.most)
        engine = Engine(runtime, cost=house.cost, clock=monotonic_ns, threads=4)
        batching = Batching(house.most, **house.batching)
        made = plugins.load("schedulers", house.name)
        scheduler: Scheduler = made(engine.execution, batching, house.instances)
        sent: list[tuple[Asked, InferRequest, CountingReply]] = []
        for turn in turns:
            for asked in turn:
                request, reply = request_of(engine, asked, len(sent) + 1), CountingReply()
                sent.append((asked, request, reply))
                scheduler(request, reply)
                reply.cancelled = asked.cancelled
            await asyncio.sleep(0)
        await until(lambda: all(reply.answered for _, _, reply in sent))
        await until(lambda: scheduler.statistics() == QueueStatistics(0, 0, 0))
        for asked, request, reply in sent:
            check_answer(asked, request, reply)
        assert runtime.wrong == 0
        counters = engine.execution.counters.read()
        assert engine.execution.counters.requests == counters.requests == len(sent)
        assert engine.version._users == 0
        assert not scheduler.queue._groups
        assert not scheduler.queue._timed
        engine.home.close()

    asyncio.run(go())
