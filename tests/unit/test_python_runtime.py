"""runtimes/python: a user's class answers, and whatever is wrong with it is told."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inferd
from inferd.artifact import Artifact
from inferd.errors import (
    BadArtifact,
    InvalidInput,
    LoadError,
    MissingPackage,
    RunFailed,
    Unsupported,
    Untrusted,
)
from inferd.models import loader
from inferd.runtimes.python.runtime import PythonRuntime
from tests.unit.python_files import COUNT, DOUBLE, opened, write

X = {"x": np.array([[1, 2], [3, 4]], np.float32)}


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file adds to the path goes with the test."""
    monkeypatch.setattr(sys, "path", sys.path.copy())


def test_a_class_answers(tmp_path: Path) -> None:
    """Its answers are the model's, and those that are asked for alone."""
    runtime = opened(tmp_path, DOUBLE)
    assert runtime.name == "python"
    assert str(runtime.signature) == "(x: FP32[?, 2]) -> (y: FP32[?, 2])"
    assert runtime.run(X, ["y"])["y"].tolist() == [[2, 4], [6, 8]]


def test_it_loads_what_lies_beside_it(tmp_path: Path) -> None:
    """``load`` is called once, after the object was made; the signature may come from there."""
    (tmp_path / "factor.txt").write_text("3")
    (tmp_path / "beside_it.py").write_text("def read(path):\n    return float(path.read_text())\n")
    runtime = opened(
        tmp_path,
        """
from pathlib import Path

import beside_it

class Times:
    loads = 0

    def load(self):
        self.loads += 1
        self.factor = np.float32(beside_it.read(Path(__file__).parent / "factor.txt"))
        self.signature = DOUBLING
        self.example = {"x": np.ones((1, 2))}
        self.feature_names = ["a", "b"]
        self.classes = ("no", "yes")

    def predict(self, inputs):
        assert self.loads == 1
        return {"y": inputs["x"] * self.factor}
""",
    )
    assert runtime.run(X, ["y"])["y"].tolist() == [[3, 6], [9, 12]]
    assert runtime.example() == {"x": [[1.0, 1.0]]}
    assert (runtime.feature_names(), runtime.classes()) == (("a", "b"), ("no", "yes"))
    sys.modules.pop("beside_it")


def test_two_files_of_one_name_are_two_models(tmp_path: Path) -> None:
    """Neither takes the other's module."""
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
    one = opened(tmp_path / "1", DOUBLE)
    two = opened(tmp_path / "2", DOUBLE.replace("* 2", "* 5"))
    assert [r.run(X, ["y"])["y"][0, 0] for r in (one, two)] == [2, 5]


def test_inputs_are_the_models_to_write_to(tmp_path: Path) -> None:
    """What others have as well is not touched, and what cannot be written to can."""
    code = """
class InPlace:
    signature = DOUBLING

    def predict(self, inputs):
        inputs["x"] *= 2
        return {"y": inputs.pop("x")}
"""
    x = X["x"].copy()
    x.flags.writeable = False
    assert opened(tmp_path, code).run({"x": x}, ["y"])["y"].tolist() == [[2, 4], [6, 8]]
    assert x.tolist() == [[1, 2], [3, 4]]


def test_helpers_and_bases_are_not_the_model(tmp_path: Path) -> None:
    """Underscores, bases, and classes that were imported do not count."""
    code = (
        DOUBLE.replace("Double", "Base")
        + "class _Helper(Base): ...\nclass Model(Base): ...\nAlias = Model\n"
        "from inferd.local import Model as Imported\n"
    )
    assert opened(tmp_path, code).run(X, ["y"])["y"].tolist() == [[2, 4], [6, 8]]
    of_c = DOUBLE.replace("class Double", "class Double(dict)")
    assert opened(tmp_path, of_c).run(X, ["y"])["y"].tolist() == [[2, 4], [6, 8]]


