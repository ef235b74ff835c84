"""inferd.plugins: found by file name or by entry point, imported only when used."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inferd import plugins
from inferd.errors import ConfigError, MissingPackage


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with a distribution that declares plug-ins."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[inferd.layouts]\ntheirs = their_layout\nfile = their_layout\na_first = their_layout\n"
        "missing = not_there\n"
    )
    (tmp_path / "their_layout.py").write_text("plugin = 'a layout'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins._third_party.cache_clear()
    yield tmp_path
    plugins._third_party.cache_clear()
    sys.modules.pop("their_layout", None)


def test_built_in_plugins_are_the_files_of_their_folder() -> None:
    """Each kind lists its files in order of the alphabet, without its contract."""
    assert plugins.names("schedulers") == ("batch", "direct")
    for kind, package in plugins.KINDS.items():
        found = plugins.names(kind)
        assert found == tuple(sorted(found))
        assert "base" not in found
        for name in found:
            module = importlib.import_module(f"{package}.{name}")
            assert plugins.load(kind, name) is module.plugin


def test_third_parties_come_after_the_built_in_ones(third_party: Path) -> None:
    """An entry point is a plug-in; it cannot take a built-in one's name."""
    assert plugins.names("layouts") == ("file", "a_first", "missing", "theirs")
    assert plugins.load("layouts", "theirs") == "a layout"
    assert plugins.load("layouts", "file") != "a layout"
    assert [name for name, _ in zip("ab", plugins.load_all("layouts"), strict=False)] == ["a", "b"]


def test_listing_imports_nothing(third_party: Path) -> None:
    """A plug-in that cannot be imported is listed, and fails when it is used."""
    assert "missing" in plugins.names("layouts")
    assert "their_layout" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        plugins.load("layouts", "missing")


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    """The error lists what there is."""
    with pytest.raises(ConfigError, match="no plug-in in schedulers: got 'x', expected batch, di"):
        plugins.load("schedulers", "x")


def test_a_package_that_is_there_is_imported() -> None:
    """A plug-in gets the module."""
    assert plugins.require("json", "x") is sys.modules["json"]


def test_a_missing_package_gives_the_pip_line(tmp_path: Path) -> None:
    """The error is the line that mends it, for a package and for a module in one."""
    for name in ("no_such_package", "no_such_package.part"):
        with pytest.raises(MissingPackage, match=r"pip install 'inferd\[trees\]'"):
            plugins.require(name, "trees")


def test_a_package_that_lacks_one_of_its_own_is_not_blamed_on_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken installation is told as it is."""
    (tmp_path / "broken_package.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        plugins.require("broken_package", "trees")
