"""``inferd compile``: write a trained model as an ONNX file that gives the same answers."""

import argparse
from pathlib import Path
from typing import Any

EXAMPLES = """\
examples:
  inferd compile model.pkl -o model.onnx     then: inferd serve model.onnx
  inferd compile model.txt --sample rows.csv
                                             probe with your own rows, too

The file carries its own provenance: what it was compiled from, with which versions, the verdict.
Whoever serves it needs no pickle, and none of the library that trained the model.

Exit codes: 0 the file is written; 1 an error; 3 the model cannot be compiled: nothing is written.
"""


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "compile",
        help="write a trained model as ONNX",
        description="Compile a scikit-learn, XGBoost, LightGBM or CatBoost model to an ONNX file"
        " with the same answers, and ask both forms what might tell them apart.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="MODEL", help="The model's file.")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="The file to write (default: MODEL with the suffix .onnx).",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options about reading a model and probing it."""
    parser.add_argument(
        "--sample", type=Path, metavar="CSV", help="Rows of your own to probe with, in CSV."
    )
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="Let a pickle call even what no model needs, such as os.system.",
    )
    parser.add_argument(
        "--trusted-types",
        default="",
        metavar="TYPES",
        help="Types that a skops file may hold beside the well-known ones, separated by commas.",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compile, and say what came of it."""
    from inferd.terminal import Status
    from inferd.workbench import compile as compile_model

    output = arguments.output or arguments.path.with_suffix(".onnx")
    with Status() as status:
        verdict = compile_model(
            arguments.path,
            output,
            sample=arguments.sample,
            trust_pickle=arguments.trust_pickle,
            trusted_types=arguments.trusted_types,
            progress=status,
        )
    if verdict.kind == "native":
        print(f"{arguments.path} is not compiled: {verdict.reason}")
        print(f"Its own library can answer: inferd serve {arguments.path}")
        return 3
    print(f"wrote {output} ({output.stat().st_size:,} bytes)")
    print(f"  from     {verdict.estimator} ({verdict.library})")
    print(f"  verdict  {verdict}")
    if verdict.kind == "agrees":
        print(f"           not called exact, because {verdict.reason}")
    print(f"Serve it: inferd serve {output}")
    return 0
