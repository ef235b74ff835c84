"""inferd.server.ahead: a model is compiled in a process of its own before a worker loads it."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from inferd.artifact import Artifact
from inferd.errors import LoadError
from inferd.models import loader
from inferd.server.ahead import compile_ahead
from inferd.spec import Loading, ModelSpec


class Deadly:
    """Whoever unpickles it ends."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (7,)


def _spec(path: Path, model: object, **loading: Any) -> ModelSpec:
    path.write_bytes(pickle.dumps(model))
    where = {"cache_dir": str(path.parent / "cache"), **loading}
    return ModelSpec(
        "m", "1", Artifact(path, trusted=True, unchecked=True), loading=Loading(**where)
    )


def _tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier().fit(np.eye(4), [0, 1, 0, 1])


def test_what_was_compiled_ahead_is_loaded_from_the_cache(tmp_path: Path) -> None:
    """The process that loads it reads no pickle any more."""
    spec = _spec(tmp_path / "m.pkl", _tree())
    assert loader.would_compile(spec)
    compile_ahead(spec)
    assert not loader.would_compile(spec)
    assert loader.open_runtime(spec).name == "onnx"


def test_a_model_that_ends_its_process_ends_no_other(tmp_path: Path) -> None:
    """How it ended is told."""
    with pytest.raises(LoadError, match=r"that was to compile .*m\.pkl ended with exit code 7"):
        compile_ahead(_spec(tmp_path / "m.pkl", Deadly()))


def test_a_model_that_cannot_be_read_is_refused_as_by_loading(tmp_path: Path) -> None:
    """The error is the same one."""
    spec = _spec(tmp_path / "m.pkl", {"no": "model"})
    with pytest.raises(LoadError) as ahead:
        compile_ahead(spec)
    with pytest.raises(LoadError) as loading:
        loader.open_runtime(spec)
    assert str(ahead.value) == str(loading.value)


@pytest.mark.parametrize("loading", [{"compile": False}, {"cache_dir": "none"}])
def test_no_process_is_started_where_it_would_leave_nothing(
    tmp_path: Path, loading: dict[str, Any]
) -> None:
    """Nothing is compiled, or nothing is kept."""
    compile_ahead(_spec(tmp_path / "m.pkl", Deadly(), **loading))
