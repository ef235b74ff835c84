"""The comparison with other servers as text for a terminal and as a part of the page; no IO."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import layout, machine
from bench.against import PROMPT, RATES, Compared, Offered, Summary
from bench.peers import FORMS, Form
from bench.seen import CONNECTIONS

NAMES: dict[Form, str] = {"pickle": "pickle", "onnx": "ONNX"}
INTRODUCTION = """\
## Other servers

<!-- Written by `make bench ARGS=--peers`; changes by hand are lost. -->

Each server has one worker and one core, with all its processes; the load has the other core. Each
serves the same file, a scikit-learn pickle or an ONNX model, and is asked for one row. Before it is
measured, its label must be that of scikit-learn. inferd answers the probabilities, too; the others
are spared them. *Times* says how many times as many requests inferd answers with the same file; for
MLServer, which is asked in Open Inference Protocol JSON, so is inferd. What can put requests
together is measured with and without.

The requests per second are those of `wrk` with {connections} connections, the median of {rounds}
rounds of {seconds:g} s. inferd is measured before and after the others.
"""
AT_RATES = """\
At fixed rates, requests come at random whether or not the server keeps up (`bench/openloop.py`),
and each latency counts from when its request was due. The 99th percentile in milliseconds, or a
dash where it would be more than {prompt:.0f} ms, or answers are missing; a question mark where the
load itself was late, since something else used its core.
"""


@dataclass(frozen=True)
class Setting:
    """What the page says about how and where it was measured."""

    date: str
    facts: dict[str, str]
    rounds: int
    seconds: float


def text(found: Compared) -> str:
    """All tables for a terminal."""
    parts = []
    for model in _models(found.summaries):
        own = [each for each in found.summaries if each.case.model == model]
        parts += [f"{model}, 1 row", layout.aligned(_rates(own)), layout.aligned(_offered(own))]
    if found.same_code:
        parts += ["the same Python as Triton", layout.aligned(_same_code(found.same_code))]
    parts += [f"left out: {name}: {reason}" for name, reason in found.left_out.items()]
    return "\n\n".join(parts)


def markdown(found: Compared, setting: Setting) -> str:
    """The part of the page."""
    filled = INTRODUCTION.format(
        connections=CONNECTIONS, rounds=setting.rounds, seconds=setting.seconds
    )
    parts = [filled]
    for model in _models(found.summaries):
        own = [each for each in found.summaries if each.case.model == model]
        parts += [f"### {model}, 1 row, same file", f"{own[0].case.title}.", _table(_rates(own))]
    parts.append("### At fixed rates\n\n" + AT_RATES.format(prompt=PROMPT * 1e3))
    for model in _models(found.summaries):
        own = [each for each in found.summaries if each.case.model == model]
        parts += [f"**{model}**", _table(_offered(own))]
    if found.same_code:
        head = (
            "### The same Python as Triton\n\nThe sum and the difference of two tensors of four "
            "values, in Python: in Triton's python backend, and in a process of inferd's; and the "
            "question whether the server is alive. HTTP, JSON."
        )
        parts += [head, _table(_same_code(found.same_code))]
    parts += [_servers(found), _made_of(found, setting)]
    return "\n\n".join(part.strip() for part in parts)


def _models(found: Sequence[Summary]) -> list[str]:
    return list(dict.fromkeys(each.case.model for each in found))


def _by_title(own: Sequence[Summary]) -> dict[str, dict[str, Summary]]:
    """By the server's title, and then by the form of its file."""
    rows: dict[str, dict[str, Summary]] = {}
    for each in own:
        form = each.contender.name.rpartition("-")[2]
        rows.setdefault(each.contender.title, {})[form] = each
    return rows


def _rates(own: Sequence[Summary]) -> list[list[str]]:
    head = ["server"]
    for form in FORMS:
        head += [f"{NAMES[form]}, requests/s", "times", "CPU us", "RSS MiB"]
    lines = [
        [title, *(cell for form in FORMS for cell in _cells(forms.get(form)))]
        for title, forms in _by_title(own).items()
    ]
    return [head, *lines]


def _cells(one: Summary | None) -> list[str]:
    if one is None:
        return ["-"] * 4
    return [
        f"{one.rate:,.0f}",
        "1" if one.times is None else _times(one.times),
        f"{one.cpu * 1e6:,.0f}",
        f"{one.memory / 2**20:,.0f}",
    ]


def _times(times: float) -> str:
    digits = 0 if times >= 20 else 1 if times >= 1 else 2
    return f"{times:.{digits}f}"


def _offered(own: Sequence[Summary]) -> list[list[str]]:
    head = ["server"]
    head += [f"{NAMES[form]}, {rate:,.0f}/s" for form in FORMS for rate in RATES]
    lines = [
        [title, *(cell for form in FORMS for cell in _latencies(forms.get(form)))]
        for title, forms in _by_title(own).items()
    ]
    return [head, *lines]


def _latencies(one: Summary | None) -> list[str]:
    found = {each.rate: _latency(each) for each in one.offered} if one else {}
    return [found.get(rate, "-") for rate in RATES]


def _latency(each: Offered) -> str:
    if not each.in_time:
        return "?"
    return f"{each.p99 * 1e3:,.2f}" if each.kept_up else "-"


def _same_code(own: Sequence[Summary]) -> list[list[str]]:
    head = ["server", "question", "requests/s", "times", "CPU us", "RSS MiB"]
    questions = {"add-sub": "sum and difference", "live": "alive?"}
    return [
        head,
        *([each.contender.title, questions[each.contender.dialect], *_cells(each)] for each in own),
    ]


def _servers(found: Compared) -> str:
    about = {each.contender.title: each.contender.about for each in found.summaries}
    about |= {f"{s.contender.title}, add_sub": s.contender.about for s in found.same_code}
    lines = [f"- **{title}**: {text}." for title, text in about.items()]
    lines += [f"- {name} is left out: {reason}" for name, reason in found.left_out.items()]
    return "### What they are\n\n" + "\n".join(lines)


def _made_of(found: Compared, setting: Setting) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in sorted(found.versions.items()))
    return f"Measured on {setting.date}: {machine.in_a_line(setting.facts)}; {versions}."


def _table(lines: list[list[str]]) -> str:
    return layout.markdown(lines[0], lines[1:])
