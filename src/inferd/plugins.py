"""Finds plug-ins by name: a plug-in is a file (or package) in its kind's folder, or a third party's
entry point.

Listing imports nothing; loading imports one plug-in. A plug-in's module holds it under the name
``plugin``. Third parties declare theirs in their own distribution, in the group ``inferd.<kind>``:

    [project.entry-points."inferd.runtimes"]
    toy = "toy_runtime"
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from inferd.errors import ConfigError, MissingPackage

KINDS = {
    "runtimes": "inferd.runtimes",
    "protocols": "inferd.protocols",
    "converters": "inferd.compiling.converters",
    "layouts": "inferd.models.layouts",
    "schedulers": "inferd.engine.schedulers",
}
"""Each kind of plug-in and the package whose modules are its built-in ones. ``base`` is the kind's
contract."""


def names(kind: str) -> tuple[str, ...]:
    """The names of all plug-ins of *kind*, built-in ones first, each in alphabetical order."""
    built_in = sorted(_built_in(kind))
    return (*built_in, *sorted(set(_third_party(kind)) - set(built_in)))


def load(kind: str, name: str) -> Any:
    """The plug-in *name* of *kind*. Raises ConfigError if there is none of that name."""
    if name in _built_in(kind):
        return importlib.import_module(f"{KINDS[kind]}.{name}").plugin
    entry = _third_party(kind).get(name)
    if entry is None:
        raise ConfigError(f"no plug-in in {kind}", got=repr(name), expected=", ".join(names(kind)))
    return entry.load().plugin


def load_all(kind: str) -> Iterator[tuple[str, Any]]:
    """Every plug-in of *kind* with its name."""
    for name in names(kind):
        yield name, load(kind, name)


def require(package: str, extra: str) -> Any:
    """Import *package* for a plug-in, or raise MissingPackage with the pip line that installs
    it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        # A package that is there and lacks one of its own is another fault, and must not be blamed
        # on the extra.
        if error.name != package.partition(".")[0]:
            raise
        raise MissingPackage(
            f"the package {package!r} is not installed",
            cure=f"Install it with: pip install 'inferd[{extra}]'",
        ) from None


def _built_in(kind: str) -> set[str]:
    package = importlib.import_module(KINDS[kind])
    return {module.name for module in pkgutil.iter_modules(package.__path__)} - {"base"}


@functools.cache  # reading every installed distribution's metadata takes tens of milliseconds
def _third_party(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"inferd.{kind}")}
