"""What commands show while they work: one line on standard error that says what is being done."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO


class Status:
    """A line that is written over; silent where standard error is no terminal.

    with Status() as status:
        status("loading model.pkl")
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shows = self._stream.isatty()
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        """Say what is being done now."""
        if self._shows:
            seconds = time.monotonic() - self._started
            self._stream.write(f"\r\x1b[2K  {seconds:5.1f} s  {text} ...")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shows:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
