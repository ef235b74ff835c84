"""The model that a message names, and its version: as it is, or read as Triton reads it."""

import re

from inferd.errors import InvalidInput, ModelNotFound, short


def model_of(told: str) -> str:
    """The model's name; ModelNotFound where nothing is told."""
    if not told:
        raise ModelNotFound("", None, ())
    return told


def version_of(told: str, *, strict: bool) -> str | None:
    """The version's name; None where nothing is told.

    Where *strict*, it is the whole number at the beginning, so that ``1.0.0`` is 1, as in C's
    ``stol``. (server 2.73dev, src/common.cc GetModelVersionFromString)
    """
    if not told:
        return None
    if not strict:
        return told
    number = _NUMBER.match(told)
    if number is None or len(number[1]) > _DIGITS:
        raise InvalidInput(
            f"failed to get model version from specified version string '{short(told)}' (details: "
            "stol), version should be an integral value > 0"
        )
    version = int(number[1])
    if version < 0:
        raise InvalidInput(
            f"invalid model version specified '{short(told)}' , version should be an integral "
            "value > 0"
        )
    return str(version)


_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_DIGITS = 18  # fewer than an int64 has
