"""docs/settings.md against the program."""

import json
import re
from pathlib import Path

from inferd.config import settings_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_the_page_lists_exactly_the_settings() -> None:
    """Every setting stands in the table, in order, with its default and its help, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \| .* \| (.*) \|$", PAGE.read_text("utf-8"), re.M)
    assert rows == [(s.name, json.dumps(s.default), s.help) for s in settings_table()]
