"""Users' files, as tests need them."""

from pathlib import Path

from inferd.artifact import Artifact
from inferd.runtimes.base import Runtime
from inferd.runtimes.python.runtime import PythonRuntime

HEAD = """
import numpy as np
from inferd import Signature, TensorSpec

DOUBLING = Signature(
    [TensorSpec("x", "FP32", (-1, 2))], [TensorSpec("y", "FP32", (-1, 2))], batch_axis=0
)
"""
DOUBLE = """
class Double:
    signature = DOUBLING

    def predict(self, inputs):
        return {"y": inputs["x"] * 2}
"""
COUNT = """
import pathlib
import time

class Count:
    '''Counts up to the first number, waits for so many seconds as the second says before each.'''
    signature = Signature(
        [TensorSpec("upto", "INT64", (1,)), TensorSpec("seconds", "FP64", (1,))],
        [TensorSpec("number", "INT64", (1,))],
    )
    example = {"upto": [1], "seconds": [0]}

    def predict(self, inputs):
        here = pathlib.Path(__file__).parent
        try:
            for number in range(int(inputs["upto"][0])):
                (here / "begun").write_text(str(number))
                deadline = time.monotonic() + inputs["seconds"][0]
                while time.monotonic() < deadline:
                    pass
                yield {"number": np.array([number])}
            if inputs["upto"][0] < 0:
                raise ValueError("a secret of the model")
        finally:
            (here / "cleaned").touch()
"""


def write(folder: Path, code: str, name: str = "model.py") -> Path:
    """A file of *code* behind what such files import."""
    path = folder / name
    path.write_text(HEAD + code)
    return path


def opened(folder: Path, code: str) -> Runtime:
    """The runtime of such a file, which is trusted."""
    return PythonRuntime.open(Artifact(write(folder, code), trusted=True))
