"""Writes docs/models.md: which models are compiled, how that is checked, and what the sweep found.

Run it as `make models`.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.machine import cpu_model, package_version
from tests.formats.cases import FULL, Case
from tests.formats.sweep import SPEEDS, TURNS, Outcome, held
from tests.formats.zoo import CASES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
PACKAGES = ("inferd", "onnxruntime", "numpy", "scikit-learn", "xgboost", "lightgbm", "catboost",
            "onnx")  # fmt: skip

HEAD = """\
# Models

<!-- Written by `make models`; changes by hand are lost. -->

inferd serves models of scikit-learn, XGBoost, LightGBM and CatBoost as their libraries save them.
Where it can, it first rewrites the model as an ONNX graph, which ONNX Runtime answers in
microseconds. It does so only where the graph gives the library's own answers; otherwise the library
itself keeps answering. Which of the two happened is the model's *verdict*, and it is told in the
banner, in the model's metadata and by `inferd check model.pkl`.

## The verdicts

- **exact**: all trees of the graph were read back and held against the model's, node by node; all
  other arithmetic is of the kind that has only one right result; and on every probe the answers
  were the same to the last bit.
- **agrees**: on every probe the labels were the same and the scores as good as the same: no further
  apart than 1e-9 where the model computes in float64, and 1e-5 in float32 (absolutely up to 1,
  relatively beyond). Two libraries round an exponential or a long sum differently in the last bit;
  that is what is left. It is evidence and no proof: a row between two labels, where nothing but
  the last bit decides, may get the one here and the other there.
- **native**: the library itself answers, for the reason that is given. Nothing is lost but speed.

## How it is checked

Each time a model is compiled, both forms are asked some thousands of rows that are made to tell
them apart: values at every threshold of every tree and the floating-point numbers next to them,
rows at which two classes tie, rows to both sides of the point where the label changes, very large
and very small numbers, zeros of both signs, missing values, unknown categories, and calls of
several sizes. One label that differs, ties included, and the library answers. Rows of your own join
them with `inferd check model.pkl --sample rows.csv`.

The tables below come from a larger and independent check: each model is trained, saved, loaded and
compiled as the server does it, and then its library and the compiled form are asked up to
{full:,} rows of each kind:

- **numeric**: like the rows it was trained on, and beyond their range; unknown categories where the
  model takes them;
- **missing**: the same with a tenth of the numbers missing, where the model takes that;
- **near**: float64 numbers at the thresholds of trees and one floating-point step beside them, and
  rows to both sides of the points where the answer changes: there, one step beside, and 1e-9 to
  1e-3 of the way between two rows beside. Models that decide by a sum or a logarithm, such as
  linear ones, are asked from 1e-9 on only: nearer than that the last bit decides, on which two
  computers need not agree either;
- **ties**: whole and half numbers on a coarse grid, for models that were trained on one.

Rows are fewer where the library is slow (nearest neighbours, support vectors, Gaussian processes).

## Numbers on the wire

The signature tells what to send. Its datatype is that in which the model itself compares: `FP32`
for scikit-learn's own trees and forests, XGBoost and CatBoost, which turn every row into float32
first, and `FP64` for everything else. In JSON there is no difference to see. A client that sends
float64 numbers to an `FP32` model rounds them just as the library would have.

## What helps a model to be compiled

- Use the libraries' own transformers. A class or a function of your own cannot be read, so a
  pipeline with one stays native; `FunctionTransformer` around your own function is one.
- Do what only you can do before the request, or in a separate step, and save the rest.
- Encode words with `OneHotEncoder` or `OrdinalEncoder` in a `ColumnTransformer`; the request then
  has one input a column, by the columns' names.
- A scaler in front of trees is not needed, and costs a little.
- If the verdict is native, the reason names the part that is in the way.

## What was found

{summary}

Speed-up is the time of a call to the library divided by that of the same call to the compiled form,
for 1 row and for {many:,} rows, in one process, without a server, with the threads that each takes
by itself; the best of {turns} turns. These models are small, 10 trees mostly, so that all can be
asked in minutes. It was measured on:

