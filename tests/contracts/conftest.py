"""Models that the contracts are checked with."""

from pathlib import Path

import pytest

from tests.unit import onnx_files


@pytest.fixture(scope="session")
def onnx_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One ONNX file of each kind of model, by name."""
    folder = tmp_path_factory.mktemp("contract-models")
    return {
        "classifier": onnx_files.classifier(folder / "classifier.onnx"),
        "maps": onnx_files.classifier(folder / "maps.onnx", zipmap=True),
        "words": onnx_files.classifier(folder / "words.onnx", names=["a", "b", "c"]),
        "columns": onnx_files.columns(folder / "columns.onnx"),
        "two inputs": onnx_files.adder(folder / "adder.onnx"),
        "text": onnx_files.identity(folder / "text.onnx", [None, 2], onnx_files.STRING),
        "fixed": onnx_files.identity(folder / "fixed.onnx", [1, 4]),
        "scalar": onnx_files.identity(folder / "scalar.onnx", []),
    }
