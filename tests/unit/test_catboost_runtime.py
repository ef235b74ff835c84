"""runtimes/catboost: CatBoost's own files, and that they answer as CatBoost does."""

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
import pytest

from inferd.artifact import Artifact
from inferd.errors import BadArtifact
from inferd.runtimes.base import check_runtime
from inferd.runtimes.catboost import CatboostRuntime

X = np.random.default_rng(3).normal(size=(60, 3)).astype(np.float32)
Y = np.digitize(X[:, 0], [-0.5, 0.5])
QUIET: dict[str, Any] = {
    "iterations": 3,
    "depth": 3,
    "verbose": 0,
    "allow_writing_files": False,
    "thread_count": 1,
}


def _saved(path: Path, model: Any) -> CatboostRuntime:
    model.save_model(str(path))
    assert CatboostRuntime.recognises(Artifact(path))
    return CatboostRuntime.open(Artifact(path))


@pytest.mark.parametrize(
    ("labels", "datatype"),
    [((Y > 0).astype(int), "INT64"), (Y, "INT64"), (np.take(["low", "mid", "top"], Y), "BYTES")],
)
def test_a_classifier(tmp_path: Path, labels: Any, datatype: str) -> None:
    """Label and probabilities are its own, to the bit; classes with names are answered by name."""
    model = catboost.CatBoostClassifier(**QUIET).fit(X, labels)
    runtime = _saved(tmp_path / "a.cbm", model)
    classes = len(set(labels.tolist()))
    assert str(runtime.signature) == (
        f"(X: FP32[?, 3]) -> (label: {datatype}[?], probabilities: FP64[?, {classes}])"
    )
    outputs = runtime.run({"X": X}, ["label", "probabilities"])
    assert (outputs["label"] == model.predict(X).ravel()).all()
    assert (outputs["probabilities"] == model.predict_proba(X)).all()
    assert runtime.parallel
    assert not runtime.holds_gil
    check_runtime(runtime, {"X": X}, 60)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        ("RMSE", "CatBoostRegressor"),
        ("Poisson", "CatBoostRegressor"),
        ("MultiRMSE", "CatBoostRegressor"),
        ("QueryRMSE", "CatBoostRanker"),
        ("YetiRank", "CatBoostRanker"),
    ],
)
def test_what_is_no_classifier_predicts(tmp_path: Path, loss: str, kind: str) -> None:
    """By the class that its loss belongs to."""
    targets = np.c_[Y, -Y] if loss == "MultiRMSE" else Y
    groups = np.repeat([0, 1], 30) if kind == "CatBoostRanker" else None
    model = catboost.CatBoost({**QUIET, "loss_function": loss})
    model.fit(catboost.Pool(X, targets, group_id=groups))
    runtime = _saved(tmp_path / "a.cbm", model)
    assert type(runtime.fitted.model).__name__ == kind
    width = ", 2" if loss == "MultiRMSE" else ""
    assert str(runtime.signature) == f"(X: FP32[?, 3]) -> (prediction: FP64[?{width}])"
    want = runtime.fitted.model.predict(X)
    assert (runtime.run({"X": X}, ["prediction"])["prediction"] == want).all()


def test_names_categories_and_texts(tmp_path: Path) -> None:
    """Categories are strings, numbers among them too: CatBoost keeps only their hashes."""
    table = pd.DataFrame(
        {
            "size": X[:, 1],
            "kind": np.take(["a", "b", "ü"], Y),
            "code": np.take([3, 5, 9], Y),
            "note": np.take(["dear sir", "dear madam", "hello sir"], Y),
        }
    )
    model = catboost.CatBoostClassifier(
        **QUIET, cat_features=["kind", "code"], text_features=["note"]
    ).fit(table, Y)
    runtime = _saved(tmp_path / "a.cbm", model)
    assert str(runtime.signature).startswith(
        "(size: FP32[?, 1], kind: BYTES[?, 1], code: BYTES[?, 1], note: BYTES[?, 1]) ->"
    )
    assert runtime.feature_names() == ("size", "kind", "code", "note")
    inputs = {str(name): table[[name]].astype(str).to_numpy(object) for name in table}
    inputs["size"] = X[:, 1:2]
    outputs = runtime.run(inputs, ["probabilities"])
    assert (outputs["probabilities"] == model.predict_proba(table)).all()


def test_versions_are_told(tmp_path: Path) -> None:
    """The version that wrote a file, and the version here."""
    here = catboost.__version__
    runtime = _saved(tmp_path / "a.cbm", catboost.CatBoostRegressor(**QUIET).fit(X, Y))
    assert runtime.fitted.versions == {"catboost": (here, here)}


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    """Anywhere."""
    path = tmp_path / "a.cbm"
    _saved(path, catboost.CatBoostRegressor(**QUIET).fit(X, Y))
    content = path.read_bytes()
    for length in {0, 1, 4, 5, *range(6, len(content), 997), len(content) - 1}:
        path.write_bytes(content[:length])
        with pytest.raises(BadArtifact):
            CatboostRuntime.open(Artifact(path))
