"""Tests of bench/triton.py: a server that cannot be had is told, and half of one is not kept."""

import zipfile
from pathlib import Path

import pytest

from bench import triton
from bench.errors import BenchError


def test_a_wheel_that_pip_cannot_fetch_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The benchmark goes on without it, and says what pip said."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(BenchError, match=f"pip could not fetch {triton.WHEEL}"):
        triton.fetch(tmp_path)


def test_a_server_that_does_not_run_here_is_told(tmp_path: Path) -> None:
    """Its libraries may want a newer system: what they say is in the error."""
    found = triton.program(tmp_path)
    found.parent.mkdir(parents=True)
    found.write_text("#!/bin/sh\necho no GLIBC_2.99 >&2\nexit 1\n")
    found.chmod(0o755)
    with pytest.raises(BenchError, match=r"does not run here: no GLIBC_2\.99"):
        triton.fetch(tmp_path)


def test_a_wheel_that_was_half_unpacked_is_unpacked_anew(tmp_path: Path) -> None:
    """What an interrupted run left behind does not stand for the whole."""
    wheel, folder = tmp_path / "nvidia_pytriton-0-py3-none-any.whl", tmp_path / triton.FOLDER
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(triton.START, "whole")
    (folder.with_suffix(".part") / triton.START).parent.mkdir(parents=True)
    (folder.with_suffix(".part") / triton.START).write_text("ha")
    triton.unpack(wheel, folder)
    assert triton.program(tmp_path).read_text() == "whole"
    assert not wheel.exists()
