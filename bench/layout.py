"""Cells in lines as a table: for a Markdown page, and for a terminal."""

from collections.abc import Sequence


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]], rest: str = "---:") -> str:
    """`rest` is the alignment of all columns but the first."""
    rule = ["---"] + [rest] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  "
        + cells[0].ljust(widths[0])
        + "".join(
            f"  {cell.rjust(width)}" for cell, width in zip(cells[1:], widths[1:], strict=True)
        )
        for cells in lines
    )
