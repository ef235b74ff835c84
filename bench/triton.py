"""Triton's own server, fetched once from PyPI: PyTriton's wheel for Linux on x86-64 has it."""

import subprocess
import sys
import zipfile
from pathlib import Path

from bench.errors import BenchError

WHEEL = "nvidia-pytriton==0.7.0"
FOLDER = "triton"
START = "pytriton/tritonserver/bin/tritonserver"
LAST_WORDS = 300


def program(work: Path) -> Path:
    """Where it is, once it is fetched."""
    return work / FOLDER / START


def fetch(work: Path) -> None:
    """Have it in *work*. Raises BenchError where it cannot be had, or does not run here."""
    found = program(work)
    if not found.exists():
        unpack(_download(work), work / FOLDER)
        found.chmod(0o755)  # zip files know no permissions, as Python unpacks them
    _say(found)


def _download(work: Path) -> Path:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(
        [*argv, "--dest", str(work), WHEEL], capture_output=True, text=True, check=False
    )
    wheels = sorted(work.glob("nvidia_pytriton-*.whl"))
    if done.returncode != 0 or not wheels:
        raise BenchError(f"pip could not fetch {WHEEL}: {done.stderr.strip()[-LAST_WORDS:]}")
    return wheels[-1]


def unpack(wheel: Path, folder: Path) -> None:
    """Under another name first, so that *folder* is there only when it is whole."""
    begun = folder.with_suffix(".part")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(begun)
    begun.rename(folder)
    wheel.unlink()


def _say(found: Path) -> None:
    """Have it tell its usage: its libraries may want a newer system."""
    try:
        done = subprocess.run([found, "--help"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise BenchError(f"tritonserver does not run here: {error}") from None
    if "--model-repository" not in done.stdout + done.stderr:
        raise BenchError(f"tritonserver does not run here: {done.stderr.strip()[-LAST_WORDS:]}")
