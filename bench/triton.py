"""Triton's own server, fetched once from PyPI: PyTriton's wheel for Linux on x86-64 has it."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from bench import environments
from bench.environments import Environment
from bench.errors import BenchError

WHEEL = "nvidia-pytriton==0.7.0"
FOLDER = "triton"
START = "pytriton/tritonserver/bin/tritonserver"
STUBS, STUB = "python_backend_stubs", "triton_python_backend_stub"
PACKAGES = Environment("triton", ("numpy==1.26.4",), models=False)
"""Of numpy 2 the backend reads arrays wrongly: all their values are the first one."""
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


def give_python(work: Path, say: Callable[[str], None]) -> None:
    """Have its python backend run this Python, with a numpy that it knows.

    Raises BenchError where it does not know this Python.
    """
    environments.make(work, PACKAGES, say)
    root = program(work).parents[1]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub, wanted = root / STUBS / version / STUB, root / "backends" / "python" / STUB
    if not stub.exists():
        known = sorted(folder.name for folder in (root / STUBS).glob("*"))
        raise BenchError(f"Triton's python backend is for Python {known} and not for {version}")
    shutil.copy(stub, wanted)
    wanted.chmod(0o755)


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
