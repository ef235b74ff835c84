"""An ONNX model on the CPU: its session, its signature, its runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from inferd.artifact import Artifact
from inferd.errors import BadArtifact, InferdError, InvalidInput
from inferd.finite import FiniteCheck, Refused
from inferd.metadata import CLASSES, EXAMPLE, FEATURES, REFUSES, ROWS, VERDICT
from inferd.runtimes.base import Runtime
from inferd.runtimes.onnx.one_row import OneRow
from inferd.runtimes.onnx.session import library, open_session
from inferd.signature import Signature, TensorSpec
from inferd.tensors import BY_ONNX, Array
from inferd.verdict import decode


class OnnxRuntime(Runtime):
    """A session, on one thread unless more are asked for: small models are faster so, and the
    server has threads and workers of its own."""

    name = "onnx"
    _artifact: Artifact

    def __init__(self, session: Any, options: Any) -> None:
        # Given none, ONNX Runtime makes fresh options for every run, which takes 0.9 us.
        self._session, self._options = session, options
        # The wrapper around this checks the inputs again: 1.1 us of the 6.7 us that a call takes.
        self._session_run = getattr(session, "_sess", session).run
        self._maps = {o.name: 0 for o in session.get_outputs() if o.type.startswith("seq(map(")}
        """The outputs that are a list of maps, with the number of their classes."""
        inputs = tuple(_spec(node) for node in session.get_inputs())
        plain = tuple(_spec(node) for node in session.get_outputs() if node.name not in self._maps)
        self.signature = Signature(inputs, plain, _batch_axis((*inputs, *plain)))
        if self._maps:
            self.signature = self._with_maps()
        properties = self._properties()
        self.verdict = decode(properties.get(VERDICT, ""))
        refusals = _refusals(properties.get(REFUSES, ""))
        self._check = FiniteCheck(refusals, self.feature_names()) if refusals else None
        limit = properties.get(ROWS, "")
        self._rows = int(limit) if limit.isascii() and limit.isdigit() else 0
        """The rows that one call may have, where the file sets a limit."""
        fits = not self._maps and OneRow.fits(self.signature)
        self._one_row = OneRow(session, self.signature, options) if fits else None

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix == ".onnx"

    @classmethod
    def open(cls, artifact: Artifact) -> "OnnxRuntime":
        return cls._open(artifact, threads=1)

    @classmethod
    def _open(cls, artifact: Artifact, threads: int) -> "OnnxRuntime":
        onnxruntime = library()
        try:
            session = open_session(onnxruntime, artifact, threads)
            runs = onnxruntime.RunOptions()
            runs.log_severity_level = 4  # a run that fails raises, and the caller logs that once
            made = cls(session, runs)
        except InferdError:
            raise
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
            raise BadArtifact(f"ONNX Runtime cannot load {artifact.path}: {error}") from None
        made.threads, made._artifact = threads, artifact
        return made

    def with_threads(self, threads: int) -> "OnnxRuntime | None":
        if self.verdict is not None:  # it was proved as it is: a sum in another order differs
            return None
        return self._open(self._artifact, threads)

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        if self._check:
            self._check(inputs)
        if self._one_row is not None:
            try:
                row = self._one_row(inputs, outputs)
            except Exception:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
                whole = self._run_whole(inputs, outputs)
                self._one_row = None  # the row was right: the outputs' sizes are not as they say
                return whole
            if row is not None:
                return row
        return self._run_whole(inputs, outputs)

    def _run_whole(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        if self._rows and len(next(iter(inputs.values()))) > self._rows:
            return self._run_in_pieces(inputs, outputs)
        try:
            arrays = self._session_run(outputs, inputs, self._options)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
            raise self._told(error) from None
        if self._maps:
            arrays = [
                self._matrix(name, a) if name in self._maps else a
                for name, a in zip(outputs, arrays, strict=True)
            ]
        return dict(zip(outputs, arrays))  # noqa: B905 - checking the lengths takes 0.2 us

    def _told(self, error: Exception) -> Exception:
        """What to raise for *error*: a compiled graph fails where the model's library would refuse
        the row, by an index that is out of range."""
        if self.verdict is None or type(error).__name__ != "InvalidArgument":
            return error
        return InvalidInput(
            "the model refuses a value of this request",
            got="one that it was not made for: a category that it never saw, or a number beyond its"
            " arithmetic",
            expected="values as it was trained on",
        )

    def _run_in_pieces(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> dict[str, Array]:
        rows = len(next(iter(inputs.values())))
        parts = [
            self.run({n: a[at : at + self._rows] for n, a in inputs.items()}, outputs)
            for at in range(0, rows, self._rows)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

    def _matrix(self, name: str, maps: list[dict[Any, float]]) -> Array:
        """A list of maps as one row of scores each, in the order of the classes."""
        rows = [list(row.values()) for row in maps]
        return np.array(rows, np.float32).reshape(len(maps), self._maps[name])

    def example(self) -> Mapping[str, Any]:
        row = self._metadata(EXAMPLE)
        if len(self.signature.inputs) == 1:
            return {self.signature.inputs[0].name: [row]} if row else {}
        return {
            spec.name: [[value]] for spec, value in zip(self.signature.inputs, row, strict=False)
        }

    def feature_names(self) -> tuple[str, ...]:
        return tuple(map(str, self._metadata(FEATURES)))

    def classes(self) -> tuple[str, ...]:
        return tuple(map(str, self._metadata(CLASSES)))

    def close(self) -> None:
        """Let go of the session, and of its memory, whoever still holds the runtime."""
        self._one_row = None
        del self._session, self._session_run

    def _properties(self) -> dict[str, str]:
        properties: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return properties

    def _metadata(self, key: str) -> list[Any]:
        """A list from the model's own metadata; a damaged one is as good as none."""
        try:
            value = json.loads(self._properties().get(key, "[]"))
        except ValueError:
            return []
        return value if isinstance(value, list) else []

    def _with_maps(self) -> Signature:
        """Complete the signature by those outputs that are a list of maps from class to score
        (ZipMap).

        Their width is nowhere in the file: one row of zeros is run to see it.
        """
        nodes = self._session.get_outputs()
        names = [node.name for node in nodes]
        plain = {spec.name: spec for spec in self.signature.outputs}
        answers = dict(
            zip(names, self._session.run(names, _zeros(self.signature.inputs)), strict=True)
        )
        specs = []
        for name in names:
            if name in self._maps:
                self._maps[name] = len(answers[name][0])
                specs.append(TensorSpec(name, "FP32", (-1, self._maps[name])))
            else:
                specs.append(plain[name])
        outputs = tuple(specs)
        return Signature(
            self.signature.inputs, outputs, _batch_axis((*self.signature.inputs, *outputs))
        )


def _refusals(text: str) -> dict[str, Refused]:
    """What the metadata says that the model refuses; nothing where it says nothing legible."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Refused])
    except msgspec.MsgspecError:
        return {}


def _spec(node: Any) -> TensorSpec:
    row = BY_ONNX.get(node.type)
    if row is None:
        raise BadArtifact(
            f"tensor {node.name!r} has a type that no protocol can carry",
            got=node.type,
            expected=" or ".join(BY_ONNX),
        )
    return TensorSpec(
        node.name, row.name, tuple(d if isinstance(d, int) else -1 for d in node.shape)
    )


def _batch_axis(specs: Sequence[TensorSpec]) -> int | None:
    """Rows can be joined only where every tensor leaves its first dimension free."""
    return 0 if all(spec.shape and spec.shape[0] == -1 for spec in specs) else None


def _zeros(inputs: Sequence[TensorSpec]) -> dict[str, Array]:
    return {
        spec.name: np.full(
            [max(d, 1) for d in spec.shape], "" if spec.datatype == "BYTES" else 0, spec.type.numpy
        )
        for spec in inputs
    }
