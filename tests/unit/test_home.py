"""inferd.engine.home: the loop thread and the threads beside it."""

import asyncio
import threading
from typing import Any

import pytest

from inferd.engine.home import Done, Home
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
