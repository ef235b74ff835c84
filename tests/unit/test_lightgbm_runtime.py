"""runtimes/lightgbm: LightGBM's text files, and that they answer as LightGBM does."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from inferd.artifact import Artifact
from inferd.errors import BadArtifact
from inferd.estimators.boosters import LightGBMBooster, LightGBMBoosterClassifier
from inferd.runtimes.base import check_runtime
from inferd.runtimes.lightgbm import LightgbmRuntime

X = np.random.default_rng(3).normal(size=(90, 3))
Y = np.digitize(X[:, 0], [-0.5, 0.5])
QUIET: dict[str, Any] = {"n_estimators": 3, "verbose": -1, "min_child_samples": 5}


def _saved(path: Path, booster: Any) -> LightgbmRuntime:
    booster.save_model(path)
    assert LightgbmRuntime.recognises(Artifact(path))
    return LightgbmRuntime.open(Artifact(path))


@pytest.mark.parametrize("labels", [(Y > 0).astype(int), Y])
def test_a_classifier(tmp_path: Path, labels: Any) -> None:
    """The class's number, and probabilities as the classifier itself has them, to the bit."""
    model = lightgbm.LGBMClassifier(**QUIET).fit(X, labels)
    runtime = _saved(tmp_path / "a.txt", model.booster_)
    assert str(runtime.signature) == (
        f"(X: FP64[?, 3]) -> (label: INT64[?], probabilities: FP64[?, {labels.max() + 1}])"
    )
    assert isinstance(runtime.fitted.model, LightGBMBoosterClassifier)
    outputs = runtime.run({"X": X}, ["label", "probabilities"])
    assert (outputs["label"] == model.predict(X)).all()
    assert (outputs["probabilities"] == model.predict_proba(X)).all()
    assert runtime.parallel
    assert not runtime.holds_gil
    check_runtime(runtime, {"X": X}, 90)


def test_names_of_classes_are_not_in_the_file(tmp_path: Path) -> None:
    """A label is the number that the class had in ``classes_``."""
    model = lightgbm.LGBMClassifier(**QUIET).fit(X, np.take(["low", "mid", "top"], Y))
    runtime = _saved(tmp_path / "a.txt", model.booster_)
    labels = runtime.run({"X": X}, ["label"])["label"]
    assert (model.classes_[labels] == model.predict(X)).all()


@pytest.mark.parametrize("objective", ["regression", "poisson", "lambdarank", "cross_entropy"])
def test_what_is_no_classifier_predicts(tmp_path: Path, objective: str) -> None:
    """As the booster does."""
    data = lightgbm.Dataset(X, Y / 2 if objective == "cross_entropy" else Y, group=[45, 45])
    settings = {"objective": objective, "verbose": -1}
    booster = lightgbm.train(settings, data, num_boost_round=3)
    runtime = _saved(tmp_path / "a.txt", booster)
    assert str(runtime.signature) == "(X: FP64[?, 3]) -> (prediction: FP64[?])"
    assert type(runtime.fitted.model) is LightGBMBooster
    assert (runtime.run({"X": X}, ["prediction"])["prediction"] == booster.predict(X)).all()


def test_an_objective_of_ones_own(tmp_path: Path) -> None:
    """A booster without an objective gives raw scores."""

    def squared(scores: Any, data: Any) -> Any:
        return scores - data.get_label(), np.ones(len(scores))

    booster = lightgbm.train(
        {"objective": squared, "verbose": -1}, lightgbm.Dataset(X, Y), num_boost_round=3
    )
    runtime = _saved(tmp_path / "a.txt", booster)
    assert (runtime.run({"X": X}, ["prediction"])["prediction"] == booster.predict(X)).all()


def test_names_and_categories(tmp_path: Path) -> None:
    """Strings stay strings; numbers that are categories stay numbers; the unknown is missing."""
    table = pd.DataFrame(
        {
            "size": X[:, 1],
            "kind": pd.Categorical(np.take(["a", "b", "ü"], Y)),
            "code": pd.Categorical(np.take([3, 5, 9], Y)),
        }
    )
    booster = lightgbm.LGBMRegressor(**QUIET, min_data_per_group=5).fit(table, Y).booster_
    runtime = _saved(tmp_path / "a.txt", booster)
    assert str(runtime.signature) == (
        "(size: FP64[?, 1], kind: BYTES[?, 1], code: FP64[?, 1]) -> (prediction: FP64[?])"
    )
    assert runtime.feature_names() == ("size", "kind", "code")
    inputs = {
        "size": X[:, 1:2],
        "kind": table[["kind"]].to_numpy(object),
        "code": table[["code"]].to_numpy(float),
    }
    value = runtime.run(inputs, ["prediction"])["prediction"]
    assert (value == booster.predict(table)).all()
    inputs["kind"] = np.full((90, 1), "never seen", object)
    table["kind"] = pd.Categorical(["never seen"] * 90)
    value = runtime.run(inputs, ["prediction"])["prediction"]
    assert (value == booster.predict(table)).all()


def test_ordered_categories_are_refused(tmp_path: Path) -> None:
    """Which columns they are is not in the file, so that it could only be guessed."""
    table = pd.DataFrame(
        {"size": X[:, 1], "kind": pd.Categorical(np.take(["a", "b", "c"], Y), ordered=True)}
    )
    booster = lightgbm.LGBMRegressor(**QUIET).fit(table, Y).booster_
    with pytest.raises(BadArtifact, match="ordered categories"):
        _saved(tmp_path / "a.txt", booster)


def test_another_text_is_not_lightgbms(tmp_path: Path) -> None:
    """A text is opened only if it begins as a model does."""
    (tmp_path / "a.txt").write_text("trees of Paris\n")
    assert not LightgbmRuntime.recognises(Artifact(tmp_path / "a.txt"))


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    """Anywhere: LightGBM itself would end the process over some of them."""
    path = tmp_path / "a.txt"
    _saved(path, lightgbm.LGBMRegressor(**QUIET).fit(X, Y).booster_)
    content = path.read_bytes()
    for length in {0, 1, 5, *range(6, len(content), 499), len(content) - 30, len(content) - 3}:
        path.write_bytes(content[:length])
        with pytest.raises(BadArtifact):
            LightgbmRuntime.open(Artifact(path))
