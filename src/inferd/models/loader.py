"""From a path to a loaded runtime: layout, then the runtime that recognises the artifact, then
compiling, then whichever runtime runs what came of it."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from inferd import plugins
from inferd.artifact import Artifact
from inferd.compiling import compiler
from inferd.compiling.cache import Cache, default_folder
from inferd.errors import ArtifactNotFound, ConfigError, UnknownFormat
from inferd.runtimes.base import Runtime
from inferd.spec import Loading, ModelSpec

Progress: TypeAlias = Callable[[str], None]
"""Told what is being done, in a few words."""


def quiet(_: str) -> None:
    """Tell nobody."""


class Trust(NamedTuple):
    """The operator's word about artifacts that hold code."""

    unchecked: bool = False
    types: tuple[str, ...] = ()


NO_MORE = Trust()
"""What naming a file means, and no more."""


def trust(pickle: bool, types: str) -> Trust:
    """From the settings ``trust_pickle`` and ``trusted_types``."""
    return Trust(pickle, tuple(each.strip() for each in types.split(",") if each.strip()))


def find(
    paths: Sequence[Path], name: str | None = None, trusted: Trust = NO_MORE
) -> list[ModelSpec]:
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
            artifact = msgspec.structs.replace(spec.artifact, **trusted._asdict())
            found[spec.name, spec.version] = msgspec.structs.replace(spec, artifact=artifact)
    return list(found.values())


def open_runtime(spec: ModelSpec, progress: Progress = quiet) -> Runtime:
    """Load *spec*'s artifact, compiled where it can be. Blocks; raises LoadError."""
    artifact, loading = spec.artifact, spec.loading
    name, opener = recognise(artifact)
    if not opener.compilable:
        return _open_native(artifact, name, opener, loading)
    if loading.compile:
        options = compiler.Options(cache_at(loading.cache_dir), progress=progress)
        compiled = compiler.compile_artifact(artifact, opener, options)
    else:
        compiled = compiler.off("compiling is turned off")
    if compiled.onnx is not None:
        return compiler.open_compiled(compiled.onnx)
    runtime = _open_native(artifact, name, opener, loading)
    library = compiled.verdict.library or runtime.name
    runtime.verdict = msgspec.structs.replace(compiled.verdict, library=library)
    return runtime


def would_compile(spec: ModelSpec) -> bool:
    """Whether loading *spec* compiles it, and leaves that in the cache. Opens no model."""
    _, opener = recognise(spec.artifact)
    cache = cache_at(spec.loading.cache_dir)
    compiles = opener.compilable and spec.loading.compile
    return compiles and cache is not None and not compiler.is_kept(spec.artifact, cache)


def compile_ahead(spec: ModelSpec) -> None:
    """Leave in the cache what *spec* is compiled to. Blocks; raises LoadError."""
    _, opener = recognise(spec.artifact)
    options = compiler.Options(cache_at(spec.loading.cache_dir))
    compiler.compile_artifact(spec.artifact, opener, options)


def recognise(artifact: Artifact) -> tuple[str, type[Runtime]]:
    """The plug-in, by name, that opens *artifact*. Raises UnknownFormat."""
    for name, runtime in plugins.load_all("runtimes"):
        if runtime.recognises(artifact):
            return name, runtime
    raise UnknownFormat(
        f"no runtime recognises {artifact.path.name}",
        expected="one of: " + ", ".join(plugins.names("runtimes")),
    )


def cache_at(folder: str) -> Cache | None:
    """The cache that the setting ``cache_dir`` means."""
    if folder == "none":
        return None
    return Cache(Path(folder) if folder else default_folder(os.environ))


def _open_native(artifact: Artifact, name: str, opener: type[Runtime], loading: Loading) -> Runtime:
    """The artifact in its own library: in processes of its own where it would hold up this one."""
    if not (opener.holds_gil and loading.native_processes):
        return opener.open(artifact)
    remote: Runtime = plugins.load("runtimes", "remote").start(
        artifact, name, loading.native_processes
    )
    return remote


def _scan(path: Path, name: str | None) -> Sequence[ModelSpec]:
    try:
        found = path.exists()
    except OSError as error:
        raise ArtifactNotFound(f"cannot look for a model at {path}: {error.strerror}") from None
    if not found:
        raise ArtifactNotFound(f"there is no model at {path}", cure=_neighbours(path))
    for _, layout in plugins.load_all("layouts"):
        if layout.recognises(path):
            specs: Sequence[ModelSpec] = layout.scan(path, name)
            return specs
    raise UnknownFormat(f"{path} is laid out as nothing that inferd knows", expected="a model file")


def _neighbours(path: Path) -> str:
    """What lies beside a path that does not exist, for a cure."""
    files: list[str] = []
    with suppress(OSError):  # it is no folder, or is closed to this user
        files = sorted(p.name for p in path.parent.iterdir() if p.is_file())[:5]
    return f"Beside it: {', '.join(files)}." if files else ""
