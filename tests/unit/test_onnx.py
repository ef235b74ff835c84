"""runtimes/onnx: signatures, ZipMap, strings, metadata, and files that are damaged."""

import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inferd.artifact import Artifact
from inferd.errors import BadArtifact, MissingPackage, RunFailed
from inferd.runtimes.base import Runtime, check_outputs
from inferd.runtimes.onnx.runtime import OnnxRuntime
from inferd.signature import Signature, TensorSpec, roles
from inferd.verdict import Verdict, encode
from tests.unit import onnx_files

ROWS = np.array([[9, 0, 0, 1], [0, 0, 7, 1], [0, 5, 0, 1]], np.float32)


def _open(models: Path, name: str) -> OnnxRuntime:
    return OnnxRuntime.open(Artifact(models / f"{name}.onnx"))


def _run(runtime: Runtime, **inputs: Any) -> dict[str, Any]:
    return runtime.run(inputs, runtime.signature.output_names)


@pytest.mark.parametrize(("name", "scores"), [("iris", "scores"), ("maps", "maps")])
def test_a_classifier_gives_labels_and_probabilities(models: Path, name: str, scores: str) -> None:
    """A list of maps from class to score is a matrix, as if the exporter had written one."""
    runtime = _open(models, name)
    assert str(runtime.signature) == f"(X: FP32[?, 4]) -> (label: INT64[?], {scores}: FP32[?, 3])"
    assert runtime.signature.batch_axis == 0
    assert roles(runtime.signature).outputs == ("label", scores)
    outputs = _run(runtime, X=ROWS)
    assert outputs["label"].tolist() == [0, 2, 1]
    assert outputs[scores].shape == (3, 3)
    assert outputs[scores].argmax(axis=1).tolist() == [0, 2, 1]
    check_outputs(runtime.signature, outputs, 3)
    assert list(runtime.run({"X": ROWS}, [scores])) == [scores]


def test_the_maps_are_the_matrix(models: Path) -> None:
    """Both exports of one model answer alike, to the bit."""
    matrix, maps = _run(_open(models, "iris"), X=ROWS), _run(_open(models, "maps"), X=ROWS)
    assert np.array_equal(matrix["scores"], maps["maps"])


@pytest.mark.parametrize("name", ["iris", "maps", "words", "word_maps", "simple", "columns"])
def test_no_rows_are_no_answers(models: Path, name: str) -> None:
    """A request of zero rows fits the signature, and so does its answer."""
    runtime = _open(models, name)
    inputs = {s.name: np.empty([0, *s.shape[1:]], s.type.numpy) for s in runtime.signature.inputs}
    check_outputs(runtime.signature, _run(runtime, **inputs), 0)


@pytest.mark.parametrize("name", ["words", "word_maps"])
def test_labels_may_be_strings(models: Path, name: str) -> None:
    """Classes with names are answered by name."""
    outputs = _run(_open(models, name), X=ROWS)
    assert outputs["label"].tolist() == ["first", "third", "second"]


def test_columns_of_several_kinds(models: Path) -> None:
    """Numbers and strings go in side by side, and strings come out."""
    runtime = _open(models, "columns")
    names = np.array([["Ada"], ["é\u20ac"]], object)
    outputs = _run(runtime, age=np.array([[1.5], [2.0]], np.float32), name=names)
    assert outputs["older"].tolist() == [-1.5, -2.0]
    assert outputs["same"].tolist() == [["Ada"], ["é\u20ac"]]


@pytest.mark.parametrize(
    ("name", "shape", "axis"),
    [
        ("wide", (-1, -1), 0),
        ("image", (-1, 2, 3), 0),
        ("fixed", (1, 4), None),
        ("scalar", (), None),
    ],
)
def test_rows_are_joined_only_where_every_first_dimension_is_free(
    models: Path, name: str, shape: tuple[int, ...], axis: int | None
) -> None:
    """The batch axis is read from the shapes."""
    signature = _open(models, name).signature
    assert signature.inputs[0].shape == signature.outputs[0].shape == shape
    assert signature.batch_axis == axis


