"""From a fitted model to an ONNX file that gives the same answers, or to the reason why its own
library has to answer."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from inferd import plugins
from inferd.artifact import Artifact
from inferd.compiling import cache
from inferd.compiling.cache import Cache, Compiled
from inferd.compiling.conversion import Conversion, convert
from inferd.compiling.converters.base import MANY, CannotConvert
from inferd.compiling.example import example_row
from inferd.compiling.judge import described, judge
from inferd.compiling.parity import compare
from inferd.compiling.probes import probes
from inferd.compiling.sample import digest_of, read_sample
from inferd.errors import InferdError, MissingPackage
from inferd.estimators.fitted import Fitted
from inferd.log import logger
from inferd.metadata import CLASSES, EXAMPLE, FEATURES, REFUSES, ROWS, VERDICT
from inferd.runtimes.base import Runtime
from inferd.verdict import Verdict, encode

FAULT = "compiling failed"
"""A fault of ours, or of the moment: memory may be there the next time."""
TARGET = "onnx"
"""The runtime that runs what is compiled."""

Progress: TypeAlias = Callable[[str], None]
"""Told what is being done, in a few words."""


class Options(NamedTuple):
    """How to compile."""

    cache: Cache | None = None
    sample: Path | None = None
    """Rows of the user's own to probe with, as CSV."""
    progress: Progress = lambda _: None


def off(reason: str) -> Compiled:
    """The model as it is."""
    return Compiled(Verdict(kind="native", reason=reason), None)


def open_compiled(content: bytes) -> Runtime:
    """A runtime of a compiled file's *content*. Raises LoadError."""
    with tempfile.TemporaryDirectory() as folder:  # closed to others; read once, then gone
        path = Path(folder) / f"compiled.{TARGET}"
        path.write_bytes(content)
        runtime: Runtime = plugins.load("runtimes", TARGET).open(Artifact(path))
        return runtime


def compile_artifact(artifact: Artifact, opener: type[Runtime], options: Options) -> Compiled:
    """Compile *artifact*, which *opener* opens, unless that was done before.

    Where the cache knows the artifact it is not opened at all. Blocks; raises LoadError.
    """
    digest = artifact.digest()
    key = _key(digest, digest_of(options.sample) if options.sample else "")
    kept = options.cache.get(key) if options.cache else None
    if kept is not None:
        return kept
    options.progress(f"loading {artifact.path.name}")
    native = opener.open(artifact)
    try:
        if native.fitted is None:
            return off(f"a model of {native.name} is not compiled")
        compiled = compile_fitted(native.fitted, options, digest)
    finally:
        native.close()
    if options.cache and not compiled.verdict.reason.startswith(FAULT):
        options.cache.put(key, compiled)
    return compiled


def is_kept(artifact: Artifact, kept: Cache) -> bool:
    """Whether the cache knows *artifact*, which is not opened for that."""
    return kept.get(_key(artifact.digest(), "")) is not None


def compile_fitted(fitted: Fitted, options: Options, digest: str = "") -> Compiled:
    """Compile a loaded model, and judge whether the result may answer for it.

    *digest* is that of the artifact it was loaded from, where there is one. Blocks.
    """
    options.progress(f"writing {fitted.library} as ONNX")
    conversion: Conversion | None = None
    try:
        conversion = convert(fitted)
        verdict = _probe(fitted, conversion, options)
    except (CannotConvert, MissingPackage) as error:
        verdict = Verdict(kind="native", reason=str(error))
    except InferdError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours must not keep the library from answering
        logger.warning("compiling failed; please report it", exc_info=error)
        verdict = Verdict(kind="native", reason=f"{FAULT} ({type(error).__name__})")
    verdict = msgspec.structs.replace(
        verdict,
        digest=digest,
        versions=cache.versions(),
        estimator=described(fitted.model),
        library=fitted.library,
    )
    if conversion is None or verdict.kind == "native":
        return Compiled(verdict, None)
    return Compiled(verdict, _signed(fitted, conversion, verdict))


def _key(digest: str, sample: str) -> str:
    return cache.key_of(digest, cache.versions(), {"sample": sample})


def _probe(fitted: Fitted, conversion: Conversion, options: Options) -> Verdict:
    """Ask both forms the same, and judge."""
    try:
        compiled = open_compiled(conversion.model.SerializeToString())
    except InferdError as error:
        return Verdict(kind="native", reason=f"ONNX Runtime refuses the graph: {error.message}")
    if str(compiled.signature) != str(fitted.signature):
        return Verdict(kind="native", reason="the graph has another signature than the model")
    sample = read_sample(options.sample, fitted) if options.sample else None
    options.progress("making probes")
    asked = probes(fitted, conversion.points, sample, adjacent=not conversion.inexact)
    options.progress(f"asking both {sum(len(next(iter(p.inputs.values()))) for p in asked):,} rows")
    parity = compare(fitted.run, compiled.run, fitted.signature, asked)
    compiled.close()
    return judge(conversion, parity, fitted.signature)


def _signed(fitted: Fitted, conversion: Conversion, verdict: Verdict) -> bytes:
    """The file, with its provenance and what the model tells of itself in its metadata."""
    metadata = {
        VERDICT: encode(verdict),
        EXAMPLE: json.dumps(example_row(fitted, conversion.points)),
        REFUSES: msgspec.json.encode(fitted.refusals()).decode(),
        FEATURES: json.dumps(list(fitted.feature_names())),
        CLASSES: json.dumps(list(fitted.classes())),
    }
    model = conversion.model
    if conversion.rows < MANY:
        metadata[ROWS] = str(conversion.rows)
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    return content
