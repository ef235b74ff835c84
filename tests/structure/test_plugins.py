"""A plug-in is on its own: nobody names it, and it names no sibling."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from inferd.plugins import KINDS


def _plugin(name: str) -> str | None:
    """The plug-in that a dotted name lies in; None for a base.py and for all else."""
    found = re.match(rf"(?:{'|'.join(KINDS.values())})\.(?!base\b)\w+", name)
    return found and found[0]


def test_nothing_imports_a_plugin(modules: Sequence[Any]) -> None:
    """A module of a plug-in is imported from within that plug-in alone."""
    named = [
        (module.name, target)
        for module in modules
        for target in module.imports()
        if (plugin := _plugin(target)) and plugin != _plugin(module.name)
    ]
    assert named == []


def test_importing_every_plugin_imports_nothing_heavy(project: Mapping[str, Any]) -> None:
    """Loading all plug-ins and the command line imports no optional or slow package."""
    tidy = project["tool"]["ruff"]["lint"]["flake8-tidy-imports"]
    code = (
        "import json, sys; from inferd import plugins; import inferd.cli.main\n"
        "for kind in plugins.KINDS: list(plugins.load_all(kind))\n"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert set(json.loads(done.stdout)) & set(tidy["banned-module-level-imports"]) == set()
