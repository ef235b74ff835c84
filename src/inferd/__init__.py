"""inferd: takes a trained model and makes it answer.

inferd.load("iris.pkl").predict(rows)       in this process
with inferd.serve("iris.pkl") as server:    over the network, from this process
app.mount("/models", inferd.asgi(...))      inside an ASGI app of yours
inferd.compile(model, "iris.onnx")          as an ONNX file that gives the same answers
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from inferd import errors
    from inferd.app.mount import asgi
    from inferd.local import load
    from inferd.server.embedded import serve
    from inferd.signature import Signature, TensorSpec
    from inferd.workbench import compile

__all__ = ["Signature", "TensorSpec", "__version__", "asgi", "compile", "errors", "load", "serve"]

_HOMES = {
    "Signature": "inferd.signature",
    "TensorSpec": "inferd.signature",
    "asgi": "inferd.app.mount",
    "compile": "inferd.workbench",
    "load": "inferd.local",
    "serve": "inferd.server.embedded",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import inferd`` alone takes no time."""
    if name == "errors":
        return importlib.import_module("inferd.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'inferd' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
