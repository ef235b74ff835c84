"""The picture of a benchmark as SVG text: ratios on one scale, requests per second on their own."""

import io
from collections.abc import Sequence
from typing import Any

from bench.results import Row, Table

COLOURS = {
    "floor-oip": "#9aa5b1",
    "floor-oip-binary": "#9aa5b1",
    "floor-tfserving": "#9aa5b1",
    "floor-kserve": "#9aa5b1",
    "floor-mlflow": "#9aa5b1",
    "floor-grpc": "#9aa5b1",
    "inferd-grpc": "#1f6fb2",
    "grpcio-aio": "#e08e36",
    "inferd-oip-binary": "#1f6fb2",
    "inferd-tfserving": "#1f6fb2",
    "inferd-kserve": "#1f6fb2",
    "inferd-mlflow": "#1f6fb2",
    "floor-plain": "#c3cbd4",
    "inferd-oip": "#1f6fb2",
    "inferd-plain": "#5aa9e6",
    "fastapi-onnx": "#e08e36",
    "fastapi-sklearn": "#b5473c",
}
SETTINGS: Any = {
    "svg.hashsalt": "inferd",  # else every drawing of the same figures is another file
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# Inches
BAR, GAP, MARGIN = 0.3, 0.66, 1.0


def svg(tables: Sequence[Table], caption: str) -> str:
    """One line of two panels a case; every axis starts at zero and is linear."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(11, _height(tables)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(
            len(tables), 2, squeeze=False, height_ratios=[len(t.rows) for t in tables]
        )
        end = _ratio_end(tables)
        for (left, right), table in zip(axes, tables, strict=True):
            _ratios(left, table, end)
            _rates(right, table)
        axes[-1][0].set_xlabel(
            "ratio to the ceiling of the same dialect (line: lowest to highest round)"
        )
        axes[-1][1].set_xlabel("requests/s (each case has its own scale)")
        figure.suptitle(caption, fontsize=10)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _height(tables: Sequence[Table]) -> float:
    return MARGIN + sum(len(table.rows) * BAR + GAP for table in tables)


def _ratio_end(tables: Sequence[Table]) -> float:
    highest = [row.ratio.high for table in tables for row in table.rows if row.ratio]
    return max([1.0, *highest]) * 1.25


def _ratios(axis: Any, table: Table, end: float) -> None:
    judged = [(row, row.ratio) for row in table.rows if row.ratio is not None]
    _bars(axis, [row for row, _ in judged], [ratio.median for _, ratio in judged])
    for place, (_, ratio) in enumerate(judged):
        axis.plot([ratio.low, ratio.high], [place, place], color="black", linewidth=1)
        text = f"{ratio.median:.2f}" if ratio.median >= 0.1 else f"{ratio.median:.4f}"
        axis.annotate(text, (end, place), ha="right", va="center")
    axis.axvline(1.0, color="#555555", linestyle="--", linewidth=1)
    axis.set_xlim(0, end)
    # Over both panels: the right one has no title of its own.
    axis.set_title(f"{table.case.name}: {table.case.title}", loc="left", fontweight="bold")


def _rates(axis: Any, table: Table) -> None:
    _bars(axis, table.rows, [row.rate for row in table.rows])
    for place, row in enumerate(table.rows):
        text = f"{row.rate:,.0f}" if row.rate >= 100 else f"{row.rate:,.1f}"
        axis.annotate(f"  {text}", (row.rate, place), va="center")
    axis.set_xlim(0, max(row.rate for row in table.rows) * 1.2)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _bars(axis: Any, rows: Sequence[Row], values: Sequence[float]) -> None:
    axis.barh(
        range(len(rows)),
        values,
        color=[COLOURS.get(row.contender.name, "#777777") for row in rows],
        height=0.7,
    )
    axis.set_yticks(range(len(rows)), [row.contender.title for row in rows])
    axis.invert_yaxis()
