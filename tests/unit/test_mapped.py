"""runtimes/onnx/mapped and weights: large models are copied once, to be mapped by all workers, and
answer the same to the bit."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from inferd.artifact import Artifact
from inferd.pipeline import shared_folder
from inferd.runtimes.onnx import mapped as module
from inferd.runtimes.onnx import session
from inferd.runtimes.onnx.mapped import MODEL, UNUSED, mapped
from inferd.runtimes.onnx.runtime import OnnxRuntime
from inferd.runtimes.onnx.weights import weight_files
from tests.unit.onnx_files import identity

WIDE = 512


@pytest.fixture(autouse=True)
def _small_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte is enough to see what happens to many."""
    monkeypatch.setattr(module, "WORTH", 1 << 20)


def _model(path: Path, *, external: bool = False, seed: int = 0) -> Path:
    """Two layers, and metadata."""
    numbers = np.random.default_rng(seed)
    weights = [
        numpy_helper.from_array(numbers.standard_normal(shape).astype(np.float32), name)
        for name, shape in (("A", (4, WIDE)), ("B", (WIDE, WIDE)))
    ]
    nodes = [
        helper.make_node("MatMul", ["X", "A"], ["H"]),
        helper.make_node("MatMul", ["H", "B"], ["Y"]),
    ]
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n", 4])]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["n", WIDE])]
    graph = helper.make_graph(nodes, "wide", inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"inferd.features": '["a", "b", "c", "d"]'})
    onnx.save(made, path, save_as_external_data=external, location="weights.bin")
    return path


