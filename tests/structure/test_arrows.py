"""The import rules that import-linter's layers cannot say."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import inferd


def test_every_room_has_its_layer(modules: Sequence[Any], project: Mapping[str, Any]) -> None:
    """Each module and package right under inferd stands in the layers of pyproject.toml."""
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = {name for layer in layers for name in re.findall(r"[\w.]+", layer)}
    rooms = {".".join(module.name.split(".")[:2]) for module in modules}
    assert rooms - placed - {"inferd", "inferd.__main__"} == set()


def test_no_module_imports_a_public_name_from_the_root(modules: Sequence[Any]) -> None:
    """The root's names come from above; only its version may be imported from within."""
    public = {f"inferd.{name}" for name in inferd.__all__} - {"inferd.__version__"}
    public -= {module.name for module in modules}
    upward = {module.name: sorted(public & {*module.imports()}) for module in modules}
    assert {name: found for name, found in upward.items() if found} == {}
