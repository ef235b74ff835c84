"""Opens sessions of ONNX Runtime on the CPU, for as many threads as are asked for."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from inferd import plugins
from inferd.artifact import Artifact
from inferd.log import logger
from inferd.runtimes.onnx.mapped import ENTRIES, WEIGHTS, forget, mapped
from inferd.tensors import BY_ONNX


def library() -> Any:
    """The package. Raises MissingPackage."""
    # From 1.32 on it would otherwise tell its maker of every session, in a thread of its own.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return plugins.require("onnxruntime", "onnx")


def open_session(onnxruntime: Any, artifact: Artifact, threads: int) -> Any:
    """A session of *artifact*, its weights mapped where they may be. Raises whatever ONNX Runtime
    raises."""
    path, options = artifact.path, _options(onnxruntime, threads)
    if artifact.shared:
        write = partial(_write, onnxruntime, path)
        copy = mapped(path, artifact.shared, onnxruntime.__version__, write)
        if copy != path:
            try:
                return _session(onnxruntime, copy, options)
            except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
                logger.warning("%s is damaged, and made anew at the next start: %s", copy, error)
                forget(copy)
    return _session(onnxruntime, path, options)


def _session(onnxruntime: Any, path: Path, options: Any) -> Any:
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    # Two threads double the latency of a small tree model (4.7 to 8.6 us measured), and threads
    # that spin while they wait take the core from the event loop.
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = (
        3  # errors only; warnings about unused initialisers are the exporter's business
    )
    return options


def _write(onnxruntime: Any, path: Path, target: Path) -> None:
    """Have the copy of the model at *path* written. Raises ValueError, also where nothing in it can
    be mapped, and where it gives another answer, were it in its last bit."""
    options = _options(onnxruntime, 1)
    options.optimized_model_filepath = str(target)
    for name, text in ENTRIES.items():
        options.add_session_config_entry(name, text)
    try:
        model = _session(onnxruntime, path, options)
        if not (target.parent / WEIGHTS).exists():
            raise ValueError("it has none that can be mapped")  # noqa: TRY301 - told as the others
        copy = _session(onnxruntime, target, _options(onnxruntime, 1))
        row = {node.name: _telling(node) for node in model.get_inputs()}
        ours, theirs = model.run(None, row), copy.run(None, row)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
        raise ValueError(f"no copy can be written and checked: {error}") from None
    if [*map(_bits, ours)] != [*map(_bits, theirs)]:
        raise ValueError("its copy gives another answer")


def _telling(node: Any) -> Any:
    """A row for an input: numbers that differ, where they may have fractions."""
    shape = [d if isinstance(d, int) and d > 0 else 1 for d in node.shape]
    dtype = BY_ONNX[node.type].numpy
    if dtype == np.dtype(object):
        return np.full(shape, "", object)
    if dtype.kind == "f":
        return np.random.default_rng(0).standard_normal(shape).astype(dtype)
    return np.zeros(shape, dtype)


def _bits(output: Any) -> Any:
    """An output as it can be held against another; lists of maps, and texts, as they are."""
    if not isinstance(output, np.ndarray):
        return output
    return output.tolist() if output.dtype.kind == "O" else output.tobytes()
