"""compiling/compiler: what is kept, and what a fault of ours leaves behind."""

import hashlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import inferd
from inferd import plugins
from inferd.artifact import Artifact
from inferd.compiling import compiler, conversion
from inferd.compiling.cache import Cache
from inferd.compiling.compiler import Options, compile_artifact, compile_fitted
from inferd.errors import ConfigError, InvalidInput, MissingPackage
from inferd.estimators.fitted import Fitted
from inferd.verdict import decode

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(200, 3))
LABELS = (ROWS[:, 0] > 0).astype(int)
FOREST = RandomForestClassifier(5, random_state=0).fit(ROWS, LABELS)
LINE = LogisticRegression().fit(ROWS, LABELS)


class Own(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """An estimator of the user's own."""

    def fit(self, rows: Any, labels: Any) -> "Own":
        self.classes_, self.n_features_in_ = np.unique(labels), rows.shape[1]
        return self

    def predict(self, rows: Any) -> Any:
        return (rows[:, 0] > 0).astype(int)


def test_a_forest_is_compiled_exactly_and_carries_its_provenance() -> None:
    """The verdict, the artifact's digest and the versions are in the file."""
    compiled = compile_fitted(Fitted.of(FOREST), Options(), "abc")
    assert str(compiled.verdict) == "exact"
    assert compiled.verdict.nodes_compared > 0
    assert compiled.onnx is not None
    told = {p.key: p.value for p in onnx.ModelProto.FromString(compiled.onnx).metadata_props}
    kept = decode(told["inferd.verdict"])
    assert kept == compiled.verdict
    assert kept is not None
    assert (kept.digest, kept.estimator) == ("abc", "RandomForestClassifier")
    assert kept.versions["scikit-learn"]


def test_a_model_of_ones_own_is_left_to_itself() -> None:
    """Its class is named as the reason."""
    compiled = compile_fitted(Fitted.of(Own().fit(ROWS, LABELS)), Options())
    assert compiled.onnx is None
    assert "Own is not known" in compiled.verdict.reason


def test_a_wrong_conversion_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that is wrong by a hair loses; the reason tells how it was found."""
    other = LogisticRegression().fit(ROWS, LABELS)
    other.intercept_ = other.intercept_ + 1e-7
    wrong = conversion.convert(Fitted.of(other))
    monkeypatch.setattr(compiler, "convert", lambda _: wrong)
    compiled = compile_fitted(Fitted.of(LINE), Options())
    assert compiled.onnx is None
    assert "got another label" in compiled.verdict.reason


def test_a_fault_of_ours_leaves_the_model_to_its_library(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Serving goes on, and the log has what to report."""

    def broken(_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(compiler, "convert", broken)
    compiled = compile_fitted(Fitted.of(LINE), Options())
    assert compiled.verdict.reason == "compiling failed (ZeroDivisionError)"
    assert "please report it" in caplog.text


def test_without_the_packages_to_compile_with_the_library_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reason is the pip line."""

    def missing(package: str, extra: str) -> Any:
        raise MissingPackage(f"no {package}", cure=f"pip install 'inferd[{extra}]'")

    monkeypatch.setattr(plugins, "require", missing)
    compiled = compile_fitted(Fitted.of(LINE), Options())
    assert compiled.verdict.reason == "no onnx. pip install 'inferd[compile]'"


def test_what_was_compiled_before_is_not_opened(tmp_path: Path) -> None:
    """The second time the artifact's runtime is not even asked."""
    path = tmp_path / "model.pkl"
    joblib.dump(FOREST, path)
    artifact = Artifact(path, trusted=True)
    options = Options(Cache(tmp_path / "cache"))
    opener = plugins.load("runtimes", "sklearn")
    first = compile_artifact(artifact, opener, options)
    again = compile_artifact(artifact, None, options)  # type: ignore[arg-type]  # never used
    assert again == first
    assert first.verdict.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    joblib.dump(LINE, path)
    assert compile_artifact(artifact, opener, options).verdict.kind == "agrees"


def test_from_python(tmp_path: Path) -> None:
    """A path or a fitted model; the file answers as the model does; nothing is written of a model
    that is not compiled."""
    joblib.dump(FOREST, tmp_path / "model.pkl")
    for number, model in enumerate([tmp_path / "model.pkl", FOREST]):
        output = tmp_path / f"{number}.onnx"
        assert str(inferd.compile(model, output)) == "exact"
        answer = inferd.load(output).predict(ROWS)
        assert np.array_equal(answer.prediction, FOREST.predict(ROWS))
        assert answer.probability is not None
        assert np.array_equal(answer.probability, FOREST.predict_proba(ROWS))
    own = Own().fit(ROWS, LABELS)
    assert inferd.compile(own, tmp_path / "own.onnx").kind == "native"
    assert not (tmp_path / "own.onnx").exists()
    with pytest.raises(ConfigError, match="cannot write"):
        inferd.compile(FOREST, tmp_path / "no" / "folder.onnx")


def test_a_row_that_the_library_refuses_inside_is_the_callers_fault() -> None:
    """What fails within the compiled graph is told as a value that does not fit, nothing more."""
    model = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression())
    compiled = compile_fitted(Fitted.of(model.fit(np.abs(ROWS), LABELS)), Options())
    assert compiled.onnx is not None
    runtime = compiler.open_compiled(compiled.onnx)
    for value in (-1.0, -2.0):
        with pytest.raises(InvalidInput, match="refuses a value"):
            runtime.run({"X": np.array([[0.5, value, 0.5]])}, ["label"])
    assert runtime.run({"X": np.abs(ROWS[:3])}, ["label"])["label"].shape == (3,)
