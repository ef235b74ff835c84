"""runtimes/xgboost: XGBoost's own files, and that they answer as XGBoost does."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st

from inferd.artifact import Artifact
from inferd.errors import BadArtifact
from inferd.estimators.ubjson import is_whole
from inferd.runtimes.base import check_runtime
from inferd.runtimes.xgboost import XgboostRuntime

X = np.random.default_rng(3).normal(size=(60, 3)).astype(np.float32)
Y = np.digitize(X[:, 0], [-0.5, 0.5])
BINARY = (Y > 0).astype(int)


def _saved(path: Path, model: Any) -> XgboostRuntime:
    model.save_model(path)
    assert XgboostRuntime.recognises(Artifact(path))
    return XgboostRuntime.open(Artifact(path))


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
@pytest.mark.parametrize("labels", [BINARY, Y])
def test_a_classifier(tmp_path: Path, suffix: str, labels: Any) -> None:
    """Label and probabilities are its own, to the bit; many calls may run at once."""
    model = xgboost.XGBClassifier(n_estimators=3).fit(X, labels)
    runtime = _saved(tmp_path / f"a{suffix}", model)
    classes = labels.max() + 1
    assert str(runtime.signature) == (
        f"(X: FP32[?, 3]) -> (label: INT64[?], probabilities: FP32[?, {classes}])"
    )
    outputs = runtime.run({"X": X}, ["label", "probabilities"])
    assert (outputs["label"] == model.predict(X)).all()
    assert (outputs["probabilities"] == model.predict_proba(X)).all()
    assert runtime.parallel
    assert not runtime.holds_gil
    check_runtime(runtime, {"X": X}, 60)


@pytest.mark.parametrize(
    ("objective", "kind"),
    [
        ("binary:logistic", "XGBClassifier"),
        ("multi:softprob", "XGBClassifier"),
        ("multi:softmax", "XGBClassifier"),
        ("reg:squarederror", "XGBRegressor"),
        ("count:poisson", "XGBRegressor"),
        ("rank:pairwise", "XGBRanker"),
    ],
)
def test_a_bare_booster_goes_by_its_objective(tmp_path: Path, objective: str, kind: str) -> None:
    """A file without a word of scikit-learn is opened as what its objective makes it."""
    settings = {"objective": objective}
    if objective.startswith("multi:"):
        settings["num_class"] = "3"
    data = xgboost.DMatrix(X, BINARY if objective.startswith("binary") else Y)
    if objective.startswith("rank:"):
        data.set_group([30, 30])
    booster = xgboost.train(settings, data, 2)
    runtime = _saved(tmp_path / "a.ubj", booster)
    assert type(runtime.fitted.model).__name__ == kind
    name = runtime.signature.output_names[-1]
    value = runtime.run({"X": X}, [name])[name]
    want = booster.predict(data)
    if kind == "XGBClassifier" and want.ndim == 1:
        value = value[:, 1] if objective.startswith("binary") else value.argmax(axis=1)
    assert (value == want).all()


@pytest.mark.parametrize("model", [xgboost.XGBRegressor(), xgboost.XGBRFRegressor()])
def test_a_regressor(tmp_path: Path, model: Any) -> None:
    """One prediction a row."""
    model.set_params(n_estimators=3).fit(X, Y)
    runtime = _saved(tmp_path / "a.json", model)
    assert str(runtime.signature) == "(X: FP32[?, 3]) -> (prediction: FP32[?])"
    assert (runtime.run({"X": X}, ["prediction"])["prediction"] == model.predict(X)).all()


def test_names_and_categories(tmp_path: Path) -> None:
    """Strings stay strings; a category that the model has never seen is a missing one."""
    table = pd.DataFrame({"size": X[:, 0], "kind": pd.Categorical(np.take(["a", "bc", "d"], Y))})
    model = xgboost.XGBClassifier(n_estimators=3, enable_categorical=True).fit(table, BINARY)
    runtime = _saved(tmp_path / "a.ubj", model)
    assert runtime.feature_names() == ("size", "kind")
    assert str(runtime.signature).startswith("(size: FP32[?, 1], kind: BYTES[?, 1])")
    inputs = {"size": X[:, :1], "kind": table[["kind"]].to_numpy(object)}
    outputs = runtime.run(inputs, ["probabilities"])
    assert (outputs["probabilities"] == model.predict_proba(table)).all()
    inputs["kind"] = np.full((60, 1), "never seen", object)
    table["kind"] = pd.Categorical([None] * 60, categories=["a", "bc", "d"])
    outputs = runtime.run(inputs, ["probabilities"])
    assert (outputs["probabilities"] == model.predict_proba(table)).all()


def test_names_of_categories_that_xgboost_damages(tmp_path: Path) -> None:
    """Beyond ASCII it does not store what they are, and that is said."""
    table = pd.DataFrame({"kind": pd.Categorical(np.take(["a", "é", "ü"], Y))})
    model = xgboost.XGBClassifier(n_estimators=3, enable_categorical=True).fit(table, BINARY)
    with pytest.raises(BadArtifact, match="not ASCII"):
        _saved(tmp_path / "a.ubj", model)


def test_an_early_stop(tmp_path: Path) -> None:
    """A model that was stopped early answers with its best trees, as scikit-learn's way has it."""
    model = xgboost.XGBRegressor(n_estimators=30, early_stopping_rounds=2)
    model.fit(X, Y, eval_set=[(X[:9], -Y[:9])], verbose=False)
    runtime = _saved(tmp_path / "a.ubj", model)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    assert (runtime.run({"X": X}, ["prediction"])["prediction"] == model.predict(X)).all()