def test_closing_closes_the_model(tmp_path: Path) -> None:
    """A class may have ``close``, or not."""
    code = DOUBLE + "    def close(self):\n        open(__file__ + '.closed', 'w').close()\n"
    opened(tmp_path, code).close()
    assert (tmp_path / "model.py.closed").exists()
    opened(tmp_path, DOUBLE).close()


def test_a_generator_answers_in_parts(tmp_path: Path) -> None:
    """Each part is what it yields; closed early, it cleans up; it has no whole answer."""
    runtime = opened(tmp_path, COUNT)
    assert runtime.streams
    inputs = {"upto": np.array([3]), "seconds": np.zeros(1)}
    parts = [part["number"].tolist() for part in runtime.stream(inputs, ["number"])]
    assert parts == [[0], [1], [2]]
    (tmp_path / "cleaned").unlink()
    parts_again: Any = runtime.stream(inputs, ["number"])
    next(parts_again)
    assert not (tmp_path / "cleaned").exists()
    parts_again.close()
    assert (tmp_path / "cleaned").exists()
    with pytest.raises(Unsupported):
        runtime.run(inputs, ["number"])


def test_a_whole_answer_may_be_taken_as_the_only_part(tmp_path: Path) -> None:
    """As with every runtime."""
    (part,) = opened(tmp_path, DOUBLE).stream(X, ["y"])
    assert part["y"].tolist() == [[2, 4], [6, 8]]


def test_code_is_run_where_it_is_trusted(tmp_path: Path) -> None:
    """The file that the operator named, or any with --trust-pickle; another one is not opened."""
    path = write(tmp_path, DOUBLE + "open(__file__ + '.ran', 'w').close()\n")
    with pytest.raises(Untrusted, match=r"would be run.*--trust-pickle"):
        PythonRuntime.open(Artifact(path))
    assert not (tmp_path / "model.py.ran").exists()
    (spec,) = loader.find([path])
    assert spec.artifact.trusted
    assert PythonRuntime.open(spec.artifact).run(X, ["y"])
    assert PythonRuntime.open(Artifact(path, unchecked=True)).run(X, ["y"])


WRONG_FILES = {
    "": (BadArtifact, r"model\.py has no class of its own: got none, expected a class with"),
    "def predict(inputs): ...": (BadArtifact, "got a function predict outside of any class"),
    "class A: ...\nclass B: ...": (BadArtifact, "no class has a method predict: got A, B"),
    DOUBLE + DOUBLE.replace("Double", "Two"): (
        BadArtifact,
        "several classes with predict: got Double, Two, expected one.*begin with an underscore",
    ),
    "class A:\n    predict = 3": (BadArtifact, r"A\.predict is no method: got a int"),
    "class A:\n    def predict(self): ...": (
        BadArtifact,
        r"takes other arguments: got def predict\(self\), expected def predict\(self, inputs\)",
    ),
    "class A:\n    async def predict(self, inputs): ...": (BadArtifact, "is asynchronous"),
    "class A:\n    def __init__(self, x): ...\n    def predict(self, inputs): ...": (
        BadArtifact,
        r"A is made with arguments: got A\(x\), expected A\(\)\. Let it read .* in load",
    ),
    "x = (": (BadArtifact, r"raises SyntaxError in line 8, `x = \(`: '\(' was never closed"),
    "\nimport no_such_module.of_theirs": (
        MissingPackage,
        r"model\.py raises ModuleNotFoundError in line 9, `import no_such_module.of_theirs`: "
        r"No module named .* put no_such_module\.py beside model\.py",
    ),
    "import sys\nsys.exit(3)": (BadArtifact, r"raises SystemExit in line 9, .*__main__"),
    "import json\njson.loads('{')": (
        BadArtifact,
        r"raises JSONDecodeError in line 9, `json\.loads\('\{'\)`: Expecting property name",
    ),
    DOUBLE + "    def load(self):\n        raise OSError('no\\nweights')": (
        BadArtifact,
        r"raises OSError in line \d+, `raise OSError\(.*\)`: no weights$",
    ),
}


