"""A third party's runtime that does as its input says: it answers, raises, hangs or dies."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from inferd.artifact import Artifact
from inferd.errors import BadArtifact, MissingPackage, WrongValue
from inferd.runtimes.base import Runtime
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

ANSWER, RAISE, REFUSE, ABORT, LEAVE, HANG, ODD, LARGE, PRINT = map(float, range(9))
HANGS = "hangs"  # a file that appears beside the artifact


class Odd(Runtime):
    """``Y`` is twice ``X``, ``pid`` the process that said so; the first value says what to do."""

    name = "odd"
    folder: ClassVar[Path]
    signature = Signature(
        (TensorSpec("X", "FP64", (-1, 2)),),
        (TensorSpec("Y", "FP64", (-1, 2)), TensorSpec("pid", "INT64", (-1,))),
        batch_axis=0,
    )

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix == ".odd"

    @classmethod
    def open(cls, artifact: Artifact) -> "Odd":
        cls.folder = artifact.path.parent
        order = artifact.path.read_text()
        if order:
            OPENINGS[order]()
        return cls()

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        rows = inputs["X"]
        pid = np.full(len(rows), os.getpid(), np.int64)
        values: dict[str, Array] = {"Y": rows * 2, "pid": pid}
        if len(rows) and rows[0, 0] in ORDERS:
            values |= ORDERS[rows[0, 0]]() or {}
        return {name: values[name] for name in outputs}

    def example(self) -> Mapping[str, Any]:
        return {"X": [[np.float64(0.0), np.float32(1.5)]]}

    def feature_names(self) -> tuple[str, ...]:
        return ("order", "value")


plugin = Odd


def install(folder: Path) -> Path:
    """Put the runtime "odd" into *folder*, which is to be on the path; an artifact of its."""
    about = folder / "odd-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(f"[inferd.runtimes]\nodd = {__name__}\n")
    artifact = folder / "model.odd"
    artifact.write_text("")
    return artifact


def rows(order: float, value: float = 1.0) -> dict[str, Array]:
    """Inputs that order something."""
    return {"X": np.array([[order, value]])}


def _raise() -> NoReturn:
    raise ValueError("a secret of the model")


def _refuse() -> NoReturn:
    raise WrongValue("X", "nothing", "something")


def _hang() -> None:
    (Odd.folder / HANGS).touch()
    threading.Event().wait()


def _print() -> None:
    os.write(1, b"said by the model")


def _damaged() -> NoReturn:
    raise BadArtifact("cut off", got="half of it", expected="all", cure="Copy it again.")


def _lacking() -> NoReturn:
    raise MissingPackage("the package 'odd' is not installed", cure="Install it.")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


ORDERS: dict[float, Callable[[], dict[str, Array] | None]] = {
    RAISE: _raise,
    REFUSE: _refuse,
    ABORT: _kill,
    LEAVE: lambda: sys.exit(3),
    HANG: _hang,
    ODD: lambda: {"Y": np.zeros((1, 2), np.complex64)},
    LARGE: lambda: {"Y": np.zeros((200_000, 2)), "pid": np.zeros(200_000, np.int64)},
    PRINT: _print,
}
OPENINGS: dict[str, Callable[[], None]] = {
    "damaged": _damaged,
    "lacking": _lacking,
    "raise": _raise,
    "kill": _kill,
}
