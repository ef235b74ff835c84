"""Models on the workbench, without a server: compile one, or hold its two forms side by side."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from inferd.artifact import Artifact
from inferd.clock import monotonic_ns
from inferd.compiling import compiler
from inferd.compiling.cache import Compiled
from inferd.compiling.speed import speed
from inferd.errors import ArtifactNotFound, ConfigError, UnknownFormat
from inferd.estimators.fitted import Fitted
from inferd.models import loader
from inferd.models.example import example_inputs, repeat_rows
from inferd.models.loader import Progress, quiet
from inferd.runtimes.base import Runtime
from inferd.tensors import Array
from inferd.verdict import Verdict

ROWS = (1, 64, 1024)
"""The sizes of calls whose speed is told."""


def compile(
    model: Any,
    output: str | os.PathLike[str],
    *,
    sample: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    trusted_types: str = "",
    progress: Progress = quiet,
) -> Verdict:
    """Compile *model*, a file's path or a fitted model, to the ONNX file *output*.

    Returns the verdict; where that is ``native``, nothing is written. *sample* is a CSV file of
    rows to probe with beside those that are made. Raises LoadError or ConfigError.

        verdict = inferd.compile("model.pkl", "model.onnx")
        verdict = inferd.compile(classifier, "model.onnx")
    """
    options = compiler.Options(sample=Path(sample) if sample else None, progress=progress)
    _check_output(model, Path(output))
    if isinstance(model, str | os.PathLike):
        artifact = _artifact(Path(model), trust_pickle, trusted_types)
        compiled = compiler.compile_artifact(artifact, _opener(artifact), options)
    else:
        # A copy: what is compiled is set to one thread, and the caller's model is not ours to set.
        compiled = compiler.compile_fitted(Fitted.of(copy.deepcopy(model)), options)
    if compiled.onnx is not None:
        _write(Path(output), compiled.onnx)
    return compiled.verdict


def _check_output(model: Any, output: Path) -> None:
    """Raise ConfigError for an output that would overwrite the model, or could not be served."""
    if output.suffix.lower() != ".onnx":
        raise ConfigError(
            "a compiled model is an ONNX file",
            got=str(output),
            expected="a name that ends in .onnx",
        )
    if isinstance(model, str | os.PathLike) and output.exists() and output.samefile(model):
        raise ConfigError(f"{output} is the model itself", cure="Name another file with -o.")


def _write(output: Path, content: bytes) -> None:
    """The whole file or none: whoever serves it meanwhile sees the old one."""
    beside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(output)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {output}: {error.strerror}") from None


class Report(msgspec.Struct, frozen=True):
    """What ``check`` found."""

    verdict: Verdict
    signature: str
    operators: Mapping[str, int]
    """The compiled graph's nodes, counted by operator; empty without one."""
    size: int
    """Bytes of the compiled file."""
    native_us: Mapping[int, float]
    """Microseconds of a call to the library, by rows."""
    compiled_us: Mapping[int, float]
    """The same for the compiled form; empty without one."""


def check(
    path: Path,
    *,
    sample: Path | None = None,
    trust_pickle: bool = False,
    trusted_types: str = "",
    progress: Progress = quiet,
) -> Report:
    """Compile the model at *path* and measure both forms. Raises LoadError or ConfigError."""
    artifact = _artifact(path, trust_pickle, trusted_types)
    opener = _opener(artifact)
    options = compiler.Options(sample=sample, progress=progress)
    compiled = compiler.compile_artifact(artifact, opener, options)
    progress("measuring")
    native = opener.open(artifact)
    runtimes = [native, *_compiled_runtime(compiled)]
    inputs = example_inputs(native.signature, native.example())
    native_us, *compiled_us = [_speed(runtime, inputs) for runtime in runtimes]
    for runtime in runtimes:
        runtime.close()
    return Report(
        compiled.verdict,
        str(native.signature),
        _operators(compiled.onnx),
        len(compiled.onnx or b""),
        native_us,
        compiled_us[0] if compiled_us else {},
    )


def _compiled_runtime(compiled: Compiled) -> Sequence[Runtime]:
    return [compiler.open_compiled(compiled.onnx)] if compiled.onnx is not None else []


def _speed(runtime: Runtime, row: Mapping[str, Array]) -> Mapping[int, float]:
    names = runtime.signature.output_names
    return speed(
        lambda inputs: runtime.run(inputs, names),
        lambda rows: repeat_rows(row, rows),
        ROWS,
        monotonic_ns,
    )


def _operators(onnx: bytes | None) -> dict[str, int]:
    if onnx is None:
        return {}
    from onnx import ModelProto

    counts: dict[str, int] = {}
    for node in ModelProto.FromString(onnx).graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _artifact(path: Path, trust_pickle: bool, trusted_types: str) -> Artifact:
    if not path.exists():
        raise ArtifactNotFound(f"there is no model at {path}")
    found = loader.find([path], None, loader.trust(trust_pickle, trusted_types))
    return found[0].artifact


def _opener(artifact: Artifact) -> type[Runtime]:
    _, opener = loader.recognise(artifact)
    if not opener.compilable:
        raise UnknownFormat(
            f"{artifact.path.name} is not compiled", got=opener.name, expected="a model to compile"
        )
    return opener
