"""Models that the contracts are checked with."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.unit import onnx_files

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(60, 3))
Y = np.digitize(X[:, 0], [-0.5, 0.5])
WORDS = np.take(["low", "mid", "top"], Y)

ONNX: dict[str, Callable[[Path], Any]] = {
    "classifier": onnx_files.classifier,
    "maps": lambda path: onnx_files.classifier(path, zipmap=True),
    "words": lambda path: onnx_files.classifier(path, names=["a", "b", "c"]),
    "columns": onnx_files.columns,
    "two inputs": onnx_files.adder,
    "text": lambda path: onnx_files.identity(path, [None, 2], onnx_files.STRING),
    "fixed": lambda path: onnx_files.identity(path, [1, 4]),
    "scalar": lambda path: onnx_files.identity(path, []),
}


def _pickled(model: Any) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(pickle.dumps(model()))


def _mixed() -> Any:
    rows = np.c_[X.astype(object), WORDS]
    columns = ColumnTransformer([("n", StandardScaler(), [0]), ("w", OneHotEncoder(), [3])])
    return make_pipeline(columns, LogisticRegression()).fit(rows, Y)


SKLEARN: dict[str, Callable[[Path], Any]] = {
    "classifier": _pickled(lambda: RandomForestClassifier(3).fit(X, Y)),
    "words": _pickled(lambda: LogisticRegression().fit(X, WORDS)),
    "regressor": _pickled(lambda: LinearRegression().fit(X, np.c_[Y, Y])),
    "outliers": _pickled(lambda: IsolationForest(n_estimators=3).fit(X)),
    "columns": _pickled(_mixed),
    "text": _pickled(lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(WORDS, Y)),
}


def _xgboost(model: Any) -> Callable[[Path], Any]:
    return lambda path: model.set_params(n_estimators=2).fit(X, Y).save_model(path)


XGBOOST: dict[str, Callable[[Path], Any]] = {
    "classifier": _xgboost(xgboost.XGBClassifier()),
    "regressor": _xgboost(xgboost.XGBRegressor()),
}


def _lightgbm(model: Any) -> Callable[[Path], Any]:
    model.set_params(n_estimators=2, verbose=-1)
    return lambda path: model.fit(X, Y).booster_.save_model(path)


LIGHTGBM: dict[str, Callable[[Path], Any]] = {
    "classifier": _lightgbm(lightgbm.LGBMClassifier()),
    "regressor": _lightgbm(lightgbm.LGBMRegressor()),
}


def _catboost(model: Any, labels: Any) -> Callable[[Path], Any]:
    model.set_params(iterations=2, verbose=0, allow_writing_files=False)
    return lambda path: model.fit(X, labels).save_model(str(path))


CATBOOST: dict[str, Callable[[Path], Any]] = {
    "classifier": _catboost(catboost.CatBoostClassifier(), Y),
    "words": _catboost(catboost.CatBoostClassifier(), WORDS),
    "regressor": _catboost(catboost.CatBoostRegressor(), Y),
}

PYTHON_CLASSIFIER = '''
"""A model in Python: which of two columns is the larger, and how sure that is."""
import numpy as np
from inferd import Signature, TensorSpec

class Larger:
    signature = Signature(
        [TensorSpec("X", "FP32", (-1, 2))],
        [TensorSpec("label", "INT64", (-1,)), TensorSpec("probability", "FP32", (-1, 2))],
        batch_axis=0,
    )

    def predict(self, inputs):
        X = inputs["X"]
        X -= X.max(axis=1, keepdims=True)
        scores = np.exp(X)
        return {
            "probability": scores / scores.sum(axis=1, keepdims=True),
            "label": scores.argmax(axis=1),
            "beyond": "what nobody asks for",
        }
'''.lstrip()
PYTHON_WORDS = """
from inferd import Signature, TensorSpec

class Shout:
    signature = Signature(
        [TensorSpec("word", "BYTES", (1,))], [TensorSpec("loud", "BYTES", (1,))]
    )
    example = {"word": ["hush"]}

    def predict(self, inputs):
        return {"loud": [inputs["word"][0].upper()]}
"""
PYTHON_PARTS = """
from inferd import Signature, TensorSpec

class Twice:
    signature = Signature([TensorSpec("x", "INT64", (2,))], [TensorSpec("y", "INT64", (1,))])

    def predict(self, inputs):
        for at in range(2):
            yield {"y": inputs["x"][at : at + 1]}
"""
PYTHON: dict[str, Callable[[Path], Any]] = {
    "classifier": lambda path: path.write_text(PYTHON_CLASSIFIER),
    "words": lambda path: path.write_text(PYTHON_WORDS),
    "parts": lambda path: path.write_text(PYTHON_PARTS),
}

FORMATS: dict[str, tuple[str, dict[str, Callable[[Path], Any]]]] = {
    "onnx": (".onnx", ONNX),
    "sklearn": (".pkl", SKLEARN),
    "skops": (
        ".skops",
        {"classifier": lambda path: skops.io.dump(LogisticRegression().fit(X, Y), path)},
    ),
    "xgboost": (".ubj", XGBOOST),
    "lightgbm": (".txt", LIGHTGBM),
    "catboost": (".cbm", CATBOOST),
    "python": (".py", PYTHON),
}
"""How each kind of model of a format is written, with the suffix of its files. A new runtime adds
its own here, called as its file is; ``classifier`` is among them."""


class ModelFiles:
    """Writes each file when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, format_: str, kind: str) -> Path:
        """The path of a model of *kind* in *format_*."""
        suffix, kinds = FORMATS[format_]
        path = self.folder / format_ / f"{kind.replace(' ', '_')}{suffix}"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            kinds[kind](path)
        return path


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """The file of a format's kind of model."""
    return ModelFiles(tmp_path_factory.mktemp("contract-models"))


@pytest.fixture(scope="session")
def onnx_models(model_files: ModelFiles) -> dict[str, Path]:
    """One ONNX file of each kind of model, by name."""
    return {kind: model_files("onnx", kind) for kind in ONNX}
