"""What an invocation's content type says of its body."""

from enum import Enum
from functools import lru_cache

from inferd.errors import UnsupportedType, short


class Media(Enum):
    """What is read."""

    JSON = "application/json"
    CSV = "text/csv"


@lru_cache(maxsize=64)  # clients send few, again and again
def media(content_type: bytes) -> Media:
    """The kind of body; JSON where none is said. Raises UnsupportedType."""
    if not content_type:
        return Media.JSON
    kind, *parameters = [part.strip() for part in content_type.decode("latin-1").split(";")]
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() != "charset":
            raise UnsupportedType(
                "Unrecognized content type parameters", got=short(name), expected="charset"
            )
        if value.strip('"').lower() != "utf-8":
            raise UnsupportedType(
                "The scoring server only supports UTF-8", got=short(value), expected="utf-8"
            )
    try:
        return Media(kind.lower())
    except ValueError:
        raise UnsupportedType(
            "This predictor only supports the following content types: "
            + ", ".join(each.value for each in Media),
            got=repr(short(kind)),
        ) from None
