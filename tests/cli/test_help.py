"""What the command line teaches."""

import subprocess
import sys
from pathlib import Path

import pytest

import inferd
from inferd import config
from tests.cli.conftest import Run


def test_help_names_the_commands(run: Run) -> None:
    """``inferd --help`` lists the commands with a line each."""
    ended = run("--help")
    assert ended.code == 0
    assert "serve" in ended.out


def test_serve_help_has_every_setting(run: Run) -> None:
    """``inferd serve --help`` shows every setting with its text and default, and examples."""
    ended = run("serve", "--help")
    text = " ".join(ended.out.split())
    for setting in config.settings_table():
        assert setting.flag in text
        assert setting.help in text
        if setting.default not in ("", False):
            assert f"(default: {setting.default})" in text
    assert "examples:" in ended.out


def test_version(run: Run) -> None:
    """``inferd --version`` is the package's version."""
    assert run("--version").out == f"inferd {inferd.__version__}\n"


def test_the_installed_command_is_the_module(tmp_path: Path) -> None:
    """``inferd`` and ``python -m inferd`` are the same."""
    command = Path(sys.executable).with_name("inferd")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"inferd {inferd.__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("serve",), ("bake",), ("serve", "x", "--nothing")])
def test_a_wrong_command_line_exits_2(run: Run, arguments: tuple[str, ...]) -> None:
    """A command line that cannot be understood gets the usage and exit code 2."""
    ended = run(*arguments)
    assert ended.code == 2
    assert "usage: inferd" in ended.err
