"""Prints docs/settings.md: every setting, from the class that defines it.

Run it as ``.venv/bin/python scripts/settings_page.py > docs/settings.md`` when a setting changes.
"""

import json
from typing import Any, get_args

from inferd.config import Setting, settings_table

HEAD = """\
# Settings

Every setting can be given on the command line (`--port 8080`), in the environment
(`INFERD_PORT=8080`) or in a TOML file (`port = 8080`): `inferd.toml` in the working directory, or
the one that `--config` or `INFERD_CONFIG` names. The command line wins over the environment, and
the environment over the file. `inferd.serve(path, port=8080)` takes them by the same names.

A name that is not in this table, or a value that does not fit, is an error that says where it was
read. This page is printed by `scripts/settings_page.py`; a test holds it against the program.

| Setting | Default | Values | What it does |
|---|---|---|---|"""


def row(setting: Setting) -> str:
    """One line of the table."""
    return f"| `{setting.name}` | {code(setting.default)} | {values(setting)} | {setting.help} |"


def code(value: Any) -> str:
    """A value as TOML writes it; these are the same in JSON."""
    return f"`{json.dumps(value)}`"


def values(setting: Setting) -> str:
    """What may be given: the kind, or the words to choose from."""
    words = get_args(setting.type)
    return " ".join(map(code, words)) if words else KINDS[setting.type]


KINDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "`true` or `false`",
}

if __name__ == "__main__":
    print("\n".join([HEAD, *map(row, settings_table())]))
