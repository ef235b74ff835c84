"""What a user's class says of itself: its signature, and what helps people to ask it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from inferd.errors import BadArtifact, short
from inferd.runtimes.python.tried import tried
from inferd.signature import Signature, TensorSpec
from inferd.tensors import BY_NAME

HOW = 'signature = inferd.Signature([inferd.TensorSpec("x", "FP32", (-1, 4))], [...], batch_axis=0)'


class Declared(NamedTuple):
    """What was read, all of it as it should be."""

    signature: Signature
    example: dict[str, Any]
    """A row by input name, as nested lists."""
    feature_names: tuple[str, ...]
    classes: tuple[str, ...]


def declared(model: Any, path: str) -> Declared:
    """What *model*, which lies in the file at *path*, says. Raises BadArtifact where that is no
    signature, or no names."""
    where = f"{path}: {type(model).__name__}"
    given, example = getattr(model, "signature", None), getattr(model, "example", {})
    if given is None and example:
        given = _tried(model, example, where)
    signature = _signature(given, where)
    return Declared(
        signature,
        _example(example, signature, where),
        _names(model, "feature_names", where),
        _names(model, "classes", where),
    )


def _tried(model: Any, example: Any, where: str) -> Signature:
    """The signature by which *model* answers its own example."""
    if not isinstance(example, Mapping):
        raise BadArtifact(f"{where}.example is no dict", got=short(repr(example)))
    try:
        return tried(model, example)
    except Exception as error:
        raise BadArtifact(
            f"{where} has no signature, and its example is not answered"
            f" ({type(error).__name__}: {' '.join(str(error).split())})",
            expected=HOW,
        ) from error


def _signature(given: Any, where: str) -> Signature:
    if given is None:
        raise BadArtifact(f"{where} has no signature", expected=HOW)
    if not isinstance(given, Signature):
        raise BadArtifact(
            f"{where}.signature is of another type", got=type(given).__name__, expected=HOW
        )
    try:
        signature = msgspec.convert(msgspec.to_builtins(given), Signature)
    except (TypeError, msgspec.ValidationError) as error:
        raise BadArtifact(f"{where}.signature is wrong: {error}", expected=HOW) from None
    for side, specs in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        _check_side(specs, f"{where}.signature.{side}")
    _check_batch_axis(signature, where)
    return signature


def _check_side(specs: tuple[TensorSpec, ...], where: str) -> None:
    """Raise BadArtifact unless *specs* are names, each once, of datatypes and shapes there are."""
    if not specs:
        raise BadArtifact(f"{where} are none", expected="at least one TensorSpec")
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names) or "" in names:
        raise BadArtifact(f"{where} need a name each", got=short(", ".join(map(repr, names))))
    for spec in specs:
        if spec.datatype not in BY_NAME:
            raise BadArtifact(
                f"{where}: {spec.name!r} is of no datatype",
                got=repr(short(spec.datatype)),
                expected=", ".join(BY_NAME),
            )
        if any(size < -1 for size in spec.shape):
            raise BadArtifact(
                f"{where}: {spec.name!r} has no shape",
                got=str(spec.shape),
                expected="a size for each dimension, or -1 for a free one",
            )


def _check_batch_axis(signature: Signature, where: str) -> None:
    """Raise BadArtifact where rows are said to be joined and cannot be."""
    if signature.batch_axis is None:
        return
    if signature.batch_axis != 0:
        raise BadArtifact(
            f"{where}.signature has another batch_axis",
            got=str(signature.batch_axis),
            expected="0, or None where rows are not to be joined",
        )
    for spec in (*signature.inputs, *signature.outputs):
        if spec.shape[:1] != (-1,):
            raise BadArtifact(
                f"{where}.signature has batch_axis=0, but {spec.name!r} is no rows",
                got=str(spec.shape),
                expected=str((-1, *spec.shape[1:])),
            )


def _example(given: Any, signature: Signature, where: str) -> dict[str, Any]:
    known = signature.input_names
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise BadArtifact(
            f"{where}.example is no row",
            got=short(repr(given)),
            expected="a dict of lists or arrays by name: " + ", ".join(map(repr, known)),
        )
    try:
        return {name: np.asarray(values).tolist() for name, values in given.items()}
    except ValueError as error:
        raise BadArtifact(f"{where}.example is no row: {error}") from None


def _names(model: Any, attribute: str, where: str) -> tuple[str, ...]:
    given = getattr(model, attribute, ())
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise BadArtifact(
            f"{where}.{attribute} are no names",
            got=short(repr(given)),
            expected="a list of strings",
        )
    return tuple(map(str, given))
