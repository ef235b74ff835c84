"""The examples of docs/extending.md work as they stand there."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
ENTRY_POINTS = """\
[inferd.runtimes]
toy = toy_runtime

[inferd.protocols]
toy = toy_dialect
"""


def ask(url: str, body: bytes) -> bytes:
    """The body of the answer to a POST."""
    with urllib.request.urlopen(url, body, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def test_the_toy_format_and_the_toy_protocol_serve_each_other_and_the_plain_one(
    tmp_path: Path,
) -> None:
    """Each is one file; with both, five.toy answers over /toy and over /predict."""
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / re.match(r"# (\w+\.py):", code)[1]).write_text(code)  # type: ignore[index]
    about = tmp_path / "toy-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "five.toy").write_text("5")
    process = subprocess.Popen(
        [sys.executable, "-m", "inferd", "serve", tmp_path / "five.toy", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout:
        url = process.stdout.readline().partition(" on ")[2].split()[0]
        assert ask(f"{url}/toy/five", b"1 2 3") == b"6.0 7.0 8.0"
        assert ask(f"{url}/predict", b'{"features": [[1], [2]]}') == (
            b'{"predictions":[6.0,7.0],"model_version":"1"}'
        )
    process.terminate()
    assert process.wait(20) == 0
