"""Tests of bench/page.py: a part that is written anew leaves the others as they are."""

from pathlib import Path

from bench import page


def test_parts_survive_each_other(tmp_path: Path) -> None:
    """Whichever is measured last, the page has all of them, in one order."""
    path = tmp_path / "docs" / "performance.md"
    page.put(path, "peers", "## Others\n\nolder")
    page.put(path, "servers", "# Performance\n\n| a |\n")
    page.put(path, "peers", "## Others\n\nnewer")
    text = path.read_text()
    assert page.read(text) == {
        "servers": "# Performance\n\n| a |",
        "peers": "## Others\n\nnewer",
    }
    assert text.index("# Performance") < text.index("## Others")
    assert "older" not in text


def test_a_page_without_parts_is_the_first_of_them(tmp_path: Path) -> None:
    """What was written before there were parts is not lost by the first new one."""
    path = tmp_path / "performance.md"
    path.write_text("# Performance\n\nwhole\n")
    page.put(path, "scaling", "## More workers")
    assert page.read(path.read_text()) == {
        "servers": "# Performance\n\nwhole",
        "scaling": "## More workers",
    }


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    """No blank lines gather."""
    path = tmp_path / "performance.md"
    page.put(path, "servers", "# Performance")
    once = path.read_text()
    page.put(path, "servers", "# Performance\n\n")
    assert path.read_text() == once
