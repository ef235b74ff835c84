"""Opens a file that may be compressed in one of joblib's ways, told by its first bytes."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO

from inferd import plugins


def opened(path: Path) -> IO[bytes]:
    """The content of *path*, unpacked; to be closed by the caller. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(LONGEST)
    opener = next((o for magic, o in OPENERS.items() if head.startswith(magic)), None)
    return opener(path) if opener else path.open("rb")


def _zlib(path: Path) -> IO[bytes]:
    return BytesIO(zlib.decompress(path.read_bytes()))


def _lz4(path: Path) -> IO[bytes]:
    frame = plugins.require("lz4.frame", "sklearn")
    file: IO[bytes] = frame.open(path, "rb")
    return file


def _gzip(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb")  # type: ignore[return-value]


def _bz2(path: Path) -> IO[bytes]:
    return bz2.open(path, "rb")


def _lzma(path: Path) -> IO[bytes]:
    return lzma.open(path, "rb")


OPENERS: dict[bytes, Callable[[Path], IO[bytes]]] = {
    b"\x78\x01": _zlib,
    b"\x78\x5e": _zlib,
    b"\x78\x9c": _zlib,
    b"\x78\xda": _zlib,
    b"\x1f\x8b": _gzip,
    b"BZh": _bz2,
    b"\x5d\x00": _lzma,
    b"\xfd7zXZ": _lzma,
    b"\x04\x22\x4d\x18": _lz4,
}
LONGEST = max(map(len, OPENERS))
