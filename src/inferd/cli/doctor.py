"""``inferd doctor``: what is installed, what is missing, and what does not match a model."""

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from inferd import __version__

EXAMPLES = """\
examples:
  inferd doctor                              what can be served here
  inferd doctor model.pkl                    the same, and whether this model fits what is here

Exit codes: 0 all is well; 1 something about a model is not.
"""

FORMATS = (
    ("ONNX", ("onnxruntime",), "onnx"),
    ("scikit-learn", ("scikit-learn", "joblib", "skops", "pandas"), "sklearn"),
    ("XGBoost", ("xgboost", "scikit-learn"), "xgboost"),
    ("LightGBM", ("lightgbm", "scikit-learn"), "lightgbm"),
    ("CatBoost", ("catboost",), "catboost"),
    ("compiling", ("onnx",), "compile"),
)
"""What can be done, with which packages, and the extra that brings them."""


class Finding(NamedTuple):
    """One line: whether it is well, what it is about, and what was found."""

    well: bool
    about: str
    found: str


def add_to(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "doctor",
        help="show what is installed, and what does not match a model",
        description="Look at this installation, and at models, for what commonly goes wrong:"
        " a package that is missing, a model that another version wrote, a module not found.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="MODEL", help="A model's file.")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, and print what was found."""
    print(f"inferd {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
    _show([_format(*each) for each in FORMATS])
    well = True
    for path in arguments.paths:
        findings = examine(path)
        print(f"\n{path}")
        _show(findings)
        well &= all(finding.well for finding in findings)
    return 0 if well else 1


def examine(path: Path) -> list[Finding]:
    """What is found about the model at *path*, which is loaded."""
    from inferd.errors import InferdError
    from inferd.models import loader

    try:
        (spec, *_) = loader.find([path])
        _, opener = loader.recognise(spec.artifact)
        runtime = opener.open(spec.artifact)
    except InferdError as error:
        return [Finding(False, "loads", str(error))]
    findings = [Finding(True, "loads", f"by {opener.name}: {runtime.signature}")]
    if runtime.fitted is not None:
        findings += [_versions(library, *both) for library, both in runtime.fitted.versions.items()]
    runtime.close()
    return findings


def _versions(library: str, wrote: str, here: str) -> Finding:
    if wrote == here:
        return Finding(True, library, f"{here} wrote it and is here")
    return Finding(
        False,
        library,
        f"{wrote} wrote it, {here} is here: it may load and answer otherwise."
        f" pip install '{library}=={wrote}', or train again",
    )


def _format(name: str, packages: tuple[str, ...], extra: str) -> Finding:
    found = {package: _version(package) for package in packages}
    missing = [package for package, number in found.items() if not number]
    if missing:
        what = ", ".join(missing)
        return Finding(False, name, f"without {what}: pip install 'inferd[{extra}]'")
    return Finding(True, name, ", ".join(f"{p} {number}" for p, number in found.items()))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _show(findings: list[Finding]) -> None:
    width = max(len(finding.about) for finding in findings)
    for finding in findings:
        mark = "ok" if finding.well else "--"
        print(f"  {mark}  {finding.about:<{width}}  {finding.found}")
