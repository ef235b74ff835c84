"""The contract of a layout: how models and their versions lie in a directory or a file.

A plug-in of this kind is one file in this folder (or a third party's entry point in
``inferd.layouts``) whose ``plugin`` is an instance of Layout.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from inferd.spec import ModelSpec


class Layout(ABC):
    """Finds models at a path. Holds no state; both methods may read the disk, and load nothing."""

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether what lies at *path*, which exists, is laid out so.

        Of several layouts that say yes the first by name wins.
        """

    @abstractmethod
    def scan(self, path: Path, name: str | None) -> Sequence[ModelSpec]:
        """Every version of every model at *path*.

        *name*, where the operator gave one, is the only model's name. Raises LoadError where
        something there can be no model. Repeating it gives what is there then.
        """


def check_layout(layout: Layout, path: Path) -> None:
    """Assert that *layout* keeps this contract, with a *path* of its kind."""
    assert layout.recognises(path)
    specs = layout.scan(path, None)
    assert specs, "nothing was found"
    assert len({(s.name, s.version) for s in specs}) == len(specs), "a version was found twice"
    assert all(s.artifact.path.exists() for s in specs)
    assert layout.scan(path, None) == specs, "a second look saw something else"
