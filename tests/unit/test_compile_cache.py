"""compiling/cache: compiled models on disk."""

import stat
from pathlib import Path

import msgspec
import pytest

from inferd.compiling.cache import Cache, Compiled, Entry, default_folder, key_of, versions
from inferd.verdict import Verdict

EXACT = Compiled(Verdict(kind="exact", probes=3), b"the file")
NATIVE = Compiled(Verdict(kind="native", reason="no exact form"), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for a cache that is not there yet."""
    return tmp_path / "a" / "cache"


@pytest.mark.parametrize("compiled", [EXACT, NATIVE])
def test_what_was_put_is_got(folder: Path, compiled: Compiled) -> None:
    """An entry comes back whole, verdict and file; another key has none."""
    Cache(folder).put("k", compiled)
    assert Cache(folder).get("k") == compiled
    assert Cache(folder).get("other") is None


def test_the_folder_is_private(folder: Path) -> None:
    """Nobody else may look in, or write there."""
    Cache(folder).put("k", EXACT)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600, 0o600]


def test_a_folder_that_others_may_write_to_is_not_used(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither read nor written, and the log says why."""
    Cache(folder).put("k", EXACT)
    folder.chmod(0o770)
    assert Cache(folder).get("k") is None
    Cache(folder).put("other", EXACT)
    assert not (folder / "other.onnx").exists()
    assert "open to others" in caplog.text


def test_a_link_to_a_folder_is_not_used(folder: Path, tmp_path: Path) -> None:
    """Whoever can place a link could place a model."""
    Cache(folder).put("k", EXACT)
    (tmp_path / "link").symlink_to(folder)
    assert Cache(tmp_path / "link").get("k") is None


def test_a_changed_file_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is not what was written is as good as none."""
    Cache(folder).put("k", EXACT)
    (folder / "k.onnx").write_bytes(b"another file")
    assert Cache(folder).get("k") is None
    assert "was changed" in caplog.text


@pytest.mark.parametrize("note", [b"", b"{", b"{}", b'{"verdict":{"kind":"sure"}}'])
def test_a_damaged_note_is_not_used(folder: Path, note: bytes) -> None:
    """A note that cannot be read is as good as none."""
    Cache(folder).put("k", EXACT)
    (folder / "k.json").write_bytes(note)
    assert Cache(folder).get("k") is None


def test_a_folder_that_cannot_be_made_costs_nothing_but_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Compiling goes on without it, and the log says so."""
    (tmp_path / "file").touch()
    Cache(tmp_path / "file" / "cache").put("k", EXACT)
    assert "not cached" in caplog.text


def test_the_key_depends_on_all_that_matters() -> None:
    """Another artifact, version or option is another entry."""
    keys = {
        key_of("a", {"onnx": "1"}, {}),
        key_of("b", {"onnx": "1"}, {}),
        key_of("a", {"onnx": "2"}, {}),
        key_of("a", {"onnx": "1"}, {"sample": "x"}),
    }
    assert len(keys) == 4
    assert key_of("a", {"onnx": "1"}, {}) in keys
    assert {"inferd", "numpy", "onnxruntime"} <= versions().keys()


def test_the_default_place() -> None:
    """Where the XDG specification puts caches; a relative path there means nothing."""
    assert default_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/inferd/compiled")
    home = Path("~/.cache/inferd/compiled").expanduser()
    assert default_folder({}) == default_folder({"XDG_CACHE_HOME": "c"}) == home


def test_an_entry_is_plain_json() -> None:
    """A person can read what was found."""
    entry = Entry(EXACT.verdict, "d")
    assert msgspec.json.decode(msgspec.json.encode(entry), type=Entry) == entry
