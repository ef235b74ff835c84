"""The models and payloads of the benchmark: trained once, kept as pickle, ONNX and JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.errors import BenchError

ROW_COUNTS = (1, 64)
TRAINED_WITH = ("scikit-learn", "skl2onnx", "onnx", "numpy")


@dataclass(frozen=True)
class Kind:
    """One model of the benchmark: how to train it, and what it is in words."""

    name: str
    title: str
    train: Callable[[], tuple[Any, Any]]


@dataclass(frozen=True)
class Case:
    """One model asked for a number of rows, with the labels that must come back."""

    model: str
    title: str
    rows: list[list[float]]
    labels: list[int]
    classes: int
    onnx: Path
    pickle: Path

    @property
    def name(self) -> str:
        return f"{self.model}-{len(self.rows)}"


def forest() -> tuple[Any, Any]:
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_iris(return_X_y=True)
    return RandomForestClassifier(100, random_state=0).fit(x, y), x


def logistic() -> tuple[Any, Any]:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), x


def ensemble() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_digits(return_X_y=True)
    return RandomForestClassifier(1000, max_depth=8, random_state=0).fit(x, y), x


KINDS = (
    Kind("forest", "random forest, 100 trees, Iris (4 features, 3 classes)", forest),
    Kind(
        "logistic",
        "scaler and logistic regression, breast cancer (30 features, 2 classes)",
        logistic,
    ),
    Kind(
        "ensemble",
        "random forest, 1,000 trees of depth 8, digits (64 features, 10 classes)",
        ensemble,
    ),
)


def case_names() -> list[str]:
    return [f"{kind.name}-{rows}" for kind in KINDS for rows in ROW_COUNTS]


def prepare(folder: Path, names: list[str]) -> list[Case]:
    """Return the named cases, training only the models that are not in `folder` yet."""
    cases = []
    for kind in KINDS:
        wanted = [n for n in ROW_COUNTS if f"{kind.name}-{n}" in names]
        if wanted:
            facts = _facts(folder, kind)
            cases += [_case(folder, kind, facts, count) for count in wanted]
    return cases


def _case(folder: Path, kind: Kind, facts: dict[str, Any], count: int) -> Case:
    return Case(
        model=kind.name,
        title=kind.title,
        rows=facts["rows"][:count],
        labels=facts["labels"][:count],
        classes=facts["classes"],
        onnx=folder / f"{kind.name}.onnx",
        pickle=folder / f"{kind.name}.joblib",
    )


def _facts(folder: Path, kind: Kind) -> dict[str, Any]:
    # Written last, so that its presence means that the model beside it is whole.
    path = folder / f"{kind.name}.json"
    versions = {package: version(package) for package in TRAINED_WITH}
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text())
        if known["versions"] == versions:
            return known
    facts = _build(folder, kind) | {"versions": versions}
    path.write_text(json.dumps(facts))
    return facts


def _build(folder: Path, kind: Kind) -> dict[str, Any]:
    import joblib
    import numpy as np

    model, x = kind.train()
    # Single precision from the start: every server then gets numbers that JSON and FP32 both hold.
    rows = x[_spread(len(x), max(ROW_COUNTS))].astype(np.float32)
    exported = _export(model, rows)
    labels = [int(label) for label in model.predict(rows)]
    _check_same(exported, rows, labels, kind.name)
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / f"{kind.name}.joblib")
    (folder / f"{kind.name}.onnx").write_bytes(exported)
    shown = [[float(str(value)) for value in row] for row in rows]
    return {"rows": shown, "labels": labels, "classes": len(model.classes_)}


def _spread(total: int, count: int) -> list[int]:
    """Row numbers over the whole data set, the first row first."""
    return [total * i // count for i in range(count)]


def _export(model: Any, rows: Any) -> bytes:
    from skl2onnx import to_onnx

    # Without zipmap the probabilities are one tensor; with it they are a list of dicts.
    exported = to_onnx(model, rows[:1], options={id(model): {"zipmap": False}}, target_opset=17)
    return bytes(exported.SerializeToString())


def _check_same(exported: bytes, rows: Any, labels: list[int], name: str) -> None:
    import onnxruntime as ort

    session = ort.InferenceSession(exported, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: rows})[0].tolist()
    if found != labels:
        msg = f"the ONNX form of {name!r} answers other labels than scikit-learn"
        raise BenchError(msg)
