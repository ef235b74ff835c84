"""models/loader, layouts/file and artifact: from a path to a loaded runtime."""

import hashlib
from pathlib import Path

import pytest

from inferd.artifact import Artifact
from inferd.errors import ArtifactNotFound, ConfigError, UnknownFormat
from inferd.models.layouts.file import plugin as layout
from inferd.models.loader import find, open_runtime
from inferd.runtimes.onnx.runtime import OnnxRuntime


def test_a_file_is_version_1_of_a_model_called_like_it(models: Path) -> None:
    """Its stem is the model's name, unless the operator gives one."""
    (spec,) = find([models / "iris.onnx"])
    assert (spec.name, spec.version, spec.artifact.path) == ("iris", "1", models / "iris.onnx")
    assert [s.name for s in find([models / "iris.onnx"], "flowers")] == ["flowers"]
    assert isinstance(open_runtime(spec), OnnxRuntime)


def test_several_paths_are_several_models(models: Path) -> None:
    """They are taken up in the order that they were named."""
    paths = [models / "words.onnx", models / "iris.onnx"]
    assert [spec.name for spec in find(paths)] == ["words", "iris"]


def test_a_missing_path_is_told_with_its_neighbours(tmp_path: Path) -> None:
    """What lies beside it may be what was meant."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ArtifactNotFound, match=r"there is no model at .*iris\.onnx$"):
        find([tmp_path / "iris.onnx"])
    for name in "fbcdea":
        (tmp_path / f"{name}.onnx").touch()
    with pytest.raises(ArtifactNotFound) as caught:
        find([tmp_path / "iris.onnx"])
    assert caught.value.cure == "Beside it: a.onnx, b.onnx, c.onnx, d.onnx, e.onnx."
    with pytest.raises(ArtifactNotFound, match=r"x/iris\.onnx$"):
        find([tmp_path / "x" / "iris.onnx"])


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    """What no layout knows is told as such."""
    with pytest.raises(UnknownFormat, match="expected a model file"):
        find([tmp_path])


def test_a_file_that_no_runtime_knows_is_told_with_those_there_are(tmp_path: Path) -> None:
    """The name is told, and the formats."""
    path = tmp_path / "notes.txt"
    path.touch()
    with pytest.raises(UnknownFormat, match=r"no runtime recognises notes\.txt: expected .*onnx"):
        open_runtime(find([path])[0])


def test_two_models_cannot_have_one_name(tmp_path: Path) -> None:
    """Neither wins."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.onnx").touch()
    with pytest.raises(ConfigError, match=r"two paths give .* called 'm'\. Rename one"):
        find([tmp_path / "a" / "m.onnx", tmp_path / "b" / "m.onnx"])
    with pytest.raises(ConfigError, match="--name names one model: got 2 paths"):
        find([tmp_path / "a" / "m.onnx", tmp_path / "b" / "m.onnx"], "n")


@pytest.mark.parametrize("name", ["a b", "é", "a/b", "..", ".", "x" * 129, "a\n", "%41"])
def test_a_name_that_urls_would_change_is_refused(tmp_path: Path, name: str) -> None:
    """Names stand in URLs, labels and file names unescaped."""
    path = tmp_path / "m.onnx"
    path.touch()
    with pytest.raises(ConfigError, match=r"not a model's name: got .* Give one with --name"):
        layout.scan(path, name)


@pytest.mark.parametrize("name", ["iris", "my-model_v1.2", "x" * 128, "7", "...a"])
def test_ordinary_names_are_taken(tmp_path: Path, name: str) -> None:
    """Letters, digits, dots, dashes and underscores."""
    path = tmp_path / "m.onnx"
    path.touch()
    assert [spec.name for spec in layout.scan(path, name)] == [name]


def test_an_artifact_knows_its_suffix_and_digest(tmp_path: Path) -> None:
    """The digest is that of the whole file."""
    artifact = Artifact(tmp_path / "M.tar.ONNX")
    artifact.path.write_bytes(b"abc")
    assert artifact.suffix == ".onnx"
    assert artifact.digest() == hashlib.sha256(b"abc").hexdigest()


def test_a_path_that_the_system_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    """A name may be too long, a folder closed."""
    with pytest.raises(ArtifactNotFound, match=r"cannot look for a model at .*: File name too"):
        find([tmp_path / ("x" * 300)])
