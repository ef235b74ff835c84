"""inferd.engine.home: the loop thread and the threads beside it."""

import asyncio
import threading
from functools import partial
from typing import Any

import pytest

from inferd.engine.home import Chain, Done, Home
from tests.unit.toys import until


def test_work_runs_beside_the_loop_and_is_told_on_it() -> None:
    """The value of the work, or the exception that it raised, reaches the loop thread."""

    async def go() -> None:
        home = Home(1)
        home.attach(asyncio.get_running_loop())
        told: list[tuple[Done[Any], int]] = []

        def then(done: Done[Any]) -> None:
            told.append((done, threading.get_ident()))

        def fails() -> None:
            raise ValueError("no")

        for pool in (home.models, home.codecs):
            told.clear()
            home.submit(pool, threading.get_ident, then)
            await until(lambda: len(told) == 1)
            home.submit(pool, fails, then)
            await until(lambda: len(told) == 2)
            assert {thread for _, thread in told} == {threading.get_ident()}
            assert told[0][0].result() != threading.get_ident()
            with pytest.raises(ValueError, match="no"):
                told[1][0].result()
        home.close()

    asyncio.run(go())


def test_work_that_returned_nothing_has_no_result() -> None:
    """Asking for a value that is not there is a bug, and says so."""
    with pytest.raises(TypeError, match="returned nothing"):
        Done(None).result()


def test_the_loop_must_be_attached() -> None:
    """Nothing is silently lost before the server runs."""
    home = Home(1)
    with pytest.raises(RuntimeError, match="not attached"):
        _ = home.loop
    home.close()


def test_posting_to_a_closed_loop_is_silent() -> None:
    """Nobody is left to be told, and the thread goes on."""
    home = Home(1)
    loop = asyncio.new_event_loop()
    home.attach(loop)
    loop.close()
    home.post(print, "never")
    home.close()


def test_closed_pools_take_no_more_work() -> None:
    """After close, work is refused, not lost."""
    home = Home(1)
    home.close()
    for pool in (home.models, home.codecs):
        with pytest.raises(RuntimeError):
            home.submit(pool, int, lambda done: None)


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_chain_runs_so_many_at_once_in_order_without_waiting_for_the_loop(at_once: int) -> None:
    """What was submitted begins in order, never more at once, and the next one as soon as another
    has ended, in the same thread, while the loop does something else."""

    async def go() -> None:
        home = Home(4)
        home.attach(asyncio.get_running_loop())
        chain, told = Chain(home, at_once), list[int]()
        begun, threads, most = list[int](), set[int](), 0
        running, lock, last = 0, threading.Lock(), threading.Event()

        def work(number: int) -> int:
            nonlocal running, most
            with lock:
                begun.append(number)
                threads.add(threading.get_ident())
                running += 1
                most = max(most, running)
            last.wait(0.002)  # so that others may begin meanwhile
            with lock:
                running -= 1
            if number == 9:
                last.set()
            return number + 1

        for number in range(10):
            chain.submit(partial(work, number), lambda done: told.append(done.result()))
        assert last.wait(5), "the chain waits for the loop, which this keeps"
        await until(lambda: len(told) == 10)
        assert sorted(told) == [number + 1 for number in range(10)]
        assert begun == list(range(10)) or at_once > 1
        assert sorted(begun) == list(range(10))
        assert most <= at_once
        assert len(threads) <= at_once
        assert home.busy == 0
        home.close()

    asyncio.run(go())


def test_a_failure_does_not_break_a_chain() -> None:
    """It is told, and the next work runs."""

    async def go() -> None:
        home = Home(1)
        home.attach(asyncio.get_running_loop())
        chain, told = Chain(home, 1), list[Done[Any]]()

        def fails() -> None:
            raise ValueError("no")

        for work in (fails, lambda: 1, fails, lambda: 2):
            chain.submit(work, told.append)
        await until(lambda: len(told) == 4)
        assert [done.value for done in told] == [None, 1, None, 2]
        await until(lambda: chain._free == 1)
        home.close()

    asyncio.run(go())


def test_a_closed_home_begins_nothing_more() -> None:
    """What is under way ends, and what waited behind it does not begin."""

    async def go() -> None:
        home = Home(1)
        home.attach(asyncio.get_running_loop())
        chain, told, go_on = Chain(home, 1), list[Any](), threading.Event()
        chain.submit(lambda: go_on.wait(5), told.append)
        chain.submit(lambda: told.append("begun"), told.append)
        home.close()
        go_on.set()
        await until(lambda: chain._free == 1)
        await until(lambda: told)
        assert [type(each) for each in told] == [Done]

    asyncio.run(go())


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_would_end_a_thread_ends_neither_a_chain_nor_the_loop(
    kind: type[BaseException],
) -> None:
    """A model may exit, or panic: that is told as any failure, and the next work runs."""

    async def go() -> None:
        home = Home(1)
        home.attach(asyncio.get_running_loop())
        chain, told = Chain(home, 1), list[Done[Any]]()

        def ends() -> None:
            raise kind

        for work in (ends, lambda: 1):
            chain.submit(work, told.append)
        await until(lambda: len(told) == 2)
        with pytest.raises(RuntimeError, match=f"{kind.__name__} was raised in a thread") as caught:
            told[0].result()
        assert type(caught.value.__cause__) is kind
        assert told[1].value == 1
        assert home.busy == 0
        home.close()

    asyncio.run(go())
