"""inferd's gRPC messages and those of other packages live in one process, whichever came first."""

import subprocess
from pathlib import Path

import pytest

import inferd
from tests.clients.conftest import PYTHON, Ask

pytestmark = pytest.mark.clients

PACKAGES = ["tensorflow", "tensorflow_serving", "tritonclient", "kserve", "grpc_health"]


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients' Python finds inferd, and nothing else that is installed beside it."""
    (tmp_path / "inferd").symlink_to(Path(inferd.__file__).parent, target_is_directory=True)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("package", PACKAGES)
def test_messages_beside_those_of(ask: Ask, beside: None, package: str, first: str) -> None:
    """Both packages work, know each other's fields, and write the same bytes."""
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    if subprocess.run([PYTHON, "-c", look], check=False).returncode:
        pytest.skip(f"{package} is not installed")
    told = ask("imports.py", first, package)
    assert all(told.values()), told
