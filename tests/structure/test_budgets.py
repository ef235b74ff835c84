"""Files and functions stay small enough to be read at once."""

import ast
from collections.abc import Sequence
from typing import Any

FILE_LINES = 400
FUNCTION_LINES = 60


def test_files_are_short(modules: Sequence[Any]) -> None:
    """No source file is longer than 400 lines."""
    lengths = {module.name: len(module.text.splitlines()) for module in modules}
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_functions_are_short(modules: Sequence[Any]) -> None:
    """No function is longer than 60 lines."""
    lengths = {
        f"{module.name}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}
