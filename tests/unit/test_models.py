"""inferd.models: states, the version policy, and the manager that hands versions out."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.artifact import Artifact
from inferd.calls import Readiness
from inferd.errors import InvalidInput, LoadError, ModelNotFound, NotReady
from inferd.models.manager import Manager, Version
from inferd.models.policy import default_version, newest_first
from inferd.models.state import FORWARD, State, advance
from inferd.spec import ModelSpec
from tests.unit.toys import ToyRuntime

NAMES = st.lists(st.text(st.sampled_from("0123456789ab٣²"), min_size=1, max_size=3), unique=True)


def test_states_only_go_forward() -> None:
    """Exactly the table's steps are possible, and no sequence of them comes back."""
    for now, then in itertools.product(State, State):
        if then in FORWARD[now]:
            assert advance(now, then) is then
        else:
            with pytest.raises(ValueError, match=f"{now.value} cannot become {then.value}"):
                advance(now, then)

    def after(state: State) -> set[State]:
        return {s for n in FORWARD[state] for s in {n, *after(n)}}

    assert set(FORWARD) == set(State)
    assert all(state not in after(state) for state in State)
    assert after(State.NEW) == set(State) - {State.NEW}


@given(NAMES)
def test_the_default_version_is_the_newest(names: list[str]) -> None:
    """The largest number; among names that are no numbers, the last in the alphabet."""
    numbers = [name for name in names if name.isascii() and name.isdigit()]
    chosen = default_version(names)
    if numbers:
        assert chosen in numbers
        assert int(chosen or "") == max(map(int, numbers))
    else:
        assert chosen == max(names, default=None)
    assert sorted(newest_first(names)) == sorted(names)
    assert newest_first(names)[:1] == (() if chosen is None else (chosen,))


def test_ten_is_newer_than_nine() -> None:
    """Versions are numbers, not words."""
    assert newest_first(["9", "10", "b", "a", "2"]) == ("10", "9", "2", "b", "a")


def _load(manager: Manager, name: str, number: str = "1") -> Version:
    version = manager.begin(ModelSpec(name, number, Artifact(Path(f"{name}.toy"))))
    version.fill(ToyRuntime(), lambda request, reply: None, {"X": np.zeros((1, 2))})
    return version


def _serve(manager: Manager, name: str, number: str = "1") -> Version:
    version = _load(manager, name, number)
    manager.publish(version)
    return version


def test_a_version_is_handed_out_from_publish_to_retire() -> None:
    """While it loads and after it was retired, nobody gets it."""
    manager = Manager()
    version = _load(manager, "m")
    with pytest.raises(NotReady, match="model 'm' is not ready"):
        manager.lookup("m")
    with pytest.raises(NotReady, match="model 'm' version '1' is not ready"):
        manager.lookup("m", "1")
    manager.publish(version)
    for model, number in [("m", None), ("m", "1"), (None, None)]:
        assert manager.lookup(model, number) is version
    manager.retire(version)
    with pytest.raises(ModelNotFound):
        manager.lookup("m")


def test_a_retired_version_closes_with_its_last_user() -> None:
    """Who holds it runs to the end on it; its runtime is closed once, after the last."""
    manager = Manager()
    version = _serve(manager, "m")
    runtime = version.runtime
    assert isinstance(runtime, ToyRuntime)
    version.acquire()
    version.acquire()
    manager.retire(version)
    version.release()
    assert (version.state, runtime.closed) == (State.DRAINING, 0)
    version.acquire()  # looked up before it was retired
    version.release()
    version.release()
    assert (version.state, runtime.closed) == (State.GONE, 1)
    with pytest.raises(NotReady, match=r"unloaded meanwhile\. Send it again"):
        version.acquire()
    manager.close()
    assert runtime.closed == 1


def test_an_unused_version_closes_at_once() -> None:
    """Nothing is waited for where nobody uses it; a version that serves is not closed by its last
    user."""
    manager = Manager()
    version = _serve(manager, "m")
    version.acquire()
    version.release()
    version.close_when_unused()
    states = [version.state]
    manager.close()
    assert [*states, version.state] == [State.READY, State.GONE]


def test_the_newest_ready_version_answers() -> None:
    """A newer version takes over when it is ready, and hands back when it is retired."""
    manager = Manager()
    nine = _serve(manager, "m", "9")
    ten = _load(manager, "m", "10")
    assert manager.lookup("m") is nine
    manager.publish(ten)
    assert manager.lookup("m") is ten
    assert manager.lookup("m", "9") is nine
    assert manager.describe("m", None).versions == ("10", "9")
    assert manager.describe("m", "9").handle is nine
    manager.retire(ten)
    assert manager.lookup("m") is nine
    assert manager.describe("m", None).versions == ("9",)


def test_without_a_name_the_only_or_the_default_model_answers() -> None:
    """Of several models none is guessed."""
    one = Manager()
    _serve(one, "a")
    assert one.lookup(None).model == "a"
    _serve(one, "b")
    with pytest.raises(InvalidInput) as caught:
        one.lookup(None)
    assert str(caught.value) == (
        "several models are served, and the request names none: expected one of 'a', 'b'. "
        "Name it in the URL, or start the server with --default-model."
    )
    several = Manager("b")
    _serve(several, "a")
    with pytest.raises(ModelNotFound, match="unknown model 'b'"):
        several.lookup(None)
    _serve(several, "b")
    assert several.lookup(None).model == "b"
    assert [v.model for v in several.ready()] == ["a", "b"]


def test_what_is_not_there_is_told_with_what_is() -> None:
    """An unknown model or version lists the known ones."""
    manager = Manager()
    _serve(manager, "a", "2")
    _serve(manager, "a", "10")
    with pytest.raises(ModelNotFound, match="unknown model 'x': expected one of the models 'a'"):
        manager.lookup("x")
    with pytest.raises(ModelNotFound, match=r"no version '3': expected .* versions '10', '2'"):
        manager.lookup("a", "3")


def test_a_server_without_models_is_not_ready() -> None:
    """Nothing loaded is a reason of its own, and only then."""
    manager = Manager()
    assert manager.readiness() == Readiness(False, ("no model is loaded",))
    _serve(manager, "a")
    assert manager.readiness() == Readiness(True)


def test_readiness_names_what_is_missing() -> None:
    """Ready is every version that should answer; each other one is a reason."""
    manager = Manager()
    assert not manager.readiness().ready
    first, second = _load(manager, "a"), _load(manager, "b")
    manager.publish(first)
    assert manager.readiness().reasons == ("model 'b' version '1' is loading",)
    manager.give_up(second, LoadError("it is damaged"))
    told = "model 'b' version '1' is failed: the server's log says why"
    assert manager.readiness().reasons == (told,)
    assert not manager.readiness().ready


def test_a_server_about_to_stop_is_not_ready_and_still_answers() -> None:
    """A balancer is told first."""
    manager = Manager()
    version = _serve(manager, "a")
    assert manager.readiness().ready
    manager.stopping = True
    assert manager.readiness().reasons == ("the server is stopping",)
    assert manager.lookup("a") is version


def test_a_version_that_is_gone_is_no_reason() -> None:
    """What was unloaded on purpose is not missed."""
    manager = Manager()
    old = _serve(manager, "a", "1")
    _serve(manager, "a", "2")
    old.acquire()
    manager.retire(old)
    ready = [manager.readiness().ready]
    old.release()
    assert [*ready, manager.readiness().ready] == [True, True]
    assert [v.state for v in manager.versions()] == [State.GONE, State.READY]
