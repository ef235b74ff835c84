"""What every worker needs, imported before they are forked: once, and into memory that they
share."""

import gc
import importlib
import importlib.util

from inferd import plugins

PACKAGES = ("onnxruntime", "uvloop")
"""Not FastAPI: it takes as long as all else, and what it is needed for can wait for it."""


def preload() -> None:
    """Import what takes long, and leave it to the collector no more: it would write to the pages,
    and they would be shared no longer."""
    for package in PACKAGES:
        if importlib.util.find_spec(package):
            importlib.import_module(package)
    for kind in ("layouts", "runtimes", "schedulers"):
        list(plugins.load_all(kind))
    gc.collect()
    gc.freeze()
