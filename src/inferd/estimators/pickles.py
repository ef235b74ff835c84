"""Unpickling: models from plain pickles and from joblib's, whatever the suffix says, and nothing
that no model needs.

What a pickle names is looked at before it is found, and what it found before it is called. That is
no sandbox (see ``allowed``): a file is read at all only where the operator trusts it.
"""

import pickle
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from inferd import plugins
from inferd.artifact import Artifact
from inferd.errors import BadArtifact, InferdError, LoadError, MissingPackage, Untrusted
from inferd.estimators import allowed, archives, origins
from inferd.plugins import require


def load_pickle(artifact: Artifact) -> Any:
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
        with archives.opened(path) as file, _quietly(), _working_directory():
            return _load(file, str(path), artifact.unchecked)
    except InferdError as error:
        raise type(error)(f"{path}: {error.message}", cure=error.cure) from None
    except ModuleNotFoundError as error:
        raise missing(path, error) from None
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