@pytest.fixture(params=[False, True], ids=["within", "beside"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model with its weights within its file, or beside it."""
    return _model(tmp_path / "m.onnx", external=request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where copies are kept; none is left half done."""
    made = tmp_path / "cache" / "mapped"
    yield made
    if made.exists():
        assert all((each / MODEL).exists() or not [*each.iterdir()] for each in made.iterdir())


def _run(runtime: OnnxRuntime, rows: int) -> bytes:
    numbers = np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32)
    return runtime.run({"X": numbers}, ["Y"])["Y"].tobytes()


def test_a_copy_answers_the_same_to_the_bit(path: Path, folder: Path) -> None:
    """For few rows and many; and it tells the same of itself."""
    plain = OnnxRuntime.open(Artifact(path))
    shared = OnnxRuntime.open(Artifact(path, shared=folder))
    assert len(list(folder.iterdir())) == 1
    assert str(shared.signature) == str(plain.signature)
    assert shared.feature_names() == plain.feature_names() == ("a", "b", "c", "d")
    for rows in (1, 2, 3, 16, 64):
        assert _run(shared, rows) == _run(plain, rows)


def test_the_weights_are_mapped(path: Path, folder: Path) -> None:
    """Those that the kernels read are pages of the copy's file."""
    runtime = OnnxRuntime.open(Artifact(path, shared=folder))
    (copy,) = folder.iterdir()
    assert _run(runtime, 1)
    mappings = Path("/proc/self/maps").read_text().splitlines()
    assert any(line.endswith(str(copy / "model.data")) for line in mappings)


def test_a_copy_is_made_once(path: Path, folder: Path) -> None:
    """Whoever comes later finds it, also for more threads."""
    first = OnnxRuntime.open(Artifact(path, shared=folder))
    (copy,) = folder.iterdir()
    before = (copy / MODEL).stat().st_mtime_ns
    OnnxRuntime.open(Artifact(path, shared=folder))
    assert first.with_threads(2)
    assert list(folder.iterdir()) == [copy]
    assert (copy / MODEL).stat().st_mtime_ns == before


@pytest.mark.parametrize("external", [False, True])
def test_a_changed_model_is_copied_anew(tmp_path: Path, folder: Path, external: bool) -> None:
    """Also where only the file of its weights changed."""
    path = _model(tmp_path / "m.onnx", external=external)
    before = _run(OnnxRuntime.open(Artifact(path, shared=folder)), 3)
    changed = tmp_path / "other" / "m.onnx"
    changed.parent.mkdir()
    _model(changed, external=external, seed=1)
    name = "weights.bin" if external else "m.onnx"
    (changed.parent / name).replace(tmp_path / name)
    after = _run(OnnxRuntime.open(Artifact(path, shared=folder)), 3)
    assert after == _run(OnnxRuntime.open(Artifact(path)), 3) != before


def _never(target: Path) -> None:
    raise AssertionError("nobody should have asked for a copy")


def test_a_small_model_is_not_copied(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written for it."""
    monkeypatch.setattr(module, "WORTH", 1 << 30)
    assert mapped(path, folder, "1", _never) == path
    assert not folder.exists()


def test_a_folder_that_others_may_write_to_is_not_used(path: Path, folder: Path) -> None:
    """They could put another model there."""
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    folder.chmod(0o755)
    assert mapped(path, folder, "1", _never) == path


def test_a_disk_without_room_costs_nothing_but_memory(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is opened as it is."""
    monkeypatch.setattr(module, "ROOM", 1 << 40)
    assert mapped(path, folder, "1", _never) == path


def test_a_copy_that_fails_leaves_nothing_behind_and_is_not_tried_again(
    path: Path, folder: Path
) -> None:
    """The model is opened as it is, now and at the next start."""

    def write(target: Path) -> None:
        target.write_text("half")
        raise ValueError("its copy gives another answer")

    assert mapped(path, folder, "1", write) == path
    (entry,) = folder.iterdir()
    assert list(entry.iterdir()) == []
    assert mapped(path, folder, "1", _never) == path


def test_a_model_without_weights_to_map_is_not_copied(
    path: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a forest, whose numbers are no tensors."""
    monkeypatch.setattr(module, "WORTH", 1)
    plain = identity(tmp_path / "plain.onnx", [None, 3])
    runtime = OnnxRuntime.open(Artifact(plain, shared=folder))
    assert runtime.run({"X": np.ones((1, 3), np.float32)}, ["Y"])["Y"].tolist() == [[1, 1, 1]]
    (entry,) = folder.iterdir()
    assert list(entry.iterdir()) == []


@pytest.mark.parametrize("name", ["maps", "words", "columns", "text", "table", "image", "scalar"])
def test_every_kind_of_model_is_opened_all_the_same(
    models: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Of texts, of maps, of whole numbers, of no rows: with a copy or without one."""
    monkeypatch.setattr(module, "WORTH", 1)
    path = models / f"{name}.onnx"
    plain, shared = (
        OnnxRuntime.open(Artifact(path)),
        OnnxRuntime.open(Artifact(path, shared=folder)),
    )
    assert str(shared.signature) == str(plain.signature)
    assert len(list(folder.iterdir())) == 1


def test_a_copy_that_answers_otherwise_is_not_used(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answers are held against the model's."""
    answers = iter(range(2))
    monkeypatch.setattr(session, "_bits", lambda _: next(answers))
    _run(OnnxRuntime.open(Artifact(path, shared=folder)), 1)
    (entry,) = folder.iterdir()
    assert list(entry.iterdir()) == []


def test_who_is_slower_takes_the_copy_of_who_was_quicker(path: Path, folder: Path) -> None:
    """Two workers may write at once."""

    def slower(target: Path) -> None:
        target.write_text("slower")
        assert mapped(path, folder, "1", _quicker).read_text() == "quicker"

    assert mapped(path, folder, "1", slower).read_text() == "quicker"
    assert len(list(folder.iterdir())) == 1


def _quicker(target: Path) -> None:
    target.write_text("quicker")


def test_copies_that_nobody_opens_any_more_are_removed(path: Path, folder: Path) -> None:
    """When another one is made, after a month."""
    for name, age in (("old", UNUSED + 60), ("young", UNUSED - 3600)):
        (folder / name).mkdir(mode=0o700, parents=True)
        (folder / name / MODEL).write_text("")
        os.utime(folder / name, (time.time() - age,) * 2)
    folder.chmod(0o700)
    folder.parent.chmod(0o700)
    copy = mapped(path, folder, "1", _quicker)
    assert {each.name for each in folder.iterdir()} == {"young", copy.parent.name}


def test_every_file_of_the_weights_is_found(tmp_path: Path) -> None:
    """In a graph within a graph, and in a constant, too."""
    inner = helper.make_graph([], "inner", [], [], [_external("W", "inner/w.bin")])
    nodes = [
        helper.make_node("If", ["C"], ["Y"], then_branch=inner, else_branch=inner),
        helper.make_node("Constant", [], ["K"], value=_external("K", "k.bin")),
    ]
    graph = helper.make_graph(nodes, "outer", [], [], [_external("V", "v.bin")])
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    names = ["inner/w.bin", "k.bin", "v.bin"]
    assert weight_files(path) == [path, *(tmp_path / name for name in names)]


def _external(name: str, location: str) -> TensorProto:
    tensor = TensorProto(name=name, dims=[1], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value="0")
    return tensor


@given(st.binary(min_size=1, max_size=200))
def test_a_damaged_file_names_nothing_and_breaks_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whoever opens it says what is wrong with it."""
    path = tmp_path_factory.mktemp("damaged") / "m.onnx"
    path.write_bytes(content)
    assert weight_files(path)[0] == path


def test_copies_lie_in_the_cache_and_nowhere_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the setting says."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert shared_folder("") == Path("/c/inferd/compiled/mapped")
    assert shared_folder("/x") == Path("/x/mapped")
    assert shared_folder("none") is None


@pytest.mark.parametrize("name", [MODEL, "model.data"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_damaged_copy_is_made_anew(path: Path, folder: Path, name: str, kept: float) -> None:
    """As a disk that was full, or a machine that lost its power, leaves one."""
    plain = OnnxRuntime.open(Artifact(path))
    OnnxRuntime.open(Artifact(path, shared=folder))
    (copy,) = folder.iterdir()
    os.truncate(copy / name, int((copy / name).stat().st_size * kept))
    assert _run(OnnxRuntime.open(Artifact(path, shared=folder)), 3) == _run(plain, 3)
    assert list(folder.iterdir()) == []
    assert _run(OnnxRuntime.open(Artifact(path, shared=folder)), 3) == _run(plain, 3)
    assert [*folder.iterdir()] == [copy]


def test_a_model_whose_file_keeps_its_size_and_time_is_copied_anew(
    tmp_path: Path, folder: Path
) -> None:
    """As where tools set all times to the same."""
    path = _model(tmp_path / "m.onnx")
    before, status = _run(OnnxRuntime.open(Artifact(path, shared=folder)), 3), path.stat()
    _model(path, seed=1)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    after = _run(OnnxRuntime.open(Artifact(path, shared=folder)), 3)
    assert after == _run(OnnxRuntime.open(Artifact(path)), 3) != before


def test_a_copy_on_a_disk_that_is_only_read_is_used(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be noted there."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    copy = mapped(path, folder, "1", _quicker)
    monkeypatch.setattr(os, "utime", refuse)
    assert mapped(path, folder, "1", _never) == copy != path


def test_what_somebody_left_half_made_is_removed(path: Path, folder: Path) -> None:
    """He was killed; another may be at work still."""
    folder.mkdir(mode=0o700, parents=True)
    folder.parent.chmod(0o700)
    for name, age in (("half-old", 3660.0), ("half-young", 60.0)):
        (folder / name).mkdir(mode=0o700)
        os.utime(folder / name, (time.time() - age,) * 2)
    copy = mapped(path, folder, "1", _quicker)
    assert {each.name for each in folder.iterdir()} == {"half-young", copy.parent.name}


def test_a_folder_in_one_that_others_may_write_to_is_not_used(path: Path, folder: Path) -> None:
    """They could put a folder of their own in its place."""
    folder.mkdir(mode=0o700, parents=True)
    folder.parent.chmod(0o777)
    assert mapped(path, folder, "1", _never) == path


@pytest.mark.parametrize("which", ["folder", "parent"])
def test_a_link_is_no_private_folder(path: Path, folder: Path, tmp_path: Path, which: str) -> None:
    """Whoever made it may let it lead elsewhere."""
    link = folder if which == "folder" else folder.parent
    (tmp_path / "elsewhere" / "mapped").mkdir(mode=0o700, parents=True)
    (tmp_path / "elsewhere").chmod(0o700)
    link.parent.mkdir(mode=0o700, exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")
    assert mapped(path, folder, "1", _never) == path
