"""The command line: finds the command and runs it. One file in this folder a command."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

import inferd.cli
from inferd import __version__
from inferd.errors import InferdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code: 0, 1 for an error, 2 for a wrong command
    line."""
    parser = argparse.ArgumentParser(
        prog="inferd",
        description="Takes a trained model and makes it answer.",
        epilog="inferd COMMAND --help tells more, with examples.",
    )
    parser.add_argument("--version", action="version", version=f"inferd {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in pkgutil.iter_modules(inferd.cli.__path__):
        if module.name != "main":
            importlib.import_module(f"inferd.cli.{module.name}").add_to(commands)
    chosen = parser.parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
    except KeyboardInterrupt:
        return 130  # as a shell tells a program that Ctrl-C ended
    except InferdError as error:
        print(f"inferd: {error}", file=sys.stderr)
        return 1
    return code
