"""Tests of bench/environments.py: what cannot be had is told, and what is there is kept."""

import json
import sys
from pathlib import Path

import pytest

from bench import environments
from bench.environments import Environment
from bench.errors import BenchError

NOWHERE = Environment("nowhere", ("no-such-package-of-inferd==1",))


@pytest.mark.slow
def test_a_package_that_pip_cannot_find_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pip's own words; the benchmark goes on without that server."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(BenchError, match="no-such-package-of-inferd"):
        environments.make(tmp_path, NOWHERE, lambda _: None)
    assert not (tmp_path / "peers" / "nowhere" / environments.STAMP).exists()


def test_an_environment_that_was_made_of_the_same_is_kept(tmp_path: Path) -> None:
    """pip is asked again only when something else is wanted."""
    folder = tmp_path / environments.FOLDER / NOWHERE.name
    folder.mkdir(parents=True)
    wanted = [sys.version, *NOWHERE.requirements]
    (folder / environments.STAMP).write_text(json.dumps(wanted))
    said: list[str] = []
    environments.make(tmp_path, NOWHERE, said.append)
    assert said == []


def test_versions_are_those_of_the_environment(tmp_path: Path) -> None:
    """Its own Python is asked."""
    environment = Environment("own", ("orjson", "pydantic[email]==1"))
    python = environment.python(tmp_path)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (python.parent.parent / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    lib = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    (python.parent.parent / lib).parent.mkdir()
    (python.parent.parent / lib).symlink_to(Path(sys.prefix) / lib)
    found = environments.versions(tmp_path, environment)
    assert set(found) == {"orjson", "pydantic", *environments.SHARED}
