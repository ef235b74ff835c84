"""The page's parts: each is measured and written by itself, and leaves the others as they are."""

import re
from pathlib import Path
from typing import Final

ORDER: Final = ("servers", "peers", "scaling", "batching")
_PART = re.compile(r"^<!-- part: (\w+) -->\n(.*?)^<!-- end: \1 -->\n", re.MULTILINE | re.DOTALL)


def read(page: str) -> dict[str, str]:
    """The parts by name."""
    return {found[1]: found[2].strip() for found in _PART.finditer(page)}


def written(parts: dict[str, str]) -> str:
    """The page of these parts."""
    known = [name for name in ORDER if name in parts]
    return "\n".join(
        f"<!-- part: {name} -->\n{parts[name].strip()}\n<!-- end: {name} -->\n" for name in known
    )


def put(path: Path, part: str, text: str) -> None:
    """Write one part anew. A page that has no parts yet is the first of them."""
    page = path.read_text() if path.exists() else ""
    parts = read(page)
    if not parts and page.strip():
        parts = {ORDER[0]: page}
    path.parent.mkdir(exist_ok=True)
    path.write_text(written(parts | {part: text}))
