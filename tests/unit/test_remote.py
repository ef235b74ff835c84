"""runtimes/remote and server/host: another process answers as this one would, errors and all."""

import gc
import importlib
import os
import pickle
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from inferd import plugins
from inferd.artifact import Artifact
from inferd.errors import (
    BadArtifact,
    Cancelled,
    InvalidInput,
    LoadError,
    MissingPackage,
    RunFailed,
    UnknownFormat,
)
from inferd.runtimes.base import check_runtime
from inferd.runtimes.remote import process
from inferd.runtimes.remote.runtime import RemoteRuntime
from inferd.server.host import Model
from inferd.wire.frames import Frame
from inferd.wire.messages import ModelError, Run
from tests.unit import odd_runtime, python_files
from tests.unit.odd_runtime import ANSWER, LARGE, ODD, PRINT, RAISE, REFUSE, rows

ROWS = np.array([[9, 0, 0, 1], [0, 0, 7, 1], [0, 5, 0, 1]], np.float32)


@pytest.fixture
def start() -> Iterator[Callable[..., RemoteRuntime]]:
    """Starts remote runtimes, and closes them."""
    started: list[RemoteRuntime] = []

    def make(path: Path, runtime: str = "onnx", processes: int = 1) -> RemoteRuntime:
        started.append(RemoteRuntime.start(Artifact(path), runtime, processes))
        return started[-1]

    yield make
    for each in started:
        each.close()


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runtime "odd" is installed."""
    folder = tmp_path_factory.mktemp("odd")
    odd_runtime.install(folder)
    return folder


@pytest.fixture(scope="module")
def odd(odd_folder: Path) -> Iterator[RemoteRuntime]:
    """A model that does as its input says; no test here makes it die."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(odd_folder)
        runtime = RemoteRuntime.start(Artifact(odd_folder / "model.odd"), "odd", 1)
    yield runtime
    runtime.close()


@pytest.mark.parametrize("name", ["iris", "words", "columns", "simple", "text", "scalar"])
def test_the_answers_are_the_runtimes_own(
    models: Path, start: Callable[..., RemoteRuntime], name: str
) -> None:
    """Numbers and strings, of one input or many, are to the bit what this process computes."""
    artifact = Artifact(models / f"{name}.onnx")
    local, remote = plugins.load("runtimes", "onnx").open(artifact), start(artifact.path)
    assert remote.signature == local.signature
    assert (remote.name, remote.example(), remote.feature_names()) == (
        "onnx",
        local.example(),
        local.feature_names(),
    )
    inputs = {
        spec.name: np.full([3 if d < 0 else d for d in spec.shape], "1", spec.type.numpy)
        for spec in local.signature.inputs
    }
    names = local.signature.output_names
    here, there = local.run(inputs, names), remote.run(inputs, names)
    assert list(here) == list(there)
    for name, array in here.items():
        assert (array.dtype, array.shape) == (there[name].dtype, there[name].shape)
        assert array.tolist() == there[name].tolist()


