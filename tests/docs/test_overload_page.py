"""The table in docs/overload.md of how each dialect refuses is true."""

import re
from pathlib import Path

import pytest

from inferd import plugins
from inferd.errors import DeadlineExceeded, NotReady, Overloaded, QueueFull, Refused
from inferd.lanes import grpc_statuses, statuses
from inferd.protocols.base import Dialect

PAGE = Path(__file__).resolve().parents[2] / "docs" / "overload.md"
TABLE = PAGE.read_text().partition("## What a client sees")[2].partition("\n## ")[0]
ROW = re.compile(r"^\| (\w+)(?: at `--(\w+)`)?(, gRPC)?((?: \| [A-Z0-9_]+){4}) \|$", re.MULTILINE)
REFUSALS = [
    QueueFull("full"),
    Overloaded("held"),
    NotReady("not ready"),
    DeadlineExceeded("too late"),
]
NUMBERS = {"RESOURCE_EXHAUSTED": 8, "UNAVAILABLE": 14, "DEADLINE_EXCEEDED": 4}


def test_every_dialect_is_in_the_table() -> None:
    """By each way in which it can be asked, and at each port where it speaks otherwise."""
    rows = {tuple(row[:3]) for row in ROW.findall(TABLE)}
    for name, dialect in plugins.load_all("protocols"):
        assert (name, "", "") in rows
        assert ((name, "", ", gRPC") in rows) is (dialect.rpc is not None)
        for door in dialect.doors:
            form = dialect.at(door)
            if _told(form, "") != _told(dialect, ""):
                assert (name, door, "") in rows


@pytest.mark.parametrize(("name", "door", "rpc", "cells"), ROW.findall(TABLE))
def test_a_refusal_has_the_status_of_the_table(name: str, door: str, rpc: str, cells: str) -> None:
    """Each dialect refuses as the table says, and says when to come again where that is known."""
    dialect = dict(plugins.load_all("protocols"))[name]
    form = dialect.at(door) if door else dialect
    told = [NUMBERS[cell] if rpc else int(cell) for cell in cells.split(" | ")[1:]]
    assert _told(form, rpc) == told


def _told(dialect: Dialect, rpc: str) -> list[int]:
    return [_status(dialect, rpc, error) for error in REFUSALS]


def _status(dialect: Dialect, rpc: str, error: Refused) -> int:
    if rpc:
        assert dialect.rpc is not None
        return grpc_statuses.STATUS[dialect.rpc.status(error)[0]]
    return statuses.STATUS[dialect.code(error, None)][0]