class TestMetadata:
    """The exporter's example row and feature names."""

    def test_they_are_shown(self, tmp_path: Path) -> None:
        """One row of the only input, and a name for each column."""
        path = onnx_files.identity(
            tmp_path / "m.onnx", [None, 2], example=[1.5, 2], features=["a", 7]
        )
        runtime = OnnxRuntime.open(Artifact(path))
        assert runtime.example() == {"X": [[1.5, 2]]}
        assert runtime.feature_names() == ("a", "7")

    def test_they_are_spread_over_columns(self, models: Path) -> None:
        """Each of several inputs has one value of the row."""
        assert _open(models, "columns").example() == {"age": [[41.5]], "name": [["Ada"]]}

    def test_a_short_row_leaves_the_rest_out(self, tmp_path: Path) -> None:
        """An input without a value has no example."""
        path = onnx_files.columns(tmp_path / "m.onnx", example=[1])
        assert OnnxRuntime.open(Artifact(path)).example() == {"age": [[1]]}

    @pytest.mark.parametrize("text", ["", "nonsense", '{"a": 1}', "3", "null"])
    def test_damaged_ones_are_as_good_as_none(self, tmp_path: Path, text: str) -> None:
        """A model is served all the same."""
        path = onnx_files.identity(tmp_path / "m.onnx", [None, 2], example=text, features=text)
        runtime = OnnxRuntime.open(Artifact(path))
        assert (runtime.example(), runtime.feature_names()) == ({}, ())

    def test_there_may_be_none(self, models: Path) -> None:
        """Most models have no such property."""
        runtime = _open(models, "iris")
        assert (runtime.example(), runtime.feature_names()) == ({}, ())


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08"])
def test_a_damaged_file_is_a_bad_artifact(tmp_path: Path, content: bytes) -> None:
    """ONNX Runtime's own words are told with the path."""
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(BadArtifact, match=r"ONNX Runtime cannot load .*bad\.onnx"):
        OnnxRuntime.open(Artifact(path))


def test_half_a_model_is_a_bad_artifact(models: Path, tmp_path: Path) -> None:
    """A file that was cut off is told as one."""
    whole = (models / "iris.onnx").read_bytes()
    path = tmp_path / "half.onnx"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadArtifact):
        OnnxRuntime.open(Artifact(path))


def test_a_tensor_that_no_protocol_carries_is_a_bad_artifact(tmp_path: Path) -> None:
    """The type is named, with those that are possible."""
    path = onnx_files.identity(tmp_path / "m.onnx", [None], onnx_files.BFLOAT16)
    with pytest.raises(
        BadArtifact, match=r"'X' has a type .*got tensor\(bfloat16\).*tensor\(float"
    ):
        OnnxRuntime.open(Artifact(path))


def test_a_missing_package_gives_the_pip_line(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without onnxruntime the cure is told."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackage, match=r"pip install 'inferd\[onnx\]'"):
        _open(models, "iris")


@pytest.mark.parametrize(("name", "yes"), [("a.onnx", True), ("A.ONNX", True), ("a.pkl", False)])
def test_the_format_is_told_by_the_name(name: str, yes: bool) -> None:
    """The suffix decides, in any case."""
    assert OnnxRuntime.recognises(Artifact(Path(name))) is yes


SIGNATURE = Signature((), (TensorSpec("Y", "FP32", (-1, 2)),), batch_axis=0)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((2, 2)), r"breaks the signature: got float64\[2, 2\], expected Y: FP32\[\?, 2\]"),
        (np.zeros((2, 3), np.float32), "breaks the signature"),
        (np.zeros((3, 2), np.float32), "wrong number of rows: got 3, expected 2"),
    ],
)
def test_outputs_are_held_against_the_signature(array: Any, text: str) -> None:
    """A runtime that breaks its own promise is found when it is loaded."""

    with pytest.raises(RunFailed, match=text):
        check_outputs(SIGNATURE, {"Y": array}, 2)
    check_outputs(SIGNATURE, {"Y": np.zeros((2, 2), np.float32)}, 2)
    whole = Signature((), SIGNATURE.outputs)
    check_outputs(whole, {"Y": np.zeros((9, 2), np.float32)}, 1)


def test_more_threads_are_another_session_of_the_same_answers(models: Path) -> None:
    """Where the rows are many enough for them."""
    runtime = _open(models, "iris")
    wider = runtime.with_threads(2)
    assert wider
    assert (runtime.threads, wider.threads) == (1, 2)
    rows = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    for name, array in _run(runtime, X=rows).items():
        assert wider.run({"X": rows}, [name])[name].tobytes() == array.tobytes()


def test_a_compiled_model_keeps_its_thread(tmp_path: Path) -> None:
    """What was proved of it was proved so."""
    verdict = encode(Verdict(kind="exact"))
    path = onnx_files.identity(tmp_path / "m.onnx", [None, 2], verdict=verdict)
    assert OnnxRuntime.open(Artifact(path)).with_threads(2) is None


def test_a_closed_model_holds_no_memory(models: Path) -> None:
    """Whoever still holds it: a version that was unloaded is kept in a table."""
    runtime = _open(models, "iris")
    session = weakref.ref(runtime._session)
    runtime.close()
    assert session() is None
