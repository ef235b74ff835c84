"""Tests of bench/load.py: which program makes the load, and how it is had and run."""

import shutil
from pathlib import Path

import pytest

from bench import load
from bench.dialects import Question
from bench.errors import BenchError


def test_grpc_is_asked_by_h2load_and_all_else_by_wrk() -> None:
    """wrk speaks HTTP/1.1 alone."""
    assert load.tool("grpc") is load.tool("grpc-live") is load.H2LOAD
    assert load.tool("oip") is load.tool("mlflow") is load.WRK


@pytest.mark.parametrize(
    ("tool", "package"), [(load.WRK, "wrk"), (load.H2LOAD, "nghttp2-client")], ids=["wrk", "h2load"]
)
def test_a_program_that_is_missing_is_asked_for_by_its_package(
    tool: load.Tool, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot be installed, the line that installs it is told."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchError, match=rf"{tool.name} .*apt-get install .* {package}$"):
        load.require(tool)


@pytest.mark.parametrize("tool", [load.WRK, load.H2LOAD], ids=["wrk", "h2load"])
def test_a_refused_connection_is_a_bench_error(tool: load.Tool, tmp_path: Path) -> None:
    """Where nothing listens, the real program's fault is told in a sentence."""
    if not shutil.which(tool.name):
        pytest.skip(f"{tool.name} is not installed")
    question, path = Question(b"{}"), tmp_path / f"body{tool.suffix}"
    path.write_bytes(tool.write(question))
    pinned = tool.command("http://127.0.0.1:1/", question, path, 1, 0)
    with pytest.raises(BenchError, match=tool.name):
        load.run(tool, pinned[3:], path)
