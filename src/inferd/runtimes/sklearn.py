"""Models from pickles, joblib's files and skops files, answered by the library that fitted them."""

from inferd.artifact import Artifact
from inferd.estimators.fitted import Fitted
from inferd.estimators.library import library_of, wrapped
from inferd.estimators.origins import made_with, warn_of
from inferd.estimators.pickles import read_pickle
from inferd.estimators.skops_files import read_skops
from inferd.plugins import require
from inferd.runtimes.base import FittedRuntime


class SklearnRuntime(FittedRuntime):
    """Whatever has ``predict``; ``fitted.library`` tells which library it is of.

    One call at a time: scikit-learn promises nothing of threads, and its warnings are held back for
    the whole process while it runs.
    """

    name = "scikit-learn"
    parallel = False
    holds_gil = True

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix in (".pkl", ".pickle", ".joblib", ".skops")

    @classmethod
    def open(cls, artifact: Artifact) -> "SklearnRuntime":
        require("sklearn", "sklearn")
        read = read_skops if artifact.suffix == ".skops" else read_pickle
        loaded = read(artifact)
        model = wrapped(loaded.model)
        versions = {**made_with(model), **loaded.versions}
        warn_of(artifact.path.name, versions)
        return cls(Fitted(model, library_of(model), versions))


plugin = SklearnRuntime