@pytest.mark.parametrize(("code", "told"), WRONG_FILES.items(), ids=range(len(WRONG_FILES)))
def test_a_wrong_file_is_told_by_the_users_own_line(
    tmp_path: Path, code: str, told: tuple[type[LoadError], str]
) -> None:
    """What is wrong, where, and what to do; no module of it stays."""
    before = set(sys.modules)
    with pytest.raises(LoadError, match=told[1]) as raised:
        opened(tmp_path, code)
    assert type(raised.value) is told[0]
    assert "\n" not in str(raised.value)
    if "raises" in told[1] and "load" not in code:
        assert set(sys.modules) - before - {"json"} == set()


SIGNATURES = {
    "None": "Loans has no signature: expected signature = inferd.Signature",
    "{'x': 3}": r"Loans\.signature is of another type: got dict",
    "Signature([('x', 'FP32', (1,))], DOUBLING.outputs)": r"Loans\.signature is wrong: Expected",
    "Signature([TensorSpec('x', 'FP32', (None, 4))], DOUBLING.outputs)": "Expected `int`, got",
    "Signature([], DOUBLING.outputs)": r"signature\.inputs are none",
    "Signature(DOUBLING.inputs, [])": r"signature\.outputs are none",
    "Signature(DOUBLING.inputs * 2, DOUBLING.outputs)": "need a name each: got 'x', 'x'",
    "Signature([TensorSpec('x', 'float32', (1,))], DOUBLING.outputs)": (
        "'x' is of no datatype: got 'float32', expected BOOL, .*FP32"
    ),
    "Signature([TensorSpec('x', 'FP32', (-2,))], DOUBLING.outputs)": "'x' has no shape",
    "Signature(DOUBLING.inputs, DOUBLING.outputs, batch_axis=1)": "another batch_axis: got 1",
    "Signature(DOUBLING.inputs, [TensorSpec('y', 'FP32', (3, 2))], batch_axis=0)": (
        r"batch_axis=0, but 'y' is no rows: got \(3, 2\), expected \(-1, 2\)"
    ),
}


@pytest.mark.parametrize(("signature", "text"), SIGNATURES.items(), ids=range(len(SIGNATURES)))
def test_a_wrong_signature_is_told(tmp_path: Path, signature: str, text: str) -> None:
    """Before anybody asks."""
    code = f"class Loans:\n    signature = {signature}\n    def predict(self, inputs): ..."
    with pytest.raises(BadArtifact, match=text):
        opened(tmp_path, code)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("example = [1, 2]", "example is no row: got .1, 2., expected a dict .* by name: 'x'"),
        ("example = {'X': [1, 2]}", "example is no row: got .'X'"),
        ("example = {'x': [[1], [2, 3]]}", "example is no row: "),
        ("feature_names = 'ab'", "feature_names are no names: got 'ab', expected a list"),
        ("classes = 3", "classes are no names: got 3"),
    ],
)
def test_what_else_it_says_is_checked(tmp_path: Path, line: str, text: str) -> None:
    """Examples and names are what they are for, or are told."""
    with pytest.raises(BadArtifact, match=text):
        opened(tmp_path, DOUBLE + f"    {line}\n")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("None", "predict gave no dict: got a NoneType, expected arrays by the outputs' names"),
        ("(inputs for _ in '1')", "got a generator, .* has to contain a yield itself"),
        ("{'Y': inputs['x']}", "predict left out an output: got 'Y', expected 'y'"),
        ("{}", "got an empty dict"),
        ("{'y': [[1, 2], [3]]}", "output 'y' is no array: got a list"),
        ("{'y': inputs['x'].astype(float)}", r"breaks the signature: got float64\[2, 2\], exp"),
        ("{'y': inputs['x'] * 1j}", r"breaks the signature: got complex64\[2, 2\], expected y"),
        ("{'y': inputs['x'][:, 0]}", r"got float32\[2\], expected y: FP32\[\?, 2\]"),
        ("{'y': inputs['x'][:1]}", "wrong number of rows: got 1, expected 2"),
    ],
)
def test_an_answer_that_breaks_the_signature_fails(tmp_path: Path, answer: str, text: str) -> None:
    """With what was given and what was promised."""
    code = f"class A:\n    signature = DOUBLING\n    def predict(self, inputs): return {answer}\n"
    with pytest.raises(RunFailed, match=text):
        opened(tmp_path, code).run(X, ["y"])


