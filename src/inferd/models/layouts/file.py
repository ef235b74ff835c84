"""A bare file: version 1 of a model that is called like the file."""

import re
from collections.abc import Sequence
from pathlib import Path

from inferd.artifact import Artifact
from inferd.errors import ConfigError
from inferd.models.layouts.base import Layout
from inferd.spec import ModelSpec

NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""Names that need no escaping in any URL, metric label or file name."""


class FileLayout(Layout):
    """One file, one model, one version."""

    def recognises(self, path: Path) -> bool:
        return path.is_file()

    def scan(self, path: Path, name: str | None) -> Sequence[ModelSpec]:
        chosen = name or path.stem
        if not NAME.fullmatch(chosen) or set(chosen) == {"."}:
            raise ConfigError(
                "not a model's name",
                got=repr(chosen),
                expected="1 to 128 letters, digits, dots, dashes or underscores",
                cure="Give one with --name.",
            )
        # Trusted: the operator named this very file, and nobody else can put another in its place
        # without being able to write where the operator's models lie.
        return [ModelSpec(chosen, "1", Artifact(path, trusted=True))]


plugin = FileLayout()
