"""Which version of a library wrote a model, where the model tells, and which version is here."""

import re
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from inferd.log import logger

SKLEARN = "scikit-learn"


def made_with(model: Any) -> dict[str, tuple[str, str]]:
    """The version that wrote *model* and the version here, by library, where that is known."""
    wrote = _catboost(model)
    return {"catboost": (wrote, installed("catboost"))} if wrote else {}


def told_by(caught: Sequence[warnings.WarningMessage]) -> dict[str, tuple[str, str]]:
    """As ``made_with``, from what scikit-learn warned of while it was read."""
    wrote = [getattr(each.message, "original_sklearn_version", None) for each in caught]
    return {SKLEARN: (next(filter(None, wrote)), installed(SKLEARN))} if any(wrote) else {}


def told_of(content: bytes) -> dict[str, tuple[str, str]]:
    """As ``made_with``, from a pickle's unpacked bytes: for one that cannot be read."""
    wrote = PICKLED.search(content)
    return {SKLEARN: (wrote[1].decode(), installed(SKLEARN))} if wrote else {}


def of_xgboost(content: bytes) -> dict[str, tuple[str, str]]:
    """As ``made_with``, from the bytes of a file of XGBoost's, JSON or UBJSON."""
    ends = content[:END] + b" " + content[-END:]
    text, binary = AS_JSON.search(ends), AS_UBJSON.search(ends)
    if text:
        wrote = b".".join(text.groups()).decode()
    elif binary:
        wrote = ".".join(str(int.from_bytes(number, "big")) for number in binary.groups())
    else:
        return {}
    return {"xgboost": (wrote, installed("xgboost"))}


def warn_of(name: str, versions: dict[str, tuple[str, str]]) -> None:
    """Log it, in one line, where another version wrote the model than is here."""
    for library, (wrote, here) in versions.items():
        if here and wrote != here:
            logger.warning(
                "%s was written by %s %s and is read by %s: hold its answers against those that it"
                " gave there, or write it again with %s",
                *(name, library, wrote, here, here),
            )


def installed(library: str) -> str:
    """The version here; empty where it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _catboost(model: Any) -> str:
    if not hasattr(model, "get_metadata") or not model.is_fitted():
        return ""
    text = dict(model.get_metadata()).get("catboost_version_info", "")
    found = re.search(r"(?:CatBoost release |tags/v)(\d[\w.]*)", text)
    return found[1] if found else ""


END = 4096
"""Bytes at either end of a file among which the version stands."""

AS_JSON = re.compile(rb'"version":\[(\d+),(\d+),(\d+)\]')
AS_UBJSON = re.compile(rb"version\[#L.{8}[iUIlL](.)[iUIlL](.)[iUIlL](.)", re.DOTALL)
"""Three numbers, each after the letter of its own type; all of one byte so far."""

PICKLED = re.compile(
    rb"_sklearn_version(?:\x94|q.|r.{4}|\np\d+\n)?(?:\x8c.|X.{4}|\x8d.{8}|V)"
    rb"(\d+\.\d+(?:\.\d+)?(?:\.?(?:a|b|rc|dev|post)\d+)*)",
    re.DOTALL,
)
"""The key and the value as each of pickle's protocols writes two strings in a row."""