def test_it_keeps_the_contract_of_runtimes(odd_folder: Path, odd: RemoteRuntime) -> None:
    """The check of any runtime passes, and closing leaves no process behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(odd_folder)
        runtime = RemoteRuntime.start(Artifact(odd_folder / "model.odd"), "odd", 1)
    pid = int(runtime.run(rows(ANSWER), ["pid"])["pid"][0])
    check_runtime(runtime, {"X": np.full((5, 2), 100.0)}, 5)
    assert not psutil.pid_exists(pid)


def test_it_is_never_chosen_for_a_file() -> None:
    """The loader alone starts it, beside the runtime of the format."""
    runtime = plugins.load("runtimes", "remote")
    assert runtime is RemoteRuntime
    assert not runtime.recognises(Artifact(Path("model.onnx")))
    with pytest.raises(UnknownFormat):
        runtime.open(Artifact(Path("model.onnx")))


def test_what_the_model_says_of_itself_comes_over(odd: RemoteRuntime) -> None:
    """Name, example (numpy's numbers as plain ones) and columns are the opened runtime's."""
    assert odd.name == "odd"
    assert odd.example() == {"X": [[0.0, 1.5]]}
    assert odd.feature_names() == ("order", "value")
    assert odd.signature == odd_runtime.Odd.signature


def test_it_runs_in_another_process(odd: RemoteRuntime) -> None:
    """And always in the same one, while that lives."""
    pids = {int(odd.run(rows(ANSWER), ["pid"])["pid"][0]) for _ in range(3)}
    assert len(pids) == 1
    assert pids != {os.getpid()}


def test_only_what_is_asked_for_comes_back(odd: RemoteRuntime) -> None:
    """Outputs come in the order of the question, and belong to who asked."""
    outputs = odd.run(rows(ANSWER, 4.0), ["pid", "Y"])
    assert list(outputs) == ["pid", "Y"]
    assert outputs["Y"].tolist() == [[0.0, 8.0]]
    outputs["Y"][:] = 0


def test_large_tensors_go_over(odd: RemoteRuntime) -> None:
    """Megabytes go there and come back, and so does a large answer to a small question."""
    many = np.random.default_rng(0).random((200_000, 2)) + 100
    assert np.array_equal(odd.run({"X": many}, ["Y"])["Y"], many * 2)
    assert odd.run(rows(LARGE), ["Y"])["Y"].shape == (200_000, 2)


def test_an_exception_of_the_model_is_for_the_log(odd: RemoteRuntime) -> None:
    """It is none of ours, and tells where the model raised; the process goes on."""
    with pytest.raises(ModelError, match=r"in _raise(?s:.)*ValueError: a secret of the model"):
        odd.run(rows(RAISE), ["Y"])
    assert odd.run(rows(ANSWER), ["Y"])


def test_an_error_of_ours_is_for_the_caller(odd: RemoteRuntime) -> None:
    """What the runtime refuses is refused in its words."""
    with pytest.raises(InvalidInput, match="got nothing, expected something"):
        odd.run(rows(REFUSE), ["Y"])
    assert odd.run(rows(ANSWER), ["Y"])


def test_an_output_of_no_protocol_is_the_models_fault(odd: RemoteRuntime) -> None:
    """It is told as such, and the process goes on."""
    with pytest.raises(RunFailed, match="no protocol can carry tensor 'Y'"):
        odd.run(rows(ODD), ["Y"])
    with pytest.raises(RunFailed, match="no protocol can carry tensor 'X'"):
        odd.run({"X": np.zeros(1, np.complex64)}, ["Y"])
    assert odd.run(rows(ANSWER), ["Y"])


def test_what_a_model_prints_disturbs_nobody(
    odd: RemoteRuntime, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its words go to standard error of where it was started, and none of them to the server."""
    odd.run(rows(PRINT), ["Y"])
    assert odd.run(rows(ANSWER), ["Y"])
    assert "said" not in capfd.readouterr().out


OWN_CLASS = '''
from sklearn.base import BaseEstimator, ClassifierMixin

class Own(ClassifierMixin, BaseEstimator):
    """Answers by the sign of the second column, but for a first column of 7."""
    def fit(self, X, y):
        self.n_features_in_, self.classes_ = 2, y[:2]
        return self

    def predict(self, X):
        if X[0, 0] == 7:
            raise ValueError("unlucky")
        return self.classes_[(X[:, 1] > 0).astype(int)]
'''


@pytest.mark.formats
def test_a_pickle_of_the_users_own_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this process can import, the model's own can, too, and its errors tell where."""
    (tmp_path / "own_module.py").write_text(OWN_CLASS)
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_module").Own()
    path = tmp_path / "own.pkl"
    path.write_bytes(pickle.dumps(own.fit(np.zeros((2, 2)), np.array(["no", "yes"]))))
    artifact = Artifact(path, trusted=True)
    runtime = RemoteRuntime.start(artifact, "sklearn", 1)
    try:
        answer = runtime.run({"X": np.array([[1.0, -1.0], [1.0, 1.0]])}, ["label"])
        assert answer["label"].tolist() == ["no", "yes"]
        with pytest.raises(ModelError, match=r"own_module\.py(?s:.)*ValueError: unlucky"):
            runtime.run({"X": np.array([[7.0, 1.0]])}, ["label"])
    finally:
        runtime.close()
        sys.modules.pop("own_module")


@pytest.mark.parametrize(
    ("order", "kind", "text"),
    [
        ("damaged", BadArtifact, "cut off: got half of it, expected all. Copy it again."),
        ("lacking", MissingPackage, "the package 'odd' is not installed. Install it."),
        ("raise", BadArtifact, "cannot be loaded: ValueError: a secret of the model"),
        ("kill", LoadError, "was killed by SIGKILL. Is there enough memory?"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_a_load_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, kind: type[LoadError], text: str
) -> None:
    """With the class and the words of the runtime, and no process left."""
    path = odd_runtime.install(tmp_path)
    path.write_text(order)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(psutil.Process().children())
    with pytest.raises(LoadError) as raised:
        RemoteRuntime.start(Artifact(path), "odd", 2)
    assert type(raised.value) is kind
    assert str(raised.value).endswith(text)
    assert set(psutil.Process().children()) <= before


def test_an_unknown_runtime_is_a_load_error(models: Path) -> None:
    """The process that knows no runtime of the name says so."""
    with pytest.raises(BadArtifact, match="no plug-in in runtimes: got 'none such'"):
        RemoteRuntime.start(Artifact(models / "iris.onnx"), "none such", 1)


def test_the_program_imports_only_what_it_needs() -> None:
    """No lanes, no engine, no web framework, and no library of models."""
    code = "import sys, inferd.server.host; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = set(done.stdout.split())
    unwanted = {"asyncio", "fastapi", "httptools", "inferd.engine", "inferd.lanes", "inferd.models"}
    assert "inferd.wire.channel" in loaded
    assert loaded & {*unwanted, "sklearn", "pandas", "onnxruntime"} == set()


COUNTING = {"upto": np.array([3]), "seconds": np.zeros(1)}


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[RemoteRuntime]:
    """A user's model that answers in parts, in one process of its own."""
    artifact = Artifact(python_files.write(tmp_path, python_files.COUNT), trusted=True)
    runtime = RemoteRuntime.start(artifact, "python", 1)
    yield runtime
    runtime.close()


def test_parts_come_over_one_by_one(counting: RemoteRuntime, tmp_path: Path) -> None:
    """Each when it is asked for; the process is free again afterwards."""
    assert counting.streams
    parts = counting.stream(COUNTING, ["number"])
    for number in range(3):
        assert next(parts)["number"].tolist() == [number]
        assert (tmp_path / "begun").read_text() == str(number)
    assert list(parts) == []
    assert (tmp_path / "cleaned").exists()
    assert len(list(counting.stream(COUNTING, ["number"]))) == 3


def test_parts_that_nobody_reads_are_not_made(counting: RemoteRuntime, tmp_path: Path) -> None:
    """The model's generator is closed where it stands, and the process goes on."""
    parts: Any = counting.stream(COUNTING, ["number"])
    next(parts)
    parts.close()
    assert (tmp_path / "cleaned").exists()
    assert (tmp_path / "begun").read_text() == "0"
    assert len(list(counting.stream(COUNTING, ["number"]))) == 3


def test_a_failure_among_parts_ends_them(counting: RemoteRuntime) -> None:
    """It is told as any other, and the process goes on."""
    with pytest.raises(ModelError, match="a secret of the model"):
        list(counting.stream({"upto": np.array([-1]), "seconds": np.zeros(1)}, ["number"]))
    with pytest.raises(RunFailed, match="left out an output: got 'number', expected 'other'"):
        list(counting.stream(COUNTING, ["other"]))
    assert len(list(counting.stream(COUNTING, ["number"]))) == 3


def test_what_nobody_waits_for_is_left(counting: RemoteRuntime, tmp_path: Path) -> None:
    """A loop of an hour is interrupted at the line where it is; the model cleans up, and its
    process answers the next request."""
    begun = tmp_path / "begun"
    runner = counting.while_wanted(lambda: not begun.exists())
    started = time.monotonic()
    with pytest.raises(Cancelled):
        next(runner.stream({"upto": np.array([1]), "seconds": np.full(1, 3600.0)}, ["number"]))
    assert time.monotonic() - started < 10
    assert (tmp_path / "cleaned").exists()
    pids = {each.pid for each in psutil.Process().children()}
    assert len(list(counting.stream(COUNTING, ["number"]))) == 3
    assert {each.pid for each in psutil.Process().children()} == pids


def test_what_is_wanted_is_answered(counting: RemoteRuntime, odd: RemoteRuntime) -> None:
    """Looking whether anybody waits disturbs nothing; some models are never interrupted."""
    asked = []

    def wanted() -> bool:
        asked.append(True)
        return True

    slow = {"upto": np.array([1]), "seconds": np.full(1, 0.3)}
    (part,) = counting.while_wanted(wanted).stream(slow, ["number"])
    assert part["number"].tolist() == [0]
    assert asked
    assert odd.while_wanted(lambda: False).run(rows(ANSWER), ["Y"])


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[[str], RemoteRuntime]]:
    """Starts a user's class in a process of its own."""
    started: list[RemoteRuntime] = []

    def make(code: str) -> RemoteRuntime:
        artifact = Artifact(python_files.write(tmp_path, code), trusted=True)
        started.append(RemoteRuntime.start(artifact, "python", 1))
        return started[-1]

    yield make
    for each in started:
        each.close()


X = {"x": np.array([[1, 2]], np.float32)}
FORKS = """
import os

class Forks:
    signature = DOUBLING

    def predict(self, inputs):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return {"y": inputs["x"] * (2 if child else 3)}
"""
STARTS = """
import os
import signal
import subprocess
import time

class Starts:
    signature = DOUBLING

    def predict(self, inputs):
        with subprocess.Popen(["sleep", "60"]) as process:
            process.terminate()
            process.wait(5)
        begun, begins = os.pipe()
        child = os.fork()
        if not child:
            os.write(begins, b"!")
            time.sleep(60)
            os._exit(1)
        os.read(begun, 1)
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        return {"y": inputs["x"] * 2}
"""
DEAF = """
import pathlib
import time

class Deaf:
    signature = DOUBLING

    def predict(self, inputs):
        while inputs["x"][0, 0] < 0:
            try:
                (pathlib.Path(__file__).parent / "begun").touch()
                time.sleep(60)
            except BaseException:
                continue
        return {"y": inputs["x"] * 2}
"""


def test_a_process_that_the_model_forks_answers_nobody(own: Callable[[str], RemoteRuntime]) -> None:
    """Though it comes back from ``predict``, too: each question has the model's own answer."""
    runtime = own(FORKS)
    for _ in range(2):
        assert runtime.run(X, ["y"])["y"].tolist() == [[2, 4]]


def test_what_the_model_starts_ends_as_it_says(own: Callable[[str], RemoteRuntime]) -> None:
    """Its own processes heed the signals that it does not."""
    started = time.monotonic()
    assert own(STARTS).run(X, ["y"])["y"].tolist() == [[2, 4]]
    assert time.monotonic() - started < 30


def test_a_model_that_never_leaves_its_call_is_killed(
    own: Callable[[str], RemoteRuntime], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that catches all, or is in a library's own code for ever: another process answers."""
    monkeypatch.setattr(process, "HEEDED", 0.2)
    runtime = own(DEAF)
    runner = runtime.while_wanted(lambda: not (tmp_path / "begun").exists())
    with pytest.raises(RunFailed, match="ended while it had this request"):
        runner.run({"x": -X["x"]}, ["y"])
    assert runtime.run(X, ["y"])["y"].tolist() == [[2, 4]]


def test_what_a_model_prints_is_read_at_once(
    own: Callable[[str], RemoteRuntime],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not when its process ends."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    runtime = own(python_files.DOUBLE.replace("return", "print('it said this'); return"))
    runtime.run(X, ["y"])
    assert "it said this\n" in capfd.readouterr().err


def test_a_failure_keeps_nothing_of_its_request() -> None:
    """What may be hundreds of megabytes is free before the next request comes."""
    frame = Frame(Run(("Y",)), rows(RAISE))
    kept, model = weakref.ref(frame.tensors["X"]), Model(odd_runtime.Odd())
    gc.disable()
    try:
        model.answer(frame)
        del frame
        assert kept() is None
    finally:
        gc.enable()
