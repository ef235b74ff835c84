"""inferd.server.catalogue: what a worker has to load when it starts."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from inferd.server.catalogue import Catalogue, Key, Keys, catalogue
from inferd.server.link import Change, Label, Load, Unload

MODELS, VERSIONS = ["a", "b"], ["1", "2"]
KEYS = [(model, version) for model in MODELS for version in VERSIONS]
FOLDERS = {
    f"/{at}": frozenset(key for bit, key in enumerate(KEYS) if at >> bit & 1)
    for at in range(1, 1 << len(KEYS))
}
"""Every set of versions that a path can give, by path."""

LOADS = st.sampled_from(sorted(FOLDERS)).map(Load)
UNLOADS = st.builds(Unload, st.sampled_from(MODELS), st.sampled_from([None, *VERSIONS]))
LABELS = st.builds(
    Label, st.sampled_from(MODELS), st.sampled_from(["x", "y"]), st.sampled_from(VERSIONS)
)


class World:
    """What a worker serves that makes changes one after another, without any cleverness."""

    def __init__(self) -> None:
        self.served: dict[Key, str] = {}
        self.labels: dict[Key, str] = {}

    def can(self, change: Change) -> bool:
        """Whether a worker would prepare it."""
        match change:
            case Load():
                return True
            case Unload(model, version):
                return any(k[0] == model and version in (None, k[1]) for k in self.served)
            case Label(model, _, version):
                return (model, version) in self.served

    def make(self, change: Change) -> None:
        match change:
            case Load(path):
                self.served |= dict.fromkeys(FOLDERS[path], path)
            case Unload(model, version):
                self.served = {
                    k: path
                    for k, path in self.served.items()
                    if k[0] != model or version not in (None, k[1])
                }
                self.labels = {
                    (of, label): to
                    for (of, label), to in self.labels.items()
                    if (of, to) in self.served
                }
            case Label(model, label, version):
                self.labels[model, label] = version


def _gives(change: Change) -> Keys:
    return FOLDERS[change.path] if isinstance(change, Load) else frozenset()


@given(st.lists(LOADS, max_size=2, unique=True), st.lists(LOADS | UNLOADS | LABELS, max_size=12))
def test_a_worker_that_starts_late_serves_what_the_others_do(
    given_: list[Load], changes: list[Change]
) -> None:
    """Loading the paths that are left, and making the changes that are left, comes to the same as
    having made every change; and no path is loaded of which nothing is served."""
    known, others = catalogue(given_, _gives), World()
    for load in given_:
        others.make(load)
    for change in changes:
        if others.can(change):
            others.make(change)
            known = known.after(change, _gives(change))
    late, start = World(), known.start
    steps: list[Change] = [*(Load(str(path)) for path in start.paths), *start.changes]
    for step in steps:
        assert late.can(step)
        late.make(step)
    assert (
        (late.served, late.labels)
        == (others.served, others.labels)
        == (known.versions, known.labels)
    )
    loaded = {str(path) for path in start.paths} | {
        each.path for each in start.changes if isinstance(each, Load)
    }
    assert all(FOLDERS[path] & set(others.served) for path in loaded)


def test_loading_and_unloading_for_ever_leaves_nothing_behind() -> None:
    """What a replacement has to do does not grow with the server's age."""
    known = catalogue([Load("/base", "base")], lambda load: frozenset({("base", "1")}))
    before = known.start
    for _ in range(50):
        known = known.after(Load("/x"), frozenset({("x", "1")}))
        known = known.after(Label("x", "stable", "1"))
        known = known.after(Unload("x"))
    assert known.start == before == (((Path("/base")),), "base", ())


def test_a_model_of_the_command_line_that_was_replaced_is_not_loaded_from_there() -> None:
    """Its file may be gone."""
    known = catalogue([Load("/old/m.onnx")], lambda load: frozenset({("m", "1")}))
    known = known.after(Load("/new/m.onnx"), frozenset({("m", "1")}))
    assert known.start == ((), None, (Load("/new/m.onnx"),))
    assert known.versions == {("m", "1"): "/new/m.onnx"}


def test_nothing_is_served_of_nothing() -> None:
    """An empty catalogue starts an empty worker."""
    assert Catalogue().start == ((), None, ())


def test_a_reload_sees_what_lies_at_the_paths_now() -> None:
    """New versions are served, and what was said of those that are gone is forgotten; what was
    unloaded stays so."""
    known = catalogue([Load("/m")], lambda load: frozenset({("m", "1"), ("m", "2"), ("m", "3")}))
    known = (
        known.after(Unload("m", "2")).after(Label("m", "old", "1")).after(Label("m", "new", "3"))
    )
    known = known.scanned(lambda load: frozenset({("m", "2"), ("m", "3"), ("m", "4")}))
    assert set(known.versions) == {("m", "3"), ("m", "4")}
    assert known.start.changes == (Unload("m", "2"), Label("m", "new", "3"))
