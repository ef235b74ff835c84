"""Tests of bench/report.py, bench/chart.py and bench/commands.py: what a reader gets to see."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import chart, commands, measure, report, results
from bench.contenders import Contender
from bench.models import Case
from bench.report import Found, Live
from bench.results import Run, Table
from bench.starts import Start
from bench.tensors import Transfer

SETTING = report.Setting(
    date="2025-01-31",
    facts={"CPU": "a fast one", "Python": "CPython 3.13.0"},
    rounds=3,
    seconds=4,
    laps=3,
    longest=15,
    connections=32,
    server_cpu=0,
    load_cpu=1,
)
STARTS = [Start("forest", "a forest", (2.0, 0.5, 1.5, 0.25))]
TRANSFERS = [
    Transfer("REST", "upload", 1024, 5e8, 1e9, 0.5),
    Transfer("REST", "echo", 1024, 1e9, 4e9, 0.25),
]
PLAN = measure.Plan(3, 4, 0, 1, Path("/checkout/.bench"))


@pytest.fixture
def case(make_case: Callable[[int], Case]) -> Case:
    return make_case(1)


@pytest.fixture
def tables(noisy_runs: list[Run], case: Case, by_name: dict[str, Contender]) -> list[Table]:
    return results.tables(noisy_runs, [case], [by_name["floor-oip"], by_name["inferd-oip"]])


def test_the_page_shows_ratios_facts_date_and_commands(tables: list[Table]) -> None:
    """Everything that a figure depends on is on the page beside it."""
    page = report.markdown(Found(tables, STARTS, TRANSFERS), SETTING, ["make bench"])
    assert "| inferd, OIP JSON | 0.90 (0.80-0.96) |" in page
    assert "| inferd, OIP JSON | 880 | 0.90 (0.80-0.96) | 36.36 | 72.73 | 1,136 | 103 |" in page
    assert "| CPU | a fast one |" in page
    assert "| forest: a forest | 2.0 s | 0.5 s | 1.5 s | 0.2 s |" in page
    assert "| 1 KiB, REST | 0.500 | 1.000 | 0.50 | 1.000 | 4.000 | 0.25 |" in page
    assert "Measured on 2025-01-31." in page
    assert "```sh\nmake bench\n```" in page


def test_the_page_shows_the_empty_call_and_who_is_missing(tables: list[Table]) -> None:
    """No ratio there: it has no ceiling. A server that could not be had is told with the reason."""
    live = Live(tables[0], "pip could not fetch it")
    page = report.markdown(Found(tables, STARTS, [], live), SETTING, ["make bench"])
    assert "## An empty call" in page
    assert "| server | requests/s | p50 ms | p99 ms | CPU us | RSS MiB |" in page
    assert "| inferd, OIP JSON | 880 | 36.36 | 72.73 | 1,136 | 103 |" in page
    assert "- Triton is not measured here: pip could not fetch it" in page
    assert len({len(line) for line in report.live_text(live).splitlines()}) == 1


def test_every_table_of_the_page_has_as_many_cells_as_headings(tables: list[Table]) -> None:
    """Markdown tables are whole: each line has the cells of the line above it."""
    page = report.markdown(Found(tables, STARTS, TRANSFERS), SETTING, ["make bench"])
    blocks = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 5
    assert all(len({line.count("|") for line in block}) == 1 for block in blocks)


def test_a_server_without_its_ceiling_shows_no_ratio(
    noisy_runs: list[Run], case: Case, by_name: dict[str, Contender]
) -> None:
    """A ratio that is not known is a dash and not a number."""
    only = [run for run in noisy_runs if run.contender == "inferd-oip"]
    alone = results.tables(only, [case], [by_name["inferd-oip"]])
    assert "| inferd, OIP JSON | 880 | - |" in report.markdown(
        Found(alone, STARTS, []), SETTING, []
    )


def test_the_terminal_gets_aligned_columns(tables: list[Table]) -> None:
    """All lines of a table are equally long."""
    title, *lines = report.text(tables).splitlines()
    assert title.startswith("forest-1: 1 row")
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1


def test_the_chart_is_svg_that_names_servers_and_cases(tables: list[Table]) -> None:
    """The picture is whole XML, with its labels as text, and the same for the same figures."""
    pytest.importorskip("matplotlib")
    drawn = chart.svg(tables, "a caption")
    texts = {"".join(node.itertext()).strip() for node in ElementTree.fromstring(drawn).iter()}
    assert {
        "a caption",
        "forest-1: a forest",
        "inferd, OIP JSON",
        "ceiling, OIP JSON",
        "0.90",
    } <= texts
    assert chart.svg(tables, "a caption") == drawn


def test_the_commands_are_those_that_the_benchmark_runs(case: Case, tables: list[Table]) -> None:
    """A reader can paste them in the repository's root: no path of this machine is in them."""
    lines = commands.repeat(PLAN, case, [row.contender for row in tables[0].rows])
    assert lines[0] == "make bench"
    serve = ".venv/bin/python -m inferd serve .bench/forest.onnx --port 8002 &"
    assert f"taskset -c 0 {serve}" in lines
    load = "taskset -c 1 wrk -t1 -c32 --timeout 60s -d4s --latency -s .bench/forest-1-oip.lua"
    assert f"{load} http://127.0.0.1:8002/v2/models/forest/infer" in lines


def test_the_commands_of_grpc_are_those_of_h2load(
    case: Case, by_name: dict[str, Contender]
) -> None:
    """The message is in a file; its headers, which have spaces, are quoted."""
    *_, load = commands.repeat(PLAN, case, [by_name["inferd-grpc"]])
    message = "-D4 -d .bench/forest-1-grpc.bin '-Hcontent-type: application/grpc' '-Hte: trailers'"
    assert load.startswith(f"taskset -c 1 h2load -c8 -m4 {message} ")
    assert load.endswith("http://127.0.0.1:8001/inference.GRPCInferenceService/ModelInfer")
