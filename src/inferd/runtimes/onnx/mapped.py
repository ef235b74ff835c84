"""Copies of large models whose weights are mapped from disk, so that all workers hold them once.

ONNX Runtime reads weights into memory of each process's own, and keeps most of them once more, in
the order in which its kernels read them. It can also write all of that to disk, once, and map it
from there: the same kernels then read the same numbers, and what processes map they share.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from inferd.log import logger
from inferd.runtimes.onnx.weights import weight_files

WORTH = 32 << 20
"""Bytes of a model from which on it is copied: a worker's other memory is as much."""
ROOM = 4
"""A copy takes twice the model's bytes; so many times must be free, for others need some, too."""
UNUSED = 30 * 86400.0
"""Seconds after which a copy that nobody opened is removed."""
HALF, ABANDONED = "half-", 3600.0
"""How the name of a copy begins that is being made, and seconds after which nobody makes it still:
whoever did was killed."""
MODEL, WEIGHTS = "model.onnx", "model.data"
ENTRIES = {
    "session.optimized_model_external_initializers_file_name": WEIGHTS,
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
    "session.save_external_prepacked_constant_initializers": "1",
}
"""What has ONNX Runtime write the weights apart, as its kernels want them."""


def mapped(path: Path, folder: Path, version: str, write: Callable[[Path], None]) -> Path:
    """The copy of the model at *path* in *folder*, made unless it is there; *path* itself where a
    copy is not worth it or cannot be had.

    ``write`` has ONNX Runtime, of that *version*, write it to a path, and raises ValueError where
    that fails. Blocks.
    """
    try:
        files = [(each.resolve(), each.stat()) for each in weight_files(path)]
        size = sum(status.st_size for _, status in files)
        if size < WORTH:
            return path
        facts = [version, _processor()]
        # Tools that set a file's time back to what it was, or to the same for all, cannot set this.
        times = "{0.st_size} {0.st_mtime_ns} {0.st_ctime_ns}"
        facts += [f"{name} {times.format(status)}" for name, status in files]
        copy = folder / hashlib.sha256("\n".join(facts).encode()).hexdigest()[:40]
        _make_private(folder.parent)  # who may write there could put another folder in its place
        _make_private(folder)
        if not copy.exists():
            _make(copy, size, write)
        model = copy / MODEL
        if model.exists():
            with suppress(OSError):  # of a disk that is only read
                os.utime(copy)
            return model
    except (OSError, ValueError) as error:
        logger.info("the weights of %s are not shared: %s", path.name, error)
    return path


def forget(model: Path) -> None:
    """Remove a copy that cannot be opened, so that it is made anew."""
    shutil.rmtree(model.parent, ignore_errors=True)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.getuid():
        raise ValueError(f"{folder} is open to others")


def _make(copy: Path, size: int, write: Callable[[Path], None]) -> None:
    """It appears whole; one that cannot be written as an empty folder, so that none tries again."""
    folder = copy.parent
    _remove_unused(folder, time.time())
    if shutil.disk_usage(folder).free < ROOM * size:
        raise ValueError(f"too little room on the disk of {folder}")
    made = Path(tempfile.mkdtemp(prefix=HALF, dir=folder))
    try:
        try:
            write(made / MODEL)
        except ValueError as error:
            logger.info("weights are not shared: %s", error)
            made = _emptied(made)
        try:
            made.rename(copy)
        except OSError:
            if not copy.exists():  # where it does another worker was quicker
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    return folder


def _remove_unused(folder: Path, now: float) -> None:
    for each in folder.iterdir():
        kept = ABANDONED if each.name.startswith(HALF) else UNUSED
        with suppress(FileNotFoundError):  # another worker does the same
            if now - each.stat().st_mtime > kept:
                shutil.rmtree(each, ignore_errors=True)


def _processor() -> str:
    """What decides in which order the kernels want the weights."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))
