"""The table in docs/protocols.md of who answers what is true."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from inferd import plugins
from inferd.config import Settings
from inferd.lanes.routing import Routes
from inferd.pipeline import Pipeline

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocols.md"
ROW = re.compile(r"^\| `([A-Z]+) (/[^`]*)` \|([^|]+)\|([^|]*)\|", re.MULTILINE)
TABLE = PAGE.read_text().partition("## Who answers what")[2].partition("\n## ")[0]
ROWS = [tuple(each.strip() for each in row) for row in ROW.findall(TABLE)]


@pytest.fixture(scope="module")
def routes() -> Iterator[Routes]:
    """The routes of the main port."""
    pipeline = Pipeline(Settings(), cores=1)
    yield Routes([dialect for _, dialect in plugins.load_all("protocols")], pipeline.handlers)
    pipeline.close()


def test_the_page_has_the_table() -> None:
    """It is found, so that the test below cannot pass for want of rows."""
    assert len(ROWS) > 15


@pytest.mark.parametrize(("method", "path", "dialect", "rivals"), ROWS)
def test_the_named_dialect_answers(
    routes: Routes, method: str, path: str, dialect: str, rivals: str
) -> None:
    """Each request of the table goes to the dialect that the table names, and the others named
    claim it, too."""
    match = routes.find(method.encode(), path.encode())
    assert (match.dialect.name if match else "the app") == dialect
    pipeline = Pipeline(Settings(), cores=1)
    for rival in filter(None, rivals.split(", ")):
        alone = Routes([plugins.load("protocols", rival)], pipeline.handlers)
        assert alone.find(method.encode(), path.encode()) is not None
    pipeline.close()
