"""From a path to a loaded runtime: layout, then inspection, then compiling, then the runtime that
recognises it."""

from collections.abc import Sequence
from pathlib import Path

from inferd import plugins
from inferd.compile import compiler
from inferd.errors import ArtifactNotFound, ConfigError, UnknownFormat
from inferd.runtimes.base import Runtime
from inferd.spec import ModelSpec


def find(paths: Sequence[Path], name: str | None = None) -> list[ModelSpec]:
    """Every version of every model at *paths*.

    Raises ArtifactNotFound, UnknownFormat, or ConfigError where two paths give one name or a name
    is given to many.
    """
    if name and len(paths) > 1:
        raise ConfigError("--name names one model", got=f"{len(paths)} paths", expected="one path")
    found: dict[tuple[str, str], ModelSpec] = {}
    for path in paths:
        for spec in _scan(path, name):
            if (spec.name, spec.version) in found:
                raise ConfigError(
                    f"two paths give a model called {spec.name!r}", cure="Rename one of the files."
                )
            found[spec.name, spec.version] = spec
    return list(found.values())


def open_runtime(spec: ModelSpec) -> Runtime:
    """Load *spec*'s artifact. Blocks; raises LoadError."""
    artifact = compiler.off(spec.artifact)
    for _, runtime in plugins.load_all("runtimes"):
        if runtime.recognises(artifact):
            loaded: Runtime = runtime.open(artifact)
            return loaded
    raise UnknownFormat(
        f"no runtime recognises {artifact.path.name}",
        expected="one of: " + ", ".join(plugins.names("runtimes")),
    )


def _scan(path: Path, name: str | None) -> Sequence[ModelSpec]:
    if not path.exists():
        raise ArtifactNotFound(f"there is no model at {path}", cure=_neighbours(path))
    for _, layout in plugins.load_all("layouts"):
        if layout.recognises(path):
            specs: Sequence[ModelSpec] = layout.scan(path, name)
            return specs
    raise UnknownFormat(f"{path} is laid out as nothing that inferd knows", expected="a model file")


def _neighbours(path: Path) -> str:
    """What lies beside a path that does not exist, for a cure."""
    folder = path.parent
    files = sorted(p.name for p in folder.iterdir() if p.is_file())[:5] if folder.is_dir() else []
    return f"Beside it: {', '.join(files)}." if files else ""
