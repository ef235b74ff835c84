"""Tests of bench/__main__.py: what a newcomer is told."""

import re
import subprocess
import sys


def told(*words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "bench", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_help_teaches_by_examples_that_can_be_run() -> None:
    """Each option of an example is one that there is, and the whole is there."""
    text = told("--help").stdout
    options, _, examples = text.partition("examples, ")
    assert "make bench" in examples
    assert "docs/performance.md" in examples
    shown = set(re.findall(r"--[a-z-]+", examples))
    assert {"--peers", "--scaling", "--batching", "--quick"} <= shown
    assert shown - set(re.findall(r"--[a-z-]+", options)) == set()


def test_a_word_that_is_not_known_is_told_with_those_that_are() -> None:
    """Before anything is started."""
    done = told("--peers", "torchserve")
    assert done.returncode == 1
    assert "got servers ['torchserve'], expected some of" in done.stderr
    assert "Traceback" not in done.stderr
