"""What is written in several places is the same in all of them."""

import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import inferd

# Quick to import, and used by nearly every request; the others are imported where they are needed.
LIGHT = {"hpack", "httptools", "msgspec", "numpy", "orjson", "uvloop"}
IMPORTED_AS = {"protobuf": "google.protobuf"}
EXTRA = re.compile(r"""inferd\[(\w[\w-]*)\]|require\("\w+", "([\w-]+)"\)""")


def test_versions_agree(changelog: str) -> None:
    """The newest version in the changelog, the package's and its metadata's are one."""
    newest = re.search(r"^## \[(\d[^]]*)\]", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == inferd.__version__ == metadata.version("inferd")


def test_named_extras_exist(modules: Sequence[Any], project: Mapping[str, Any]) -> None:
    """Every extra that the code tells a user to install can be installed."""
    named = {"".join(found) for module in modules for found in EXTRA.findall(module.text)}
    assert "onnx" in named
    assert named - set(project["project"]["optional-dependencies"]) == set()


def test_heavy_dependencies_are_banned_at_module_level(project: Mapping[str, Any]) -> None:
    """Every core dependency is light, or on ruff's list of what is imported inside functions."""
    required = {re.split(r"[^\w-]", line)[0] for line in project["project"]["dependencies"]}
    tidy = project["tool"]["ruff"]["lint"]["flake8-tidy-imports"]
    imported = {IMPORTED_AS.get(name, name) for name in required - LIGHT}
    assert imported - set(tidy["banned-module-level-imports"]) == set()
