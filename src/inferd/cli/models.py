"""``inferd models``: list, load, unload and label models of a running server."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inferd.cli.reload import add_pid, expect_done

EXAMPLES = """\
examples:
  inferd models list                         what the server serves, and how often it was asked
  inferd models load iris.onnx               serve one more; where a model of that name is served,
                                             this one takes its place, and no request fails
  inferd models load new.onnx --name iris    the same, under another name than the file's
  inferd models unload iris                  serve it no more; what was asked is still answered
  inferd models label iris 1 stable          let a label stand for a version

A change holds in every worker, or in none; Ctrl-C gives it up where it does not hold yet. inferd
reload keeps it, a new start does not: what is served then stands on the command line.

Exit codes: 0 it holds everywhere; 1 it could not be made, and all is as it was before.
"""


def add_to(commands: Any) -> None:
    """Declare the command and its own commands."""
    parser = commands.add_parser(
        "models",
        help="list, load and unload models of a running server",
        description="List and change what a running server serves.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add(verbs, "list", "show what is served", list_models)
    load = _add(verbs, "load", "serve a model, in every worker", load_model)
    load.add_argument("path", type=Path, metavar="PATH", help="The model's file.")
    load.add_argument("--name", help="The model's name (default: the file's name).")
    unload = _add(verbs, "unload", "serve a model no more", unload_model)
    unload.add_argument("model", metavar="MODEL", help="Its name.")
    unload.add_argument("version", nargs="?", metavar="VERSION", help="One version of it alone.")
    label = _add(verbs, "label", "let a label stand for a version", label_version)
    label.add_argument("model", metavar="MODEL", help="Its name.")
    label.add_argument("version", metavar="VERSION", help="The version that is meant.")
    label.add_argument("label", metavar="LABEL", help="What it is called, such as stable.")


def _add(
    verbs: Any, name: str, help_: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=help_, description=f"{help_[0].upper()}{help_[1:]}."
    )
    add_pid(parser)
    parser.set_defaults(run=run)
    return parser


def list_models(arguments: argparse.Namespace) -> int:
    """Print a table."""
    from inferd.server.control_socket import List, Listed, ask, find

    answer = ask(find(arguments.pid, os.environ), List())
    assert isinstance(answer, Listed)  # noqa: S101 - nothing else answers that
    rows = [
        [m.model, m.version, ", ".join(m.labels) or "-", str(m.requests), str(m.failures), m.path]
        for m in answer.models
    ]
    print(f"{answer.url}\n")
    for line in table([["model", "version", "labels", "answered", "failed", "path"], *rows]):
        print(f"  {line}")
    return 0


def load_model(arguments: argparse.Namespace) -> int:
    """Load it everywhere."""
    from inferd.server.link import Load

    path = arguments.path.absolute()  # the server's working directory may be another
    change = Load(str(path), arguments.name)
    return _change(arguments, change, f"loading {path.name}", f"Every worker serves {path.name}.")


def unload_model(arguments: argparse.Namespace) -> int:
    """Unload it everywhere."""
    from inferd.server.link import Unload

    what = f"version {arguments.version} of " if arguments.version else ""
    change = Unload(arguments.model, arguments.version)
    told = f"No worker serves {what}{arguments.model} any more."
    return _change(arguments, change, f"unloading {arguments.model}", told)


def label_version(arguments: argparse.Namespace) -> int:
    """Label it everywhere."""
    from inferd.server.link import Label

    model, label, version = arguments.model, arguments.label, arguments.version
    told = f"In every worker {label} is version {version} of {model}."
    return _change(arguments, Label(model, label, version), f"labelling {model}", told)


def _change(arguments: argparse.Namespace, change: Any, doing: str, told: str) -> int:
    from inferd.server.control_socket import ask, find
    from inferd.terminal import Status

    place = find(arguments.pid, os.environ)
    with Status() as status:
        status(doing)
        expect_done(ask(place, change))
    print(told)
    return 0


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns under one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
