"""Whether a UBJSON document is whole: XGBoost reads on past the end of one that was cut off."""

SIZES = {"i": 1, "U": 1, "I": 2, "u": 2, "l": 4, "m": 4, "L": 8, "d": 4, "D": 8, "C": 1}
"""Bytes of a value, by its type's letter."""
BARE = "ZNTF"
"""The letters of values that have no bytes."""
OBJECT, LIST = -1, -2
"""What is open, where it is not a list of so many values more."""


def is_whole(content: bytes) -> bool:
    """Whether *content* is one object from its first byte to its last."""
    try:
        return content[:1] == b"{" and _Reader(content).end() == len(content)
    except (IndexError, KeyError):
        return False


class _Reader:
    """Steps over values, each to its end, which lies inside the content or raises IndexError."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0
        self._open: list[int] = []

    def end(self) -> int:
        """Where the first value ends. A stack of its own: what is nested deeper than Python's must
        not be worse than damaged."""
        self._value()
        while self._open:
            left = self._open[-1]
            closing = {OBJECT: "}", LIST: "]"}.get(left, "")
            if left == 0 or (closing and chr(self._content[self._at]) == closing):
                self._at += bool(closing)
                self._open.pop()
                continue
            if left == OBJECT:
                self._skip(self._number(self._letter()))
            elif left > 0:
                self._open[-1] -= 1
            self._value()
        return self._at

    def _value(self) -> None:
        letter = self._letter()
        if letter == "{":
            self._open.append(OBJECT)
        elif letter == "[":
            self._list()
        elif letter in "SH":
            self._skip(self._number(self._letter()))
        elif letter not in BARE:
            self._skip(SIZES[letter])

    def _list(self) -> None:
        """Past the head of a list; past all of it where its values are of one type."""
        head = chr(self._content[self._at])
        if head == "$":
            self._at += 1
            size = SIZES[self._letter()]
            self._skip(1)
            self._skip(size * self._number(self._letter()))
        elif head == "#":
            self._at += 1
            self._open.append(self._number(self._letter()))
        else:
            self._open.append(LIST)

    def _number(self, letter: str) -> int:
        start = self._at
        self._skip(SIZES[letter])
        number = int.from_bytes(self._content[start : self._at], "big", signed=letter != "U")
        if number < 0:
            raise IndexError(number)
        return number

    def _letter(self) -> str:
        self._at += 1
        return chr(self._content[self._at - 1])

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > len(self._content):
            raise IndexError(self._at)
