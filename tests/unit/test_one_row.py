"""runtimes/onnx/one_row: one row through bound memory gives what any other way gives."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from inferd.artifact import Artifact
from inferd.runtimes.onnx.one_row import MOST_BYTES, OneRow
from inferd.runtimes.onnx.runtime import OnnxRuntime
from inferd.signature import Signature, TensorSpec
from tests.unit import onnx_files
from tests.unit.onnx_files import identity

KINDS = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
}


def _open(path: Path) -> OnnxRuntime:
    return OnnxRuntime.open(Artifact(path))


def _way(runtime: OnnxRuntime) -> OneRow:
    assert runtime._one_row is not None
    return runtime._one_row


@pytest.mark.parametrize("datatype", KINDS)
def test_every_number_comes_back_to_the_bit(tmp_path: Path, datatype: str) -> None:
    """By the bound memory of each datatype, one row after another."""
    runtime = _open(identity(tmp_path / "m.onnx", [None, 3], KINDS[datatype]))
    dtype = TensorSpec("X", datatype, (3,)).type.numpy
    for row in ([0, 1, 1], [1, 0, 1]):
        sent = np.array([row], dtype)
        answer = _way(runtime)({"X": sent}, ("Y",))
        assert answer is not None
        assert answer["Y"].dtype == dtype
        assert answer["Y"].tobytes() == sent.tobytes()


def test_an_answer_is_the_callers_own(models: Path) -> None:
    """The next row does not change it, and a caller who writes into it changes nothing."""
    runtime = _open(models / "iris.onnx")
    first = runtime.run({"X": np.array([[9, 0, 0, 1]], np.float32)}, ["label", "scores"])
    kept = first["scores"].copy()
    first["label"][...] = 77
    second = runtime.run({"X": np.array([[0, 9, 0, 1]], np.float32)}, ["label", "scores"])
    assert np.array_equal(first["scores"], kept)
    assert second["label"].tolist() == [1]


def test_only_what_is_wanted_is_given_in_its_order(models: Path) -> None:
    """Whatever is bound."""
    way = _way(_open(models / "iris.onnx"))
    row = {"X": np.zeros((1, 4), np.float32)}
    for names in (["scores"], ["label"], ["scores", "label"], []):
        answer = way(row, names)
        assert answer is not None
        assert list(answer) == names


def test_rows_in_any_memory_are_read(models: Path) -> None:
    """A view with strides, and one that may not be written to."""
    runtime = _open(models / "iris.onnx")
    wide = np.arange(8, dtype=np.float32).reshape(1, 8)
    wide.flags.writeable = False
    strided = wide[:, ::2]
    whole = runtime.run({"X": np.repeat(strided, 2, axis=0)}, ["scores"])["scores"][:1]
    assert np.array_equal(runtime.run({"X": strided}, ["scores"])["scores"], whole)


@pytest.mark.parametrize("rows", [0, 2, 64])
def test_other_numbers_of_rows_take_the_longer_way(models: Path, rows: int) -> None:
    """And are answered."""
    runtime = _open(models / "iris.onnx")
    sent = {"X": np.zeros((rows, 4), np.float32)}
    assert _way(runtime)(sent, ["label"]) is None
    assert len(runtime.run(sent, ["label"])["label"]) == rows


def test_many_threads_get_their_own_answers(models: Path) -> None:
    """Who finds the memory in use takes the longer way: no row is answered with another's."""
    runtime, wrong = _open(models / "iris.onnx"), []
    rows = np.eye(4, dtype=np.float32)[:3] * 9

    def ask(at: int) -> None:
        for _ in range(500):
            label = runtime.run({"X": rows[at : at + 1]}, ["label"])["label"]
            if label.tolist() != [at]:
                wrong.append((at, label))

    threads = [threading.Thread(target=ask, args=(at % 3,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(_way(runtime)._idle) == 1


def test_a_model_that_does_not_give_what_its_file_says_takes_the_longer_way(
    tmp_path: Path,
) -> None:
    """For good, once that has answered what this one could not."""
    runtime = _open(onnx_files.misdeclared(tmp_path / "m.onnx"))
    sent: dict[str, Any] = {"X": np.ones((1, 4), np.float32)}
    assert runtime._one_row is not None
    assert runtime.run(sent, ["Y"])["Y"].shape == (2, 4)
    assert runtime._one_row is None
    assert runtime.run(sent, ["Y"])["Y"].shape == (2, 4)


def test_a_row_that_fails_fails_as_it_did_and_changes_nothing(tmp_path: Path) -> None:
    """An index out of range is told, and the next row is answered by the same way."""
    runtime = _open(onnx_files.gatherer(tmp_path / "m.onnx"))
    with pytest.raises(Exception, match=r"out of (data )?bounds|indices element"):
        runtime.run({"X": np.array([[9]], np.int64)}, ["Y"])
    way = _way(runtime)
    assert runtime.run({"X": np.array([[1]], np.int64)}, ["Y"])["Y"].tolist() == [[20.0]]
    assert _way(runtime) is way


@pytest.mark.parametrize(
    ("shape", "datatype", "axis"),
    [
        ((-1, -1), "FP32", 0),
        ((-1, 4), "BYTES", 0),
        ((-1, 0), "FP32", 0),
        ((-1, MOST_BYTES), "UINT8", 0),
        ((1, 4), "FP32", None),
    ],
    ids=["free width", "strings", "empty rows", "large rows", "no rows"],
)
def test_signatures_that_it_is_not_for(
    shape: tuple[int, ...], datatype: str, axis: int | None
) -> None:
    """Whose sizes are not known before, or whose rows are large."""
    spec, label = TensorSpec("X", datatype, shape), TensorSpec("Y", "INT64", (-1,))
    assert not OneRow.fits(Signature((spec,), (label,), axis))
