"""Every layout keeps the contract of layouts."""

from pathlib import Path

import pytest

from inferd import plugins
from inferd.models.layouts.base import Layout, check_layout


def _file(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.touch()
    return path


MAKERS = {"file": _file}
"""Lays a model out in a folder; a new layout adds its own."""


@pytest.mark.parametrize("name", plugins.names("layouts"))
def test_models_are_found(name: str, tmp_path: Path) -> None:
    """What it recognises it scans, the same at each look."""
    layout: Layout = plugins.load("layouts", name)
    path = MAKERS[name](tmp_path)
    check_layout(layout, path)
    (spec,) = layout.scan(path, "other")
    assert spec.name == "other"
