"""estimators/pickles: models are read from whatever packing; what no model does is not done; and
what cannot be read is told in our words."""

import gzip
import importlib
import logging
import os
import pickle
import re
import subprocess
import sys
import uuid
import zoneinfo
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from inferd.artifact import Artifact
from inferd.errors import BadArtifact, LoadError, MissingPackage, Untrusted
from inferd.estimators.pickles import load_pickle, read_pickle

X = np.arange(40.0).reshape(20, 2)
Y = (X[:, 0] > 20).astype(int)
HERE = sklearn.__version__
OTHER = "0" + HERE[1:]
"""A version of as many letters, to be put in its place in a pickle's bytes."""


def _trusted(path: Path, content: bytes | None = None) -> Artifact:
    if content is not None:
        path.write_bytes(content)
    return Artifact(path, trusted=True)


def _model() -> Any:
    model = make_pipeline(FunctionTransformer(np.log1p), RandomForestClassifier(3)).fit(X, Y)
    model.notes = np.array(["arrays of objects", {"too": 1}], object)
    return model


def _same(loaded: Any, model: Any) -> bool:
    return bool((loaded.predict_proba(X) == model.predict_proba(X)).all())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("suffix", [".pkl", ".joblib"])
def test_every_protocol(tmp_path: Path, protocol: int, suffix: str) -> None:
    """A plain pickle is read, whatever its suffix says."""
    model = _model()
    artifact = _trusted(tmp_path / f"model{suffix}", pickle.dumps(model, protocol))
    assert _same(load_pickle(artifact), model)


