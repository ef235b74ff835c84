"""Compiled models on disk, so that each is compiled once: a private directory of ONNX files.

An entry is found by what it was made from: the artifact's digest, the versions of every package
that took part, and the compiler's own source. A file is used only if its digest is the one noted
when it was written. Nothing in here is ever unpickled.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import msgspec

from inferd.log import logger
from inferd.verdict import Verdict

PACKAGES = (
    "catboost",
    "inferd",
    "lightgbm",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "scikit-learn",
    "scipy",
    "xgboost",
)


class Compiled(NamedTuple):
    """A verdict, and the ONNX file's content unless the verdict is native."""

    verdict: Verdict
    onnx: bytes | None


class Entry(msgspec.Struct, frozen=True):
    """What is noted beside a compiled file."""

    verdict: Verdict
    sha256: str = ""


class Cache:
    """The entries in one directory. Safe for several processes: files appear whole, by renaming."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Compiled | None:
        """The entry of *key*; None where there is none that can be relied on."""
        note, content = self._paths(key)
        try:
            if not _private(self._folder):
                return None
            entry = msgspec.json.decode(note.read_bytes(), type=Entry)
            if entry.verdict.kind == "native":
                return Compiled(entry.verdict, None)
            data = content.read_bytes()
        except (OSError, msgspec.MsgspecError):
            return None
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            logger.warning("%s was changed after it was compiled; it is compiled again", content)
            return None
        return Compiled(entry.verdict, data)

    def put(self, key: str, compiled: Compiled) -> None:
        """Keep an entry; a disk that cannot hold it costs only the next start's time."""
        note, content = self._paths(key)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _private(self._folder):
                logger.warning("%s is open to others, so nothing is cached there", self._folder)
                return
            digest = ""
            if compiled.onnx is not None:
                digest = hashlib.sha256(compiled.onnx).hexdigest()
                _write(content, compiled.onnx)
            _write(note, msgspec.json.encode(Entry(compiled.verdict, digest)))
        except OSError as error:
            logger.warning("the compiled model is not cached: %s", error)

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self._folder / f"{key}.json", self._folder / f"{key}.onnx"


def key_of(digest: str, versions: Mapping[str, str], options: Mapping[str, str]) -> str:
    """The name of the entry for an artifact's *digest* under these circumstances."""
    parts = [
        digest,
        own_digest(),
        *(f"{k}={v}" for k, v in sorted({**versions, **options}.items())),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def versions() -> dict[str, str]:
    """The versions of the packages that decide what a compiled model is, as far as installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def own_digest() -> str:
    """A digest of the source of all that compiles: a changed compiler must not find old entries."""
    root = Path(__file__).parent
    folders = (root, root.parent / "estimators")
    digest = hashlib.sha256()
    for path in sorted(p for folder in folders for p in folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where compiled models lie unless the operator says otherwise.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    base = environment.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path("~/.cache").expanduser()
    return root / "inferd" / "compiled"


def _private(folder: Path) -> bool:
    """Whether *folder* is ours and closed to everybody else."""
    found = folder.lstat()
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and ours and not found.st_mode & 0o077


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
