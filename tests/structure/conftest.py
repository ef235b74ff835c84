"""What the structure tests look at: the package's source and the project's files around it."""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import inferd

ROOT = Path(__file__).resolve().parents[2]


class Module(NamedTuple):
    """One source file: its dotted name, its text and its syntax tree."""

    name: str
    text: str
    tree: ast.Module

    def imports(self) -> Iterator[str]:
        """The dotted names that it imports anywhere; ``from a import b`` gives ``a.b``."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="session")
def modules() -> tuple[Module, ...]:
    """Every module of inferd, read from where it is imported from: src/ or an installed wheel."""
    package = Path(inferd.__file__).parent
    return tuple(_module(package, path) for path in sorted(package.rglob("*.py")))


@pytest.fixture(scope="session")
def project() -> Mapping[str, Any]:
    """pyproject.toml as a document."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def changelog() -> str:
    """The changelog's text."""
    return (ROOT / "CHANGELOG.md").read_text("utf-8")


def _module(package: Path, path: Path) -> Module:
    parts = path.relative_to(package.parent).with_suffix("").parts
    text = path.read_text("utf-8")
    return Module(".".join(parts).removesuffix(".__init__"), text, ast.parse(text))