@pytest.mark.parametrize("packing", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
@pytest.mark.parametrize("suffix", [".pkl", ".joblib"])
def test_every_packing(tmp_path: Path, packing: Any, suffix: str) -> None:
    """What joblib writes is read, packed or not, whatever its suffix says."""
    model = _model()
    path = tmp_path / f"model{suffix}"
    joblib.dump(model, path, compress=packing)
    assert _same(load_pickle(_trusted(path)), model)


def test_a_packed_plain_pickle(tmp_path: Path) -> None:
    """Gzip around a plain pickle is as good as joblib's."""
    model = _model()
    path = tmp_path / "model.pkl"
    assert _same(load_pickle(_trusted(path, gzip.compress(pickle.dumps(model)))), model)


def test_methods_and_odds_and_ends(tmp_path: Path) -> None:
    """Bound methods, sets, slices and paths stand in models, and are let through."""
    things = [X.sum, {1}, slice(3), range(2), complex(1, 2), Path("x"), np.log, OSError("x"), int]
    artifact = _trusted(tmp_path / "model.pkl", pickle.dumps([*things, LogisticRegression().fit]))
    assert load_pickle(artifact)[0]() == X.sum()


class Calls:
    """Pickled, it is a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class TestAttacks:
    """Nothing that no model does has happened when the error is raised."""

    @pytest.fixture
    def mark(self, tmp_path: Path) -> Iterator[Path]:
        """A file that an attack would create."""
        path = tmp_path / "mark"
        yield path
        assert not path.exists()

    def _refused(self, tmp_path: Path, content: Any, **settings: Any) -> str:
        path = tmp_path / "model.pkl"
        joblib.dump(content, path, **settings)
        with pytest.raises(Untrusted) as caught:
            load_pickle(_trusted(path))
        assert "--trust-pickle" in caught.value.cure
        return caught.value.message

    def test_a_shell(self, tmp_path: Path, mark: Path) -> None:
        """The classic, which is named in the error."""
        message = self._refused(tmp_path, Calls(os.system, f"touch {mark}"))
        assert message.endswith(f"would call {os.system.__module__}.system, which no model does")

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_in_every_protocol(self, tmp_path: Path, mark: Path, protocol: int) -> None:
        """However old the pickle."""
        content = pickle.dumps([1, Calls(eval, f"open({str(mark)!r}, 'w')")], protocol)
        with pytest.raises(Untrusted, match=r"builtins\.eval"):
            load_pickle(_trusted(tmp_path / "model.pkl", content))

    @pytest.mark.parametrize("packing", [0, 3, ("xz", 1)])
    def test_in_an_array_of_objects(self, tmp_path: Path, mark: Path, packing: Any) -> None:
        """Joblib writes a pickle of its own for each, inside the pickle."""
        array = np.array([{}, Calls(os.system, f"touch {mark}")], object)
        assert "system" in self._refused(
            tmp_path, {"numbers": X, "objects": array}, compress=packing
        )

    @pytest.mark.parametrize(
        "call",
        [
            lambda mark: Calls(subprocess.Popen, ["touch", str(mark)]),
            lambda mark: Calls(exec, f"open({str(mark)!r}, 'w')"),
            lambda mark: Calls(open, str(mark), "w"),
            lambda mark: Calls(os.mkdir, str(mark)),
            lambda mark: Calls(importlib.import_module, "this"),
            lambda mark: Calls(pickle.loads, pickle.dumps(Calls(os.mkdir, str(mark)))),
            lambda mark: Calls(joblib.load, str(mark)),
            lambda mark: Calls(np.load, str(mark)),
            lambda mark: Calls(getattr, np.log1p, "__class__"),
            lambda mark: Calls(setattr, X, "flags", 1),
        ],
    )
    def test_calls_that_no_model_makes(
        self, tmp_path: Path, mark: Path, call: Callable[[Path], Any]
    ) -> None:
        """Programs, code, files, modules, and pickles inside of pickles."""
        assert "no model does" in self._refused(tmp_path, call(mark))

    @pytest.mark.parametrize(
        "name", [b"cnumpy\nos.system\n", b"cjoblib\nparallel.os\n", b"cshutil\nrmtree\n"]
    )
    def test_by_way_of_another_module(self, tmp_path: Path, mark: Path, name: bytes) -> None:
        """A dotted name reaches through a harmless module into those that it imports."""
        module, attribute = name[1:-1].split(b"\n")
        found = b"\x80\x04" + b"".join(
            b"\x8c" + bytes([len(part)]) + part for part in (module, attribute)
        )
        content = found + b"\x93\x8c\x04true\x85R."
        with pytest.raises(LoadError):
            load_pickle(_trusted(tmp_path / "model.pkl", content))

    @pytest.mark.parametrize(
        ("module", "name"),
        [
            ("logging.config", "_resolve"),
            ("uuid", "_get_command_stdout"),
            ("typing", "_eval_type"),
            ("typing", "get_type_hints"),
            ("collections", "__builtins__"),
            ("numpy", "log1p.__class__"),
            ("joblib.disk", "delete_folder"),
            ("joblib", "disk.delete_folder"),
            ("joblib._store_backends", "FileSystemStoreBackend.clear_location"),
            ("joblib.numpy_pickle_utils", "BinaryZlibFile"),
            ("pathlib", "Path.write_text"),
            ("pandas", "DataFrame.to_csv"),
            ("pandas", "Series.to_pickle"),
            ("pandas", "read_csv"),
            ("pandas", "test"),
            ("gzip", "open"),
            ("numpy", "save"),
            ("numpy", "ndarray.tofile"),
            ("numpy", "rec.fromfile"),
            ("numpy.lib.format", "open_memmap"),
            ("scipy.io", "savemat"),
            ("scipy.sparse", "save_npz"),
            ("sklearn.datasets", "load_files"),
            ("sklearn.utils._testing", "check_skip_network"),
            ("xgboost", "Booster.save_model"),
            ("inferd.estimators.allowed", "INSTEAD.clear"),
            ("anydbm", "open"),
        ],
    )
    def test_names_of_libraries(self, tmp_path: Path, module: str, name: str) -> None:
        """Files, tests, insides and what evaluates text, of the standard library and others."""
        parts = (module.encode(), name.encode())
        found = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(part)]) + part for part in parts)
        with pytest.raises(Untrusted, match="no model does"):
            load_pickle(_trusted(tmp_path / "model.pkl", found + b"\x93."))

    @pytest.mark.parametrize(
        ("target", "name"),
        [(Path("mark"), "write_text"), (X, "tofile"), (pd.DataFrame(X), "to_csv")],
    )
    def test_methods_that_write(self, tmp_path: Path, target: Any, name: str) -> None:
        """What a pickle holds is no way to them either."""
        assert "no model does" in self._refused(tmp_path, Calls(getattr, target, name))

    def test_nothing_is_imported_to_find_out(self, tmp_path: Path) -> None:
        """A refused name's module is not imported: importing runs code."""
        sys.modules.pop("webbrowser", None)
        with pytest.raises(Untrusted, match=r"webbrowser\.open"):
            load_pickle(_trusted(tmp_path / "model.pkl", b"cwebbrowser\nopen\n(tR."))
        assert "webbrowser" not in sys.modules


ODDS = [
    logging.getLogger("x"),
    re.compile("x"),
    uuid.UUID(int=1),
    zoneinfo.ZoneInfo("UTC"),
    OrderedDict(a=1),
    np.random.RandomState(1),
    np.random.default_rng(1),
    pd.DataFrame({"a": ["x"], "b": [pd.Timestamp(0)]}),
    pd.DataFrame.to_numpy,
    pd.to_datetime,
    joblib.Memory(None),
    b"bytes",
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("thing", ODDS, ids=lambda thing: type(thing).__name__)
def test_private_names_that_models_need(tmp_path: Path, thing: Any, protocol: int) -> None:
    """Loggers, patterns, zones and generators are pickled by them, and are let through."""
    artifact = _trusted(tmp_path / "model.pkl", pickle.dumps(thing, protocol))
    assert type(load_pickle(artifact)) is type(thing)


def test_an_operator_may_let_everything_through(tmp_path: Path) -> None:
    """Whoever knows why a pickle does what no model does can have it read all the same."""
    path, mark = tmp_path / "model.pkl", tmp_path / "mark"
    path.write_bytes(pickle.dumps(Calls(os.mkdir, str(mark))))
    load_pickle(Artifact(path, unchecked=True))
    assert mark.exists()


def test_a_file_that_nobody_vouches_for(tmp_path: Path) -> None:
    """No byte of it is read as a pickle, harmless or not."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(1))
    with pytest.raises(Untrusted, match="--trust-pickle"):
        load_pickle(Artifact(path))


PACKED = {
    "plain": pickle.dumps(LogisticRegression().fit(X, Y)),
    "packed": gzip.compress(pickle.dumps(LogisticRegression().fit(X, Y))),
}


@pytest.mark.parametrize("kind", PACKED)
@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, kind: str, cut: float
) -> None:
    """Anywhere."""
    path = tmp_path_factory.mktemp("cut") / "model.pkl"
    content = PACKED[kind][: int(len(PACKED[kind]) * cut)]
    with pytest.raises(BadArtifact, match="is cut off"):
        load_pickle(_trusted(path, content))


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=60))
def test_a_file_that_is_no_pickle(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Bytes of any kind give an object or a LoadError."""
    path = tmp_path_factory.mktemp("noise") / "model.joblib"
    try:
        load_pickle(_trusted(path, content))
    except LoadError as error:
        assert "\n" not in error.text  # noqa: PT017 - most bytes raise, some are a pickle


class TestVersions:
    """The version that wrote a model is told from the version here."""

    def test_another_version_that_can_be_read(self, tmp_path: Path) -> None:
        """It is read, and both versions are told; the library's own warning is not."""
        content = pickle.dumps(LogisticRegression().fit(X, Y))
        artifact = _trusted(tmp_path / "model.pkl", content.replace(HERE.encode(), OTHER.encode()))
        assert read_pickle(artifact).versions == {"scikit-learn": (OTHER, HERE)}
        assert read_pickle(_trusted(tmp_path / "model.pkl", content)).versions == {}

    @pytest.mark.parametrize("protocol", [0, 2, 4])
    def test_another_version_that_cannot(self, tmp_path: Path, protocol: int) -> None:
        """A class that is not where it was: the error names both versions, and the way out."""
        content = pickle.dumps(RandomForestClassifier(1).fit(X, Y), protocol)
        content = content.replace(b"sklearn.ensemble._forest", b"sklearn.ensemble._ferns_")
        content = content.replace(HERE.encode(), OTHER.encode())
        with pytest.raises(BadArtifact) as caught:
            load_pickle(_trusted(tmp_path / "model.pkl", content))
        told = f"scikit-learn {OTHER} and cannot be read by scikit-learn {HERE}"
        assert told in caught.value.message
        assert f"Install scikit-learn=={OTHER}," in caught.value.cure

    def test_what_is_not_in_this_version(self, tmp_path: Path) -> None:
        """Where no version is told, what is lacking is."""
        with pytest.raises(BadArtifact, match=r"do not have.*Gone.*versions"):
            load_pickle(_trusted(tmp_path / "model.pkl", b"csklearn.base\nGone\n."))


class TestModules:
    """A model may need modules that inferd has never heard of."""

    SOURCE = (
        "from sklearn.base import BaseEstimator, TransformerMixin\n\n\n"
        "class Doubled(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, rows, labels=None):\n"
        "        self.n_features_in_ = rows.shape[1]\n"
        "        return self\n\n"
        "    def transform(self, rows):\n"
        "        return rows * 2\n"
    )

    @pytest.fixture
    def model(self, tmp_path: Path) -> Iterator[Path]:
        """A pickle that needs a module beside it, which is not imported any more."""
        (tmp_path / "own_steps.py").write_text(self.SOURCE)
        sys.path.insert(0, str(tmp_path))
        try:
            importlib.invalidate_caches()
            own = importlib.import_module("own_steps")
            model = make_pipeline(own.Doubled(), LogisticRegression()).fit(X, Y)
            (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
        finally:
            sys.path.remove(str(tmp_path))
        del sys.modules["own_steps"]
        yield tmp_path / "model.pkl"
        sys.modules.pop("own_steps", None)

    def test_the_users_own_module(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is found in the working directory, and the search path is as before."""
        monkeypatch.chdir(model.parent)
        before = list(sys.path)
        assert load_pickle(_trusted(model)).predict(X).shape == (20,)
        assert sys.path == before

    def test_it_is_not_there(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Elsewhere it is named, and where to start is said."""
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path / "empty")
        with pytest.raises(MissingPackage, match=r"needs the module 'own_steps'.*own_steps\.py"):
            load_pickle(_trusted(model))

    def test_it_ends_the_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A script that exits as it is imported is told in a sentence, and ends nothing."""
        (tmp_path / "exiting_script.py").write_text("raise SystemExit(3)\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        artifact = _trusted(tmp_path / "model.pkl", b"cexiting_script\nThing\n.")
        with pytest.raises(BadArtifact, match=r"ends the program \(SystemExit: 3\)"):
            load_pickle(artifact)

    @pytest.mark.parametrize("module", ["xgboost", "lightgbm", "catboost"])
    def test_a_library_that_is_not_installed(
        self, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The pip line for it."""
        monkeypatch.setitem(sys.modules, module, None)
        content = f"c{module}.sklearn\nModel\n.".encode()
        with pytest.raises(MissingPackage, match=rf"pip install 'inferd\[{module}\]'"):
            load_pickle(_trusted(tmp_path / "model.pkl", content))

    def test_a_class_of_the_script_itself(self, tmp_path: Path) -> None:
        """What was in ``__main__`` is nowhere, and the way out is said."""
        artifact = _trusted(tmp_path / "model.pkl", b"c__main__\nThing\n.")
        with pytest.raises(BadArtifact, match=r"'Thing'.*__main__.*module of its own"):
            load_pickle(artifact)
