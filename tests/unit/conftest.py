"""Tiny models, made once, and pipelines that serve them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inferd.config import Settings
from inferd.pipeline import Pipeline
from tests.unit import onnx_files

WORDS = ["first", "second", "third"]  # as scikit-learn has its classes: sorted


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one ONNX model of each shape that the tests ask for."""
    folder = tmp_path_factory.mktemp("models")
    onnx_files.classifier(folder / "iris.onnx")
    onnx_files.classifier(folder / "maps.onnx", zipmap=True)
    onnx_files.classifier(folder / "words.onnx", names=WORDS)
    onnx_files.classifier(folder / "word_maps.onnx", names=WORDS, zipmap=True)
    onnx_files.adder(folder / "simple.onnx")
    onnx_files.columns(folder / "columns.onnx", example=[41.5, "Ada"], features=["age", "name"])
    onnx_files.identity(folder / "wide.onnx", [None, None])
    onnx_files.identity(folder / "free.onnx", [None, None, None])
    onnx_files.identity(folder / "image.onnx", [None, 2, 3])
    onnx_files.identity(folder / "fixed.onnx", [1, 4])
    onnx_files.identity(folder / "scalar.onnx", [])
    onnx_files.identity(folder / "text.onnx", [None, 2], onnx_files.STRING)
    onnx_files.lookup_table(folder / "table.onnx")
    return folder


@pytest.fixture
def pipeline(models: Path) -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines that serve the named models, and closes them."""
    opened: list[Pipeline] = []

    def make(*names: str, **settings: object) -> Pipeline:
        made = Pipeline(Settings(**settings), cores=1)  # type: ignore[arg-type]
        opened.append(made)
        made.load([models / f"{name}.onnx" for name in names])
        return made

    yield make
    for each in opened:
        each.close()
