"""A trained model as it lies on disk: its path, its size and its digest."""

import hashlib
from pathlib import Path

import msgspec


class Artifact(msgspec.Struct, frozen=True):
    """A file or directory that a runtime can open."""

    path: Path
    trusted: bool = False
    """Whether the operator said that code in it may run."""
    unchecked: bool = False
    """Whether even calls that no model makes are let through: ``--trust-pickle``."""
    types: tuple[str, ...] = ()
    """The types that a skops file may hold beside the well-known ones: the operator's word."""
    shared: Path | None = None
    """A private folder for what several processes may share in memory of it; None: nothing is."""

    @property
    def suffix(self) -> str:
        """The file name's last suffix in lower case, with its dot."""
        return self.path.suffix.lower()

    def digest(self) -> str:
        """The file's SHA-256, in hexadecimal. Reads all of it."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def head(self, length: int) -> bytes:
        """The file's first *length* bytes, or all where it has fewer."""
        with self.path.open("rb") as file:
            return file.read(length)
