"""The demo: trains a model, serves it, and asks it over every dialect with real clients.

All answers are compared with scikit-learn's own.

Ends with 1 if one answer differs. ``KEEP=1`` in the environment leaves the server running.
"""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from demo_clients import QUESTIONS, Answer, Question, Rows, Served
from demo_model import Trained, export, train

FOLDER = Path(".demo")
MODEL = FOLDER / "breast_cancer.joblib"
LOG = FOLDER / "server.log"
START_LIMIT = 20.0
STOP_LIMIT = 10.0
HEADINGS = ("client", "dialect", "question", "answer", "ms", "agrees")

T = TypeVar("T")


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


def main() -> int:
    """Run the story; the exit status."""
    try:
        return demo(keep=os.environ.get("KEEP", "") not in {"", "0"})
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell reports a program that Ctrl-C ended


def demo(*, keep: bool) -> int:
    """Train, serve, ask, compare; 1 if an answer differs."""
    trained = train()
    export(trained, MODEL)
    print(f"Trained {trained.model} on {len(trained.features)} features of real tumours -> {MODEL}")
    with serving(keep=keep) as served:
        table = [
            ask(question, number, served, trained) for number, question in enumerate(QUESTIONS)
        ]
        show(table)
    differing = sum(row[-1] != "yes" for row in table)
    if differing:
        print(f"{differing} of {len(table)} answers differ from scikit-learn's.")
        return 1
    print(f"All {len(table)} answers are scikit-learn's own, bit for bit.")
    return 0


@contextmanager
def serving(*, keep: bool) -> Iterator[Served]:
    """Run ``inferd serve`` on a free port, and stop it, unless it is to be kept."""
    command = [sys.executable, "-m", "inferd", "serve", str(MODEL), "--port", "0"]
    with LOG.open("wb") as log:
        # A server that is kept must not get the Ctrl-C that ends this program's terminal.
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=keep
        )
    done = False
    try:
        url = poll(lambda: address(process), START_LIMIT, "the server printed no address")
        poll(lambda: ready(url), START_LIMIT, "the server did not become ready")
        print(f"Serving it: {' '.join(['inferd', *command[3:]])} -> {url}")
        print(f"{compiled() or 'Not compiled'}\n")
        yield Served(url, MODEL.stem, MODEL)
        done = True
    finally:
        if not (keep and done):
            stop(process)
    if keep:
        print(f"The server keeps running: {url}/docs  (kill {process.pid} stops it)")


def address(process: subprocess.Popen[bytes]) -> str | None:
    """The URL in the server's banner, once it is printed."""
    if process.poll() is not None:
        raise DemoError(f"the server ended with {process.returncode}:\n{LOG.read_text()}")
    found = re.search(r"http://127\.0\.0\.1:\d+", LOG.read_text())
    return found and found[0]


def compiled() -> str:
    """The banner's line about how the model was compiled."""
    found = re.search(rf"{MODEL.stem}: (compiled from .*)", LOG.read_text())
    return found[1][:1].upper() + found[1][1:] if found else ""


def ready(url: str) -> bool:
    """Does the server say that it can answer?"""
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=1) as reply:  # noqa: S310 - our own server
            return bool(reply.status == 200)
    except urllib.error.URLError:
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server, if it has not ended, as an operator would; it must end cleanly."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        status = process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise DemoError(f"the server did not stop in {STOP_LIMIT:.0f} s") from None
    if status:
        raise DemoError(f"the server ended with {status} when asked to stop:\n{LOG.read_text()}")


def poll(probe: Callable[[], T | None], limit: float, fault: str) -> T:
    """What *probe* gives once it gives something true; DemoError after *limit* seconds."""
    deadline = time.monotonic() + limit
    while not (found := probe()):
        if time.monotonic() > deadline:
            raise DemoError(f"{fault} in {limit:.0f} s:\n{LOG.read_text()}")
        time.sleep(0.02)
    return found


def ask(question: Question, number: int, served: Served, trained: Trained) -> tuple[str, ...]:
    """Ask one question about rows that no other question is about; a row of the table."""
    first = 10 * number
    rows = trained.held_out[first : first + question.rows]
    answer = question.ask(served, rows)
    return (
        question.client,
        question.dialect,
        _question_text(first, rows, trained.features),
        _answer_text(answer, trained.classes),
        f"{answer.seconds * 1000:.1f}",
        "yes" if agrees(answer, rows, trained) else "NO",
    )


def agrees(answer: Answer, rows: Rows, trained: Trained) -> bool:
    """Is this, bit for bit, what scikit-learn says about the same rows?"""
    return bool(
        np.array_equal(answer.labels, trained.model.predict(rows))
        and (
            answer.probabilities is None
            or np.array_equal(answer.probabilities, trained.model.predict_proba(rows))
        )
    )


def show(table: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(HEADINGS, *table, strict=True)]
    for row in (HEADINGS, ["-" * width for width in widths], *table):
        cells = (
            cell.rjust(width) if heading == "ms" else cell.ljust(width)
            for heading, cell, width in zip(HEADINGS, row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())
    print()


def _question_text(first: int, rows: Rows, features: Sequence[str]) -> str:
    which = f"row {first}" if len(rows) == 1 else f"rows {first}-{first + len(rows) - 1}"
    return f"{which}: {features[0]} {', '.join(str(row[0]) for row in rows)} ..."


def _answer_text(answer: Answer, classes: Sequence[str]) -> str:
    if answer.probabilities is None:
        return ", ".join(classes[label] for label in answer.labels)
    return ", ".join(
        f"{classes[label]} {probability[label]:.2f}"
        for label, probability in zip(answer.labels, answer.probabilities, strict=True)
    )


if __name__ == "__main__":
    sys.exit(main())
