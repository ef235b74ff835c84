"""Every runtime keeps the contract of runtimes."""

from pathlib import Path

import pytest

from inferd import plugins
from inferd.artifact import Artifact
from inferd.errors import LoadError
from inferd.models.example import example_inputs, repeat_rows
from inferd.runtimes.base import Runtime, check_runtime
from tests.unit.toys import SerialRuntime, StreamingRuntime, ToyRuntime

KINDS = ["classifier", "maps", "words", "columns", "two inputs", "text", "fixed", "scalar"]


def artifacts(name: str, onnx_models: dict[str, Path]) -> dict[str, Path]:
    """Models of the runtime's format, by kind; a new runtime adds its own here."""
    return {"onnx": onnx_models}[name]


def _check(runtime: Runtime, rows: int) -> None:
    inputs = example_inputs(runtime.signature, runtime.example())
    if runtime.signature.batch_axis is None:
        rows = 1
    else:
        inputs = repeat_rows(inputs, rows)
    check_runtime(runtime, inputs, rows)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", plugins.names("runtimes"))
def test_a_model_is_opened_and_run(
    name: str, kind: str, rows: int, onnx_models: dict[str, Path]
) -> None:
    """What it recognises it opens, and its answers are what its signature says."""
    runtime: type[Runtime] = plugins.load("runtimes", name)
    artifact = Artifact(artifacts(name, onnx_models)[kind])
    assert runtime.recognises(artifact)
    assert runtime.name
    _check(runtime.open(artifact), rows)


@pytest.mark.parametrize("name", plugins.names("runtimes"))
def test_a_damaged_file_is_a_load_error(
    name: str, tmp_path: Path, onnx_models: dict[str, Path]
) -> None:
    """A file cut off anywhere is refused in our own words."""
    runtime: type[Runtime] = plugins.load("runtimes", name)
    path = artifacts(name, onnx_models)["classifier"]
    for length in (0, 1, 20, path.stat().st_size // 2):
        damaged = tmp_path / path.name
        damaged.write_bytes(path.read_bytes()[:length])
        with pytest.raises(LoadError):
            runtime.open(Artifact(damaged))


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
