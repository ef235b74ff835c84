"""``inferd check``: hold a model's own answers against its compiled form's, and show it all."""

import argparse
import json
from pathlib import Path
from typing import Any

from inferd.cli.compile import add_options

EXAMPLES = """\
examples:
  inferd check model.pkl
  inferd check model.pkl --sample rows.csv   probe with your own rows, too
  inferd check model.onnx                    what a compiled file says of its own making

Exit codes: 0 the compiled form answers; 1 an error; 3 the model's own library has to answer.
"""


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check",
        help="show how a model compiles, and how far that can be relied on",
        description="Compile a model, ask both forms what might tell them apart, and measure both.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="MODEL", help="The model's file.")
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="Print JSON, for programs.")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print what was found."""
    import msgspec

    from inferd import workbench
    from inferd.terminal import Status

    told = _told(arguments.path)
    if told is not None:
        if arguments.json:
            print(json.dumps({"verdict": msgspec.to_builtins(told)}, indent=2))
        else:
            print("\n".join(_lines(told)))
        return 0
    with Status() as status:
        report = workbench.check(
            arguments.path,
            sample=arguments.sample,
            trust_pickle=arguments.trust_pickle,
            trusted_types=arguments.trusted_types,
            progress=status,
        )
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(report, str_keys=True), indent=2))
    else:
        verdict = report.verdict
        print("\n".join([f"{arguments.path}", "", *_lines(verdict), *_graph(report)]))
        print("\n".join(["", *_speeds(report)]))
    return 3 if report.verdict.kind == "native" else 0


def _told(path: Path) -> Any:
    """The verdict that a compiled file carries; None for any other file."""
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return None
    from inferd.artifact import Artifact
    from inferd.errors import UnknownFormat
    from inferd.models.loader import recognise

    _, opener = recognise(Artifact(path))
    runtime = opener.open(Artifact(path))
    if runtime.verdict is None:
        raise UnknownFormat(
            f"{path} carries no verdict",
            expected="a model to compile, or a file that inferd compiled",
        )
    return runtime.verdict


def _lines(verdict: Any) -> list[str]:
    rows = [("estimator", f"{verdict.estimator} ({verdict.library})"), ("verdict", str(verdict))]
    if verdict.kind == "agrees":
        rows.append(("not exact", f"because {verdict.reason}"))
    if verdict.probes:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in verdict.kinds.items())
        rows.append(("probes", f"{verdict.probes:,} rows: {kinds}"))
        rows.append(("difference", f"{verdict.largest_difference:.3g} at most, labels included"))
    if verdict.nodes_compared:
        rows.append(("trees", f"{verdict.nodes_compared:,} nodes read back and compared"))
    if verdict.versions:
        rows.append(("versions", ", ".join(f"{k} {v}" for k, v in verdict.versions.items())))
    if verdict.digest:
        rows.append(("sha256", verdict.digest))
    return [f"  {name:<11} {text}" for name, text in rows]


def _graph(report: Any) -> list[str]:
    lines = [f"  {'signature':<11} {report.signature}"]
    if report.operators:
        nodes = ", ".join(f"{count} {name}" for name, count in report.operators.items())
        lines.append(f"  {'graph':<11} {report.size:,} bytes: {nodes}")
    return lines


def _speeds(report: Any) -> list[str]:
    lines = [f"  {'rows':>6}  {'library':>12}  {'compiled':>12}  {'speed-up':>9}"]
    for rows, native in report.native_us.items():
        compiled = report.compiled_us.get(rows)
        shown = (_time(compiled), f"{native / compiled:,.1f} x") if compiled else ("-", "-")
        lines.append(f"  {rows:>6,}  {_time(native):>12}  {shown[0]:>12}  {shown[1]:>9}")
    return lines


def _time(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:,.1f} us"
    return f"{microseconds / 1000:,.1f} ms"