def test_arrays_need_not_be_arrays(tmp_path: Path) -> None:
    """Lists of what the signature says are taken, and strings of any kind."""
    code = """
class Names:
    signature = Signature(DOUBLING.inputs, [TensorSpec("name", "BYTES", (-1,))], batch_axis=0)
    def predict(self, inputs):
        return {"name": [f"row {x:.0f}" for x in inputs["x"][:, 0]]}
"""
    assert opened(tmp_path, code).run(X, ["name"])["name"].tolist() == ["row 1", "row 3"]


def test_load_has_it_in_this_process(tmp_path: Path) -> None:
    """``inferd.load`` gives rows to it; its own exceptions come out as they are."""
    code = """
class Sum:
    signature = Signature(DOUBLING.inputs, [TensorSpec("y", "FP32", (-1,))], batch_axis=0)
    def predict(self, inputs):
        if inputs["x"][0, 0] < 0:
            raise ZeroDivisionError("of theirs")
        if inputs["x"][0, 0] > 9:
            import inferd
            raise inferd.errors.InvalidInput("too large")
        return {"y": inputs["x"].sum(axis=1)}
"""
    model = inferd.load(write(tmp_path, code))
    assert list(model.predict([[1, 2], [3, 4]])) == [3, 7]
    with pytest.raises(ZeroDivisionError, match="of theirs"):
        model.predict([-1, 2])
    with pytest.raises(InvalidInput, match="too large"):
        model.predict([10, 2])
    model.close()


def test_what_is_no_text_is_told_without_a_line(tmp_path: Path) -> None:
    """There is no line to tell."""
    with pytest.raises(BadArtifact, match=r"model\.py raises (Syntax|Value)Error: source code"):
        opened(tmp_path, "\0")


def test_a_class_may_say_itself_why_it_cannot_be_loaded(tmp_path: Path) -> None:
    """In the words that it chose."""
    code = DOUBLE + "    def load(self):\n        raise inferd.errors.BadArtifact('no weights')"
    with pytest.raises(BadArtifact) as raised:
        opened(tmp_path, f"import inferd\n{code}")
    assert str(raised.value) == "no weights"


EXAMPLES = {
    "{'y': np.float32(2)}": "(x: FP64[1, 2]) -> (y: FP32[])",
    "{'y': inputs['x'].sum(axis=1)}": "(x: FP64[?, 2]) -> (y: FP64[?])",
    "{'y': ['a'] * len(inputs['x'])}": "(x: FP64[?, 2]) -> (y: BYTES[?])",
    "{'y': inputs['x'].cumsum(axis=0)}": "(x: FP64[1, 2]) -> (y: FP64[1, 2])",
    "{'y': inputs['x'].reshape(1, 2)}": "(x: FP64[1, 2]) -> (y: FP64[1, 2])",
    "{'y': inputs['x'].mean()}": "(x: FP64[1, 2]) -> (y: FP64[])",
    "{'y': inputs['x'] / inputs['x'].max()}": "(x: FP64[1, 2]) -> (y: FP64[1, 2])",
    "{'y': inputs['x'] - inputs['x'].mean(axis=0)}": "(x: FP64[1, 2]) -> (y: FP64[1, 2])",
    "{'y': [{1.0: 'one'}[x] for x in inputs['x'][:, 0]]}": "(x: FP64[1, 2]) -> (y: BYTES[1])",
}


