"""runtimes/sklearn: which files it opens, of which library it says they are, and skops files."""

import logging
import pickle
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pytest
import sklearn
import skops.io
import xgboost
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from inferd.artifact import Artifact
from inferd.errors import BadArtifact, UnknownFormat, Untrusted
from inferd.estimators.boosters import LightGBMBoosterClassifier
from inferd.runtimes.base import check_runtime
from inferd.runtimes.sklearn import SklearnRuntime
from inferd.tensors import Array

X = np.random.default_rng(3).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def _open(path: Path, model: Any) -> SklearnRuntime:
    path.write_bytes(pickle.dumps(model))
    return SklearnRuntime.open(Artifact(path, trusted=True))


@pytest.mark.parametrize(
    ("name", "recognised"),
    [
        *((name, True) for name in ("a.pkl", "a.PICKLE", "a.joblib", "a.skops")),
        *((name, False) for name in ("a.onnx", "pkl", "a.pkl.txt", "a.json")),
    ],
)
def test_it_knows_them_by_name(name: str, recognised: bool) -> None:
    """Any case of the suffix; nothing is read."""
    assert SklearnRuntime.recognises(Artifact(Path(name))) is recognised


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    """And tells what it is: one call at a time, in a process of its own."""
    runtime = _open(tmp_path / "a.pkl", RandomForestClassifier(3).fit(X, Y))
    check_runtime(runtime, {"X": X.astype(np.float32)}, 60)
    assert not runtime.parallel
    assert runtime.holds_gil
    assert runtime.compilable
    assert runtime.signature == runtime.fitted.signature


MODELS: dict[str, tuple[Any, str]] = {
    "scikit-learn": (LogisticRegression(), "FP64"),
    "xgboost": (xgboost.XGBClassifier(n_estimators=2), "FP32"),
    "lightgbm": (lightgbm.LGBMClassifier(n_estimators=2, verbose=-1), "FP64"),
    "catboost": (
        catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False),
        "FP32",
    ),
}


@pytest.mark.parametrize("library", MODELS)
def test_the_true_library_is_told(library: str, tmp_path: Path) -> None:
    """A pickle may hold a model of any library; it answers as it does without us."""
    model, datatype = MODELS[library]
    runtime = _open(tmp_path / "a.pkl", model.fit(X, Y))
    assert runtime.fitted.library == library
    assert runtime.signature.inputs[0].datatype == datatype
    inputs = {"X": X.astype(runtime.signature.inputs[0].type.numpy)}
    outputs = runtime.run(inputs, runtime.signature.output_names)
    assert (outputs["label"] == model.predict(inputs["X"])).all()
    assert (outputs["probabilities"] == model.predict_proba(inputs["X"])).all()


def test_a_pipeline_is_scikit_learns(tmp_path: Path) -> None:
    """Whatever it ends in."""
    model = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=2)).fit(X, Y)
    runtime = _open(tmp_path / "a.pkl", model)
    assert runtime.fitted.library == "scikit-learn"
    assert (runtime.run({"X": X}, ["label"])["label"] == model.predict(X)).all()


def test_a_bare_booster_of_xgboost(tmp_path: Path) -> None:
    """It is wrapped by its objective, and answers with all its trees, as it did."""
    rows = X.astype(np.float32)
    data = xgboost.DMatrix(rows, Y)
    booster = xgboost.train({"objective": "binary:logistic"}, data, 3)
    booster.set_attr(best_iteration="0", best_score="1")  # what an early stop leaves behind
    runtime = _open(tmp_path / "a.pkl", booster)
    assert runtime.fitted.library == "xgboost"
    scores = runtime.run({"X": rows}, ["probabilities"])["probabilities"][:, 1]
    assert (scores == booster.predict(data)).all()


def test_a_bare_booster_of_lightgbm(tmp_path: Path) -> None:
    """It is wrapped by its objective."""
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1}, lightgbm.Dataset(X, Y), num_boost_round=3
    )
    runtime = _open(tmp_path / "a.pkl", booster)
    assert isinstance(runtime.fitted.model, LightGBMBoosterClassifier)
    scores = runtime.run({"X": X}, ["probabilities"])["probabilities"][:, 1]
    assert (scores == booster.predict(X)).all()


def test_another_version_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once, in one line, with both versions; and nothing where they are the same."""
    path, here = tmp_path / "a.pkl", sklearn.__version__
    caplog.set_level(logging.WARNING, "inferd")
    _open(path, LogisticRegression().fit(X, Y))
    assert not caplog.records
    path.write_bytes(path.read_bytes().replace(here.encode(), b"0" + here[1:].encode()))
    runtime = SklearnRuntime.open(Artifact(path, trusted=True))
    assert runtime.fitted.versions == {"scikit-learn": ("0" + here[1:], here)}
    (message,) = caplog.messages
    assert f"a.pkl was written by scikit-learn 0{here[1:]} and is read by {here}" in message


def test_what_is_no_model(tmp_path: Path) -> None:
    """A pickle of something else, or of a model that was not fitted."""
    with pytest.raises(UnknownFormat, match="got a dict"):
        _open(tmp_path / "a.pkl", {"model": 1})
    with pytest.raises(BadArtifact, match="not fitted"):
        _open(tmp_path / "a.pkl", LogisticRegression())


class TestSkops:
    """A skops file needs no trust, but for types that are not well known."""

    def _dumped(self, path: Path, model: Any) -> Path:
        skops.io.dump(model, path)
        return path

    def test_well_known_types(self, tmp_path: Path) -> None:
        """Nobody has to trust anything."""
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
        runtime = SklearnRuntime.open(Artifact(self._dumped(tmp_path / "a.skops", model)))
        outputs = runtime.run({"X": X}, ["probabilities"])
        assert (outputs["probabilities"] == model.predict_proba(X)).all()

    def test_other_types(self, tmp_path: Path) -> None:
        """They are listed with the option that names them; named, they are loaded."""
        model = make_pipeline(FunctionTransformer(_shifted), LogisticRegression()).fit(X, Y)
        path = self._dumped(tmp_path / "a.skops", model)
        with pytest.raises(Untrusted) as caught:
            SklearnRuntime.open(Artifact(path, trusted=True))
        types = caught.value.cure.rpartition("--trusted-types ")[2]
        assert types in caught.value.message
        assert types == f"{__name__}._shifted"
        runtime = SklearnRuntime.open(Artifact(path, types=tuple(types.split(","))))
        assert (runtime.run({"X": X}, ["label"])["label"] == model.predict(X)).all()

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps(IsolationForest())])
    def test_what_is_none(self, tmp_path: Path, content: bytes) -> None:
        """It is never read as a pickle instead."""
        path = tmp_path / "a.skops"
        path.write_bytes(content)
        with pytest.raises(BadArtifact, match="skops cannot read"):
            SklearnRuntime.open(Artifact(path, trusted=True))


def _shifted(rows: Array) -> Array:
    return rows + 1
