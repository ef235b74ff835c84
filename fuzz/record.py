"""What a run found: failures with their bytes, counts, the server's memory; and how it is told."""

# ruff: noqa: T201 - a program that prints

import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ENOUGH = 50  # failures: more would tell nothing new


class Failure(NamedTuple):
    """Something that must not happen, and the bytes that made it happen."""

    kind: str
    detail: str
    sent: bytes


class Record:
    """The findings of a run."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self.started = time.monotonic()
        self.counts = Counter[str]()
        self.failures: list[Failure] = []

    @property
    def is_enough(self) -> bool:
        """Whether more failures would tell nothing new."""
        return len(self.failures) >= ENOUGH

    def note(self, failure: Failure) -> None:
        """Keep a failure, and its bytes in a file."""
        self.failures.append(failure)
        if len(self.failures) > ENOUGH:
            return
        self._kept.mkdir(parents=True, exist_ok=True)
        (self._kept / ".gitignore").write_text("*\n")
        stem = f"{failure.kind.replace(' ', '-')}-{len(self.failures)}"
        (self._kept / f"{stem}.bin").write_bytes(failure.sent)
        (self._kept / f"{stem}.txt").write_text(f"{failure.detail}\n")
        print(f"\n{failure.kind}: {failure.detail[:400]}\n  {self._kept / stem}.bin")

    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started

    def tell(self) -> None:
        """Print the table of counts, and whether anything failed."""
        width = max((len(name) for name in self.counts), default=0)
        for name, count in sorted(self.counts.items()):
            print(f"  {name:<{width}}  {count:>10,}")
        print("FAILED" if self.failures else "nothing failed", flush=True)


def show(line: str) -> None:
    """The line of progress: in place on a terminal."""
    sys.stdout.write(f"\r{line}   " if sys.stdout.isatty() else f"{line}\n")
    sys.stdout.flush()
