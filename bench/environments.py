"""Environments of their own for the servers that inferd is held against: made once, with pip."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.errors import BenchError

FOLDER = "peers"
STAMP = "made-of"
SHARED = ("scikit-learn", "joblib", "numpy", "onnxruntime")
"""What runs the models: everywhere the versions of our own environment."""
LAST_WORDS = 600


@dataclass(frozen=True)
class Environment:
    """A server's name and what pip installs for it; the first package is the server itself."""

    name: str
    packages: tuple[str, ...]
    models: bool = True
    """Whether scikit-learn and ONNX Runtime are there, too."""

    @property
    def requirements(self) -> list[str]:
        return [*self.packages, *(shared() if self.models else ())]

    def python(self, work: Path) -> Path:
        return work / FOLDER / self.name / "bin" / "python"


def make(work: Path, environment: Environment, say: Callable[[str], None]) -> None:
    """Have it in *work*. Raises BenchError with pip's last words where it cannot be had."""
    folder = work / FOLDER / environment.name
    wanted = json.dumps([sys.version, *environment.requirements])
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"  pip installs {environment.packages[0]} into {folder.name}/ (a minute or two)")
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    pip = [str(environment.python(work)), "-m", "pip", "install", "--quiet"]
    _run([*pip, "--disable-pip-version-check", *environment.requirements])
    stamp.write_text(wanted)


def shared() -> list[str]:
    return [f"{package}=={version(package)}" for package in SHARED]


def versions(work: Path, environment: Environment) -> dict[str, str]:
    """Of the packages that it was made of."""
    names = [_name(package) for package in environment.requirements]
    program = (
        "import json, sys; from importlib.metadata import version; "
        "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    )
    done = _run([str(environment.python(work)), "-c", program, *names])
    found: dict[str, str] = json.loads(done)
    return found


def _name(requirement: str) -> str:
    return requirement.partition("==")[0].partition("[")[0]


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip())[-LAST_WORDS:]
        raise BenchError(f"{Path(argv[0]).name} {' '.join(argv[1:4])} failed: {words}")
    return done.stdout