@pytest.mark.parametrize(("answer", "signature"), EXAMPLES.items(), ids=range(len(EXAMPLES)))
def test_an_example_tells_the_signature(tmp_path: Path, answer: str, signature: str) -> None:
    """Without one of its own; rows are joined only where that changes no answer."""
    code = f"""
class A:
    example = {{"x": [[1.0, 2.0]]}}
    def predict(self, inputs): return {answer}
"""
    runtime = opened(tmp_path, code)
    assert str(runtime.signature) == signature
    assert runtime.signature.batch_axis == (0 if "?" in signature else None)


def test_any_kind_of_example_tells_the_signature(tmp_path: Path) -> None:
    """Texts, numbers and truths, side by side."""
    code = """
class A:
    example = {"word": ["ab"], "many": [2], "loud": [True]}
    def predict(self, inputs):
        rows = zip(*(inputs[name] for name in ("word", "many", "loud")), strict=True)
        return {"y": [word.upper() if loud else word * many for word, many, loud in rows]}
"""
    runtime = opened(tmp_path, code)
    assert str(runtime.signature) == (
        "(word: BYTES[?], many: INT64[?], loud: BOOL[?]) -> (y: BYTES[?])"
    )


def test_an_example_tells_the_signature_of_parts(tmp_path: Path) -> None:
    """That of the first one, after which the generator is closed."""
    runtime = opened(tmp_path, COUNT.replace("signature =", "no_signature ="))
    assert str(runtime.signature) == "(upto: INT64[1], seconds: INT64[1]) -> (number: INT64[1])"
    assert (tmp_path / "cleaned").exists()


@pytest.mark.parametrize(
    ("example", "answer", "text"),
    [
        ("{'x': [1.0]}", "1 / 0", r"its example is not answered \(ZeroDivisionError: division"),
        ("{'x': [1.0]}", "None", r"\(RunFailed: predict gave no dict of arrays: got a NoneType"),
        ("{'x': [1.0]}", "{'y': 1j}", r"\(RunFailed: 'y' is no tensor: got a complex\)"),
        ("{'x': [[1], [2, 3]]}", "{'y': 1}", r"\(RunFailed: 'x' is no tensor: got a list"),
        ("[1.0]", "{'y': 1}", r"A\.example is no dict: got \[1\.0\]"),
    ],
)
def test_an_example_that_tells_nothing_is_told(
    tmp_path: Path, example: str, answer: str, text: str
) -> None:
    """With what was wrong, and what a signature looks like."""
    code = f"class A:\n    example = {example}\n    def predict(self, inputs): return {answer}\n"
    with pytest.raises(BadArtifact, match=text):
        opened(tmp_path, code)


def test_answers_are_the_callers(tmp_path: Path) -> None:
    """A model may use the array that it gave for its next answer."""
    code = """
class Same:
    signature = DOUBLING
    def load(self):
        self.y = np.zeros((2, 2), np.float32)
    def predict(self, inputs):
        self.y[:] = inputs["x"] * 2
        return {"y": self.y}
"""
    runtime = opened(tmp_path, code)
    first = runtime.run(X, ["y"])
    runtime.run({"x": -X["x"]}, ["y"])
    assert first["y"].tolist() == [[2, 4], [6, 8]]


def test_the_code_is_that_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of an older one of the same size and second, whose bytecode lies beside it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for factor in (2, 3):
        path = write(tmp_path, DOUBLE.replace("* 2", f"* {factor}"))
        os.utime(path, (1e9, 1e9))
        runtime = PythonRuntime.open(Artifact(path, trusted=True))
        assert runtime.run(X, ["y"])["y"][0].tolist() == [factor, 2 * factor]
