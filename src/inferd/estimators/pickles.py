"""Unpickling: models from plain pickles and from joblib's, whatever the suffix says, and nothing
that no model needs.

What a pickle names is looked at before it is found, and what it found before it is called. That is
no sandbox (see ``allowed``): a file is read at all only where the operator trusts it.
"""

import inspect
import os
import pickle
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from inferd.artifact import Artifact
from inferd.errors import BadArtifact, InferdError, LoadError, MissingPackage, Untrusted
from inferd.estimators import allowed, archives, origins
from inferd.plugins import require


class Loaded(NamedTuple):
    """What a file held."""

    model: Any
    versions: dict[str, tuple[str, str]]
    """The version that wrote it and the version here, by library, where they differ."""


def load_pickle(artifact: Artifact) -> Any:
    """The object in *artifact*; as ``read_pickle``."""
    return read_pickle(artifact).model


def read_pickle(artifact: Artifact) -> Loaded:
    """The object in *artifact*, which the operator must trust.

    Raises LoadError: Untrusted where it may not run or would do what no model does, MissingPackage
    for a module that is not there, BadArtifact for what cannot be read here.
    """
    path = artifact.path
    if not (artifact.trusted or artifact.unchecked):
        raise Untrusted(
            f"{path} is a pickle, and a pickle runs whatever code it holds",
            cure="If you trust where it came from, start with --trust-pickle.",
        )
    try:
        with archives.opened(path) as file, reading() as caught:
            model = _load(file, str(path), artifact.unchecked)
            file.read(1)  # a packed file's checksum stands behind its content
        return Loaded(model, origins.told_by(caught))
    except InferdError as error:
        raise type(error)(f"{path}: {error.message}", cure=error.cure) from None
    except ModuleNotFoundError as error:
        raise missing(path, error) from None
    except SystemExit as error:  # of a module that is a script: it must not end the server
        raise BadArtifact(
            f"{path} loads code that ends the program (SystemExit: {error.code})",
            cure="Guard what that module runs with: if __name__ == '__main__'.",
        ) from None
    except Exception as error:  # noqa: BLE001 - what a pickle builds raises whatever it likes
        raise unreadable(path, error) from None


def missing(path: Path, error: ModuleNotFoundError) -> LoadError:
    """What to say of a module that is not there."""
    name = error.name or str(error)
    root = name.partition(".")[0]
    if root in EXTRAS:
        try:
            require(root, EXTRAS[root])
        except MissingPackage as lacking:
            return MissingPackage(f"{path}: {lacking.message}", cure=lacking.cure)
        return unreadable(path, error)
    return MissingPackage(
        f"{path} needs the module {name!r}, which is not here",
        cure=f"Install it, or start inferd in the folder that holds {root}.py.",
    )


def unreadable(path: Path, error: Exception) -> BadArtifact:
    """What to say of a file that raises *error* while it is read: most often the version."""
    versions = {} if _ends_early(error) else _versions(path)  # cut off, the version may be, too
    for library, (wrote, here) in versions.items():
        if wrote != here:
            return BadArtifact(
                f"{path} was written by {library} {wrote} and cannot be read by {library} {here}",
                cure=f"Install {library}=={wrote}, or write the model again with {here}.",
            )
    if isinstance(error, AttributeError | ImportError):
        return BadArtifact(
            f"{path} needs what the libraries here do not have: {_line(error)}",
            cure="Install the versions that it was written with, or write it again with these.",
        )
    return BadArtifact(
        f"{path} is no pickle, is damaged, or is cut off ({type(error).__name__}: {_line(error)})"
    )


def _ends_early(error: Exception) -> bool:
    """Whether *error* is of a file that ends before its pickle does."""
    return isinstance(error, EOFError) or "truncated" in str(error)


EXTRAS = {
    "sklearn": "sklearn",
    "joblib": "sklearn",
    "pandas": "sklearn",
    "scipy": "sklearn",
    "skops": "sklearn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
}
"""The extra that installs a package."""


class _WithArrays(Exception):
    """The pickle is joblib's, with arrays between its opcodes."""


def _load(file: IO[bytes], name: str, unchecked: bool) -> Any:
    """By the unpickler in C, and by joblib's only where that is needed: it is ten times slower."""
    try:
        return _plain(unchecked)(file).load()
    except _WithArrays:
        file.seek(0)
    numpy_pickle = require("joblib.numpy_pickle", "sklearn")
    base = numpy_pickle.NumpyUnpickler
    settings: dict[str, Any] = {"filename": name, "file_handle": file, "mmap_mode": None}
    if "ensure_native_byte_order" in inspect.signature(base.__init__).parameters:
        settings["ensure_native_byte_order"] = True
    return _with_arrays(base, numpy_pickle.NumpyArrayWrapper, unchecked)(**settings).load()


def _plain(unchecked: bool) -> type[pickle.Unpickler]:
    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
                raise _WithArrays
            return _found(super().find_class, module, name, unchecked)

    return Plain


def _with_arrays(base: Any, wrapper: Any, unchecked: bool) -> Any:
    class Wrapper(wrapper):  # type: ignore[misc]
        """Arrays of objects are pickles inside the pickle, which older joblibs read unchecked."""

        def read_array(self, unpickler: Any, *settings: Any) -> Any:
            if self.dtype.hasobject:
                return _plain(unchecked)(unpickler.file_handle).load()
            return super().read_array(unpickler, *settings)

    class WithArrays(base):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
                return Wrapper
            return _found(super().find_class, module, name, unchecked)

    return WithArrays


def _found(find: Any, module: str, name: str, unchecked: bool) -> Any:
    """What *find* finds, if a model may need it."""
    if unchecked:
        return _find(find, module, name)
    allowed.refuse_name(module, name)
    instead = allowed.INSTEAD.get(f"{module}.{name}".replace("__builtin__", "builtins"))
    if instead is not None:
        return instead
    value = _find(find, module, name)
    allowed.refuse_value(value, module, name)
    return value


def _find(find: Any, module: str, name: str) -> Any:
    try:
        return find(module, name)
    except AttributeError:
        if module != "__main__":
            raise
        raise BadArtifact(
            f"it holds a {name!r} that was in the script itself (__main__), which is not here",
            cure="Move it into a module of its own, import it from there, and write the model"
            " again.",
        ) from None


@contextmanager
def _working_directory() -> Iterator[None]:
    """The user's own modules are found beside them: in the folder that inferd was started in."""
    folder = os.getcwd()
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@contextmanager
def reading() -> Iterator[list[warnings.WarningMessage]]:
    """While a model is read: the user's modules are found, and what libraries warn of is kept, so
    that it can be told once, in our words."""
    with warnings.catch_warnings(record=True) as caught, _working_directory():
        warnings.simplefilter("always")
        yield caught


def _versions(path: Path) -> dict[str, tuple[str, str]]:
    try:
        with archives.opened(path) as file:
            return origins.told_of(file.read())
    except Exception:  # noqa: BLE001 - it is damaged, or a packing that is not installed
        return {}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
