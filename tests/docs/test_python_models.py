"""The examples of docs/python-models.md work as they stand there."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import inferd
from inferd.server.embedded import Server

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python-models.md"
TEXT = PAGE.read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the page's files."""
    folder = tmp_path_factory.mktemp("page")
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        name = re.match(r"# (\w+\.py)", code)
        assert name, "a file of the page says its name first"
        (folder / name[1]).write_text(code)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """Both models of the page, each in a process of its own."""
    with inferd.serve(folder / "loans.py", folder / "count.py", default_model="loans") as running:
        yield running


def questions() -> list[tuple[str, str, str]]:
    """Each curl line of the page: the URL's path, the body, and the answer below, if it is told."""
    return re.findall(
        r"\$ curl (?:-N )?http://127.0.0.1:8000(\S+) -d '([^']*)'\n((?:\{.*\n)?)", TEXT
    )


def ask(url: str, body: str) -> str:
    """The body of the answer to a POST."""
    with urllib.request.urlopen(url, body.encode(), timeout=10) as answer:
        content: bytes = answer.read()
    return content.decode()


def test_the_page_asks_each_model() -> None:
    """Its lines are found, by what this test looks for."""
    paths = [path for path, _, _ in questions()]
    assert paths == ["/predict", "/v2/models/loans/infer", "/v2/models/count/generate_stream"]


@pytest.mark.parametrize(("path", "body", "answer"), questions(), ids=[q[0] for q in questions()])
def test_a_line_of_the_page_is_answered(server: Server, path: str, body: str, answer: str) -> None:
    """As the page says, where it does."""
    got = ask(server.url + path, body)
    assert got.strip() == answer.strip() or not answer


def test_the_answers_are_right(server: Server) -> None:
    """Rows over the Open Inference Protocol, and parts as events."""
    (_, body, _), (_, events, _) = questions()[1:]
    outputs: list[Any] = json.loads(ask(f"{server.url}/v2/models/loans/infer", body))["outputs"]
    assert [output["data"] for output in outputs] == [[106.07, 2651.64], [False, True]]
    stream = ask(f"{server.url}/v2/models/count/generate_stream", events)
    assert [json.loads(n) for n in re.findall(r'"number":(\d+)', stream)] == [0, 1, 2]


def test_an_error_for_the_client_is_the_clients(server: Server) -> None:
    """What the example refuses is a 400 with its text."""
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(f"{server.url}/predict", '{"features": {"amount": -1, "income": 1}}')
    with raised.value as answer:
        assert (answer.code, b"no loan is negative" in answer.read()) == (400, True)


def test_the_script_prints_its_table(folder: Path) -> None:
    """Without a server, in the same process."""
    done = subprocess.run(
        [sys.executable, "try_loans.py"], cwd=folder, capture_output=True, check=True, text=True
    )
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["row", "prediction"],
        ["0", "106.07"],
        ["1", "2651.64"],
    ]
