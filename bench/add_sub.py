"""Triton against inferd with the same two lines of Python: a sum and a difference of two tensors.

Triton runs them in its python backend, and inferd in a process of its own, too; and either is asked
whether it is alive, which asks nothing of a model.
"""

import shutil
from pathlib import Path
from typing import Final

from bench import triton
from bench.contenders import PYTHON, Contender
from bench.dialects import Dialect
from bench.models import Case

NAME = "add_sub"
FOLDER = "triton-models"
LEFT, RIGHT = [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]
SOURCES: Final = Path(__file__).parent / "servers"
CONFIG = """\
name: "add_sub"
backend: "python"
input [
  { name: "INPUT0" data_type: TYPE_FP32 dims: [ 4 ] },
  { name: "INPUT1" data_type: TYPE_FP32 dims: [ 4 ] }
]
output [
  { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 4 ] },
  { name: "OUTPUT1" data_type: TYPE_FP32 dims: [ 4 ] }
]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
QUESTIONS: Final[tuple[tuple[Dialect, str], ...]] = (
    ("add-sub", "/v2/models/add_sub/infer"),
    ("live", "/v2/health/live"),
)


def prepare(work: Path) -> Case:
    """Triton's repository in *work*, and the case."""
    model = work / FOLDER / NAME
    (model / "1").mkdir(parents=True, exist_ok=True)
    (model / "config.pbtxt").write_text(CONFIG)
    shutil.copy(SOURCES / "add_sub_triton.py", model / "1" / "model.py")
    sums = [round(a + b) for a, b in zip(LEFT, RIGHT, strict=True)]
    differences = [round(a - b) for a, b in zip(LEFT, RIGHT, strict=True)]
    return Case(
        model=NAME,
        title="sum and difference of two tensors of four values",
        rows=[LEFT, RIGHT],
        labels=[*sums, *differences],
        classes=0,
        onnx=SOURCES / "add_sub.py",
        pickle=SOURCES / "add_sub.py",
    )


def contenders(work: Path) -> list[Contender]:
    """Each question to inferd first and to Triton then."""
    inferd = (PYTHON, "-m", "inferd", "serve", str(SOURCES / "add_sub.py"), "--port", "{port}")
    models = str(work / FOLDER)
    theirs = (PYTHON, "-m", "bench.servers.triton", "--http", "{port}", "--models", models)
    return [
        Contender(
            name=f"{name}-{dialect}",
            title=title,
            about=about,
            dialect=dialect,
            argv=argv,
            one_row=path,
            many_rows=path,
            ceiling=None if argv is inferd else f"inferd-{dialect}",
            not_ready=("400", "404", "503"),
        )
        for dialect, path in QUESTIONS
        for name, title, about, argv in (
            ("inferd", "inferd", "`inferd serve add_sub.py`", inferd),
            ("triton", "Triton", f"its python backend, from the wheel {triton.WHEEL}", theirs),
        )
    ]
