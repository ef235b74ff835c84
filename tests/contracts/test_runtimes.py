"""Every runtime keeps the contract of runtimes."""

from pathlib import Path

import pytest

from inferd import plugins
from inferd.artifact import Artifact
from inferd.errors import LoadError
from inferd.models.example import example_inputs, repeat_rows
from inferd.runtimes.base import Runtime, check_runtime
from tests.contracts.conftest import FORMATS, ModelFiles
from tests.unit.toys import SerialRuntime, StreamingRuntime, ToyRuntime

NO_FILES = {"remote"}
"""Runtimes that are started by another's opening, and open no file themselves."""

OPENED_BY = {"skops": "sklearn"}
"""The runtime of a format that is not called like it."""

MODELS = [(format_, kind) for format_, (_, kinds) in FORMATS.items() for kind in kinds]


def _runtime(format_: str) -> type[Runtime]:
    runtime: type[Runtime] = plugins.load("runtimes", OPENED_BY.get(format_, format_))
    return runtime


def _check(runtime: Runtime, rows: int) -> None:
    inputs = example_inputs(runtime.signature, runtime.example())
    if runtime.signature.batch_axis is None:
        rows = 1
    else:
        inputs = repeat_rows(inputs, rows)
    check_runtime(runtime, inputs, rows)


def test_every_runtime_is_checked() -> None:
    """A new runtime has its models in conftest.py, or opens no files."""
    known = {OPENED_BY.get(format_, format_) for format_ in FORMATS}
    assert set(plugins.names("runtimes")) == known | NO_FILES


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize(("format_", "kind"), MODELS)
def test_a_model_is_opened_and_run(
    format_: str, kind: str, rows: int, model_files: ModelFiles
) -> None:
    """What it recognises it opens, and its answers are what its signature says."""
    runtime = _runtime(format_)
    artifact = Artifact(model_files(format_, kind), trusted=True)
    assert runtime.recognises(artifact)
    assert runtime.name
    opened = runtime.open(artifact)
    assert runtime.compilable == (opened.fitted is not None)
    _check(opened, rows)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_is_one_runtimes(format_: str, model_files: ModelFiles) -> None:
    """No two recognise the same file."""
    artifact = Artifact(model_files(format_, "classifier"))
    found = [name for name, runtime in plugins.load_all("runtimes") if runtime.recognises(artifact)]
    assert found == [OPENED_BY.get(format_, format_)]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_damaged_file_is_a_load_error(
    format_: str, tmp_path: Path, model_files: ModelFiles
) -> None:
    """A file cut off anywhere is refused in our own words."""
    path = model_files(format_, "classifier")
    for length in (0, 1, 20, path.stat().st_size // 2):
        damaged = tmp_path / path.name
        damaged.write_bytes(path.read_bytes()[:length])
        with pytest.raises(LoadError):
            _runtime(format_).open(Artifact(damaged, trusted=True))


@pytest.mark.parametrize("kind", [ToyRuntime, SerialRuntime, StreamingRuntime])
def test_the_toys_of_the_tests_are_runtimes(kind: type[ToyRuntime]) -> None:
    """What the engine is tested with keeps the contract itself."""
    _check(kind(), 3)


def test_a_runtime_may_stream_its_only_part() -> None:
    """By default a stream is what ``run`` returns."""
    runtime = ToyRuntime()
    inputs = example_inputs(runtime.signature, {})
    (part,) = Runtime.stream(runtime, inputs, ["Y"])
    assert part["Y"].tolist() == [[0, 0]]


class TestTheCheck:
    """The check finds what breaks the contract."""

    def test_an_output_out_of_order(self) -> None:
        """Outputs come in the order that they were asked for."""

        class Wrong(ToyRuntime):
            def run(self, inputs, outputs):  # type: ignore[no-untyped-def]
                return {"Z": inputs["X"]}

        with pytest.raises(AssertionError, match="not those asked for"):
            _check(Wrong(), 1)

    def test_an_input_that_is_written_to(self) -> None:
        """Inputs may be shared with other calls."""

        class Wrong(ToyRuntime):
            def run(self, inputs, outputs):  # type: ignore[no-untyped-def]
                inputs["X"][:] = 0
                return super().run(inputs, outputs)

        with pytest.raises((AssertionError, ValueError)):
            _check(Wrong(), 1)
