"""From a user's file to an object of the class in it; what is wrong with it is told by the user's
own line."""

import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from inferd.errors import BadArtifact, LoadError, MissingPackage, short

PREDICT = "a class with a method predict(self, inputs)"

_numbers = count(1)


def loaded(path: Path) -> Any:
    """An object of the class in the file at *path*, which is absolute; it has loaded what it needs.

    Raises BadArtifact or MissingPackage.
    """
    kind = _class_in(_imported(path), path)
    _check_predict(kind, path)
    _check_arguments(kind, path)
    with _telling(path):
        model = kind()
        load = getattr(model, "load", None)
        if callable(load):
            load()
    return model


def _imported(path: Path) -> ModuleType:
    """The file's module, under a name that no other has: several models may be called alike."""
    name = f"inferd_model_{next(_numbers)}"
    loader = SourceFileLoader(name, str(path))
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = module_from_spec(spec)
    folder = str(path.parent)
    if folder not in sys.path:  # for good: what lies beside it may be imported late
        sys.path.append(folder)
    sys.modules[name] = module
    try:
        with _telling(path):
            # Not by exec_module, which takes the bytecode that lies beside it where that is of the
            # same size and second.
            exec(loader.source_to_code(path.read_bytes(), str(path)), vars(module))  # noqa: S102
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _class_in(module: ModuleType, path: Path) -> type:
    """The only class in *module* that has ``predict`` and is for others: no other one's base, and
    without an underscore."""
    own = [
        value
        for value in dict.fromkeys(filter(inspect.isclass, vars(module).values()))
        if value.__module__ == module.__name__ and not value.__name__.startswith("_")
    ]
    able = [kind for kind in own if hasattr(kind, "predict")]
    found = [k for k in able if not any(k in other.__mro__[1:] for other in able)]
    if len(found) == 1:
        return found[0]
    names = short(", ".join(kind.__name__ for kind in found or own))
    if found:
        raise BadArtifact(
            f"{path} has several classes with predict",
            got=names,
            expected="one",
            cure="Let the names of the others begin with an underscore.",
        )
    if own:
        raise BadArtifact(f"{path}: no class has a method predict", got=names, expected=PREDICT)
    outside = callable(getattr(module, "predict", None))
    got = "a function predict outside of any class" if outside else "none"
    raise BadArtifact(f"{path} has no class of its own", got=got, expected=PREDICT)


def _check_predict(kind: Any, path: Path) -> None:
    """Raise BadArtifact unless ``predict`` is a method of one argument."""
    predict, where = kind.predict, f"{path}: {kind.__name__}.predict"
    if not callable(predict):
        raise BadArtifact(f"{where} is no method", got=f"a {type(predict).__name__}")
    if inspect.iscoroutinefunction(predict) or inspect.isasyncgenfunction(predict):
        raise BadArtifact(
            f"{where} is asynchronous",
            expected="def predict(self, inputs)",
            cure="It has a process of its own, where it may wait.",
        )
    bound = inspect.getattr_static(kind, "predict")
    given = (None,) if isinstance(bound, staticmethod | classmethod) else (None, None)
    try:
        inspect.signature(predict).bind(*given)
    except TypeError:
        raise BadArtifact(
            f"{where} takes other arguments",
            got=f"def predict{inspect.signature(predict)}",
            expected="def predict(self, inputs)",
        ) from None


def _check_arguments(kind: type, path: Path) -> None:
    """Raise BadArtifact where an object of *kind* cannot be made without arguments."""
    try:
        inspect.signature(kind).bind()
    except ValueError:  # of a base in C, which does not tell
        return
    except TypeError:
        raise BadArtifact(
            f"{path}: {kind.__name__} is made with arguments",
            got=f"{kind.__name__}{inspect.signature(kind)}",
            expected=f"{kind.__name__}()",
            cure="Let it read what it needs in load(self).",
        ) from None


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """While the file's own code runs: what it raises is the operator's to read."""
    try:
        yield
    except LoadError:
        raise
    except ModuleNotFoundError as error:
        root = (error.name or "").partition(".")[0]
        cure = f"Install it, or put {root}.py beside {path.name}." if root else ""
        raise MissingPackage(_told(path, error), cure=cure) from error
    except SystemExit as error:  # of a script: it must not end the server
        raise BadArtifact(
            _told(path, error), cure="Guard what it runs with: if __name__ == '__main__'."
        ) from error
    except Exception as error:
        raise BadArtifact(_told(path, error)) from error


def _told(path: Path, error: BaseException) -> str:
    """What *error* is, and the last line of the user's own before it."""
    text = " ".join(str(error).split())[:MAX_TEXT]
    return f"{path} raises {type(error).__name__}{_place(path, error)}: {text}"


def _place(path: Path, error: BaseException) -> str:
    lines = [
        (frame.lineno, frame.line)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append((error.lineno, error.text))
    if not lines:
        return ""
    number, line = lines[-1]
    return f" in line {number}, `{short((line or '').strip())}`"


MAX_TEXT = 500  # characters of what an exception says