def test_another_json_is_not_xgboosts(tmp_path: Path) -> None:
    """A JSON file is opened only if it looks like a model."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"weights": [1, 2]}))
    assert not XgboostRuntime.recognises(Artifact(path))


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
def test_versions_are_told(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    """The version that wrote a file, and the version here."""
    path = tmp_path / f"a{suffix}"
    here = xgboost.__version__
    runtime = _saved(path, xgboost.XGBRegressor(n_estimators=1).fit(X, Y))
    assert runtime.fitted.versions == {"xgboost": (here, here)}
    parts = [int(part) for part in here.split(".")]
    old, new = {
        ".json": (f'"version":[{parts[0]},'.encode(), b'"version":[1,'),
        ".ubj": (b"version[#L" + (3).to_bytes(8) + b"i" + bytes(parts[:1]),) * 2,
    }[suffix]
    if suffix == ".ubj":
        new = old[:-1] + b"\x01"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    caplog.set_level(logging.WARNING, "inferd")
    wrote = ".".join(["1", *here.split(".")[1:]])
    assert XgboostRuntime.open(Artifact(path)).fitted.versions == {"xgboost": (wrote, here)}
    assert f"written by xgboost {wrote}" in caplog.text


@pytest.mark.parametrize("suffix", [".json", ".ubj"])
def test_a_file_that_is_cut_off(tmp_path: Path, suffix: str) -> None:
    """Anywhere: XGBoost itself would end the process over some of them."""
    path = tmp_path / f"a{suffix}"
    _saved(path, xgboost.XGBRegressor(n_estimators=2, max_depth=2).fit(X, Y))
    content = path.read_bytes()
    for length in {0, 1, 2, *range(3, len(content), 211), len(content) - 1}:
        path.write_bytes(content[:length])
        with pytest.raises(BadArtifact):
            XgboostRuntime.open(Artifact(path))


def test_a_document_of_another_kind(tmp_path: Path) -> None:
    """A whole document that is no model."""
    for name, content in (("a.json", b'{"learner": 1}'), ("a.ubj", b"{L" + bytes(8) + b"Z}")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadArtifact, match="XGBoost cannot load"):
            XgboostRuntime.open(Artifact(tmp_path / name))


@given(st.data())
def test_a_whole_document_is_no_longer_when_cut(data: st.DataObject) -> None:
    """No true beginning of a whole UBJSON document is one, nor is one with anything after it."""
    content = b"{" + b"".join(data.draw(st.lists(st.tuples(KEYS, VALUES).map(b"".join)))) + b"}"
    assert is_whole(content)
    assert not is_whole(content[: data.draw(st.integers(0, len(content) - 1))])
    assert not is_whole(content + b"Z")


@given(st.binary(max_size=40))
def test_noise_is_not_whole(noise: bytes) -> None:
    """Any bytes get an answer, in a time that goes with their number."""
    assert is_whole(b"{" + noise) in (True, False)


def test_depth_is_no_matter() -> None:
    """A document that is nested beyond Python's own depth."""
    key = b"L" + (1).to_bytes(8) + b"k"
    assert is_whole((b"{" + key) * 5000 + b"Z" + b"}" * 5000)


def _text(text: str) -> bytes:
    return b"L" + len(text.encode()).to_bytes(8) + text.encode()


KEYS = st.text(max_size=3).map(_text)
VALUES = st.recursive(
    st.sampled_from([b"Z", b"T", b"i\xff", b"d\0\0\0\0", b"[$d#L" + bytes(7) + b"\x01" + bytes(4)])
    | st.text(max_size=3).map(lambda t: b"S" + _text(t)),
    lambda inner: st.lists(inner, max_size=3).flatmap(
        lambda found: st.sampled_from(
            [
                b"[" + b"".join(found) + b"]",
                b"[#L" + len(found).to_bytes(8) + b"".join(found),
                b"{" + b"".join(_text("k") + each for each in found) + b"}",
            ]
        )
    ),
    max_leaves=6,
)
