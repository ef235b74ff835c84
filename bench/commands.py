"""The shell lines that repeat a benchmark, made from what the benchmark itself runs."""

import shlex
import sys
from collections.abc import Sequence

from bench import dialects, load, measure
from bench.contenders import Contender
from bench.models import Case

FIRST_PORT = 8001


def repeat(plan: measure.Plan, case: Case, contenders: Sequence[Contender]) -> list[str]:
    """The whole, a part, and one run by hand of each server (all from the repository's root)."""
    pair = ",".join(contender.name for contender in contenders[:2])
    lines = [
        "make bench",
        f"scripts/bench --only {case.name} --servers {pair} --rounds 5",
        "",
        f"# one server and its load by hand ({case.name}); `make bench` has made {_short(plan)}/",
    ]
    for port, contender in enumerate(contenders, FIRST_PORT):
        lines += [_serve(plan, case, contender, port), _load(plan, case, contender, port)]
    return lines


def _serve(plan: measure.Plan, case: Case, contender: Contender, port: int) -> str:
    settings = [f"{name}={value}" for name, value in contender.settings(case).items()]
    command = ["taskset", "-c", str(plan.server_cpu), *contender.command(case, port)]
    return _relative(plan, " ".join([*settings, shlex.join(command), "&"]))


def _load(plan: measure.Plan, case: Case, contender: Contender, port: int) -> str:
    script = measure.script_path(plan, case, contender)
    question = dialects.question(contender.dialect, case.rows, case.model)
    command = load.tool(contender.dialect).command
    argv = command(contender.url(case, port), question, script, plan.seconds, plan.load_cpu)
    return _relative(plan, shlex.join(argv))


def _relative(plan: measure.Plan, line: str) -> str:
    return line.replace(sys.executable, ".venv/bin/python").replace(str(plan.folder), _short(plan))


def _short(plan: measure.Plan) -> str:
    return plan.folder.name