{machine}
"""


def page(outcomes: Mapping[str, Outcome]) -> str:
    """The page as Markdown."""
    facts = {"CPU": _cpu(), "Python": sys.version.split()[0]}
    facts |= {package: package_version(package) for package in PACKAGES}
    machine = "\n".join(f"- {name} {value}" for name, value in facts.items())
    head = HEAD.format(
        full=FULL, many=SPEEDS[1], turns=TURNS, summary=_summary(outcomes), machine=machine
    )
    return "\n".join([head, *_families(outcomes)]) + "\n"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    return (cpu_model(info.read_text()) if info.exists() else None) or "unknown"


def _summary(outcomes: Mapping[str, Outcome]) -> str:
    kinds = [outcome.verdict.kind for outcome in outcomes.values()]
    asked = sum(sum(outcome.rows.values()) for outcome in outcomes.values())
    wrong = sum(sum(outcome.wrong.values()) for outcome in outcomes.values())
    return (
        f"Of {len(kinds)} models {kinds.count('exact')} are compiled exactly,"
        f" {kinds.count('agrees')} agree with their library, and {kinds.count('native')} are left"
        f" to it. Both forms were asked {asked:,} rows; labels that differ: {wrong:,}."
    )


def _families(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    families = list(dict.fromkeys(CASES[name].family for name in outcomes))
    for family in [*sorted(each for each in families if ":" in each),
                   *(each for each in families if ":" not in each)]:  # fmt: skip
        yield f"## {family}\n"
        mine = {name: out for name, out in outcomes.items() if CASES[name].family == family}
        compiled = {name: out for name, out in mine.items() if out.verdict.kind != "native"}
        native = {name: out for name, out in mine.items() if out.verdict.kind == "native"}
        if compiled:
            yield from _table(
                ("model", "data", "verdict", "largest difference", "rows compared",
                 "labels that differ", *(f"speed-up, {n:,} row{'s' * (n > 1)}" for n in SPEEDS)),
                [_compiled(name, outcome) for name, outcome in compiled.items()],
            )  # fmt: skip
        if native:
            yield from _table(
                ("left to its library", "reason"),
                [(name, outcome.verdict.reason) for name, outcome in native.items()],
            )


def _compiled(name: str, outcome: Outcome) -> Sequence[str]:
    return (
        name,
        ", ".join(outcome.rows),
        outcome.verdict.kind,
        f"{outcome.difference:.1e}" if outcome.difference else "0",
        f"{sum(outcome.rows.values()):,}",
        f"{sum(outcome.wrong.values()):,}",
        *(_ratio(outcome.native_us[n] / outcome.compiled_us[n]) for n in SPEEDS),
    )


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _line(headings)
    numbers = len(headings) > 2
    yield _line(["---:" if numbers and at > 2 else "---" for at in range(len(headings))])
    yield from (_line(row) for row in rows)
    yield ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main() -> None:
    """Ask every model, tell how it goes, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make models")
    parser.add_argument("--rows", type=int, default=FULL, help="of each kind, at most")
    parser.add_argument("--only", default="", help="models whose name contains this; prints only")
    arguments = parser.parse_args()
    chosen = {name: case for name, case in CASES.items() if arguments.only in name}
    outcomes = {}
    for number, (name, case) in enumerate(chosen.items(), 1):
        outcomes[name] = _told(f"{number}/{len(chosen)} {name}", case, arguments.rows)
    text = page(outcomes)
    if arguments.only:
        print(text)
    else:
        PAGE.write_text(text, "utf-8")
        print(f"Wrote {PAGE}.")


def _told(title: str, case: Case, rows: int) -> Outcome:
    print(title, end=" ... ", flush=True, file=sys.stderr)
    start = time.perf_counter()
    outcome = held(case, min(case.rows, rows), timed=True)
    taken = time.perf_counter() - start
    print(f"{outcome.verdict} ({taken:.1f} s)", flush=True, file=sys.stderr)
    return outcome


if __name__ == "__main__":
    main()
