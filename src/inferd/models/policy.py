"""Which version answers a request that names none: pure, from the names of the versions that are
ready."""

from collections.abc import Iterable


def default_version(ready: Iterable[str]) -> str | None:
    """The newest version: the largest number, or, among names that are no numbers, the last in the
    alphabet."""
    return max(ready, key=_age, default=None)


def newest_first(versions: Iterable[str]) -> tuple[str, ...]:
    """All of *versions*, the default one first."""
    return tuple(sorted(versions, key=_age, reverse=True))


def _age(version: str) -> tuple[bool, int, str]:
    numeric = version.isascii() and version.isdigit()
    return numeric, int(version) if numeric else 0, version
