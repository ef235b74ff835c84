"""Models in skops files: what a file holds is listed, and nothing else of it is made unless the
operator names it."""

from inferd.artifact import Artifact
from inferd.errors import BadArtifact, Untrusted
from inferd.estimators.origins import told_by
from inferd.estimators.pickles import Loaded, missing, reading
from inferd.plugins import require


def read_skops(artifact: Artifact) -> Loaded:
    """The object in *artifact*. Never read as a pickle.

    Raises LoadError: Untrusted where it holds types that are not well known and that
    ``artifact.types`` does not name.
    """
    io = require("skops.io", "sklearn")
    path = artifact.path
    try:
        unknown = set(io.get_untrusted_types(file=path))
    except Exception as error:  # noqa: BLE001 - it raises what zip, JSON and its own readers raise
        raise _damaged(artifact, error) from None
    others = sorted(unknown - set(artifact.types))
    if others:
        everything = ",".join(sorted(unknown))
        raise Untrusted(
            f"{path} holds types that are not well known: {', '.join(others)}",
            cure=f"If you trust them, start with --trusted-types {everything}",
        )
    try:
        with reading() as caught:
            model = io.load(path, trusted=sorted(unknown))
        return Loaded(model, told_by(caught))
    except ModuleNotFoundError as error:
        raise missing(path, error) from None
    except Exception as error:  # noqa: BLE001 - as above
        raise _damaged(artifact, error) from None


def _damaged(artifact: Artifact, error: Exception) -> BadArtifact:
    line = " ".join(str(error).split())[:200]
    return BadArtifact(f"skops cannot read {artifact.path} ({type(error).__name__}: {line})")
