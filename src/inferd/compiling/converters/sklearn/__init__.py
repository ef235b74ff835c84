"""scikit-learn: each file here converts one family; EMITTERS names its classes."""

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from inferd.compiling.converters.base import CannotConvert, Context, Converter, Frame
from inferd.compiling.graph import Value

Emitter: TypeAlias = Callable[[Context, Any, Frame, str], Value]
"""(context, fitted estimator, its input, method) to the method's result; see ``Converter.emit``."""


class SklearnConverter(Converter):
    """Exactly the classes that are named: a subclass may answer otherwise."""

    def emit(self, context: Context, model: Any, frame: Frame, method: str) -> Value:
        name = type(model).__name__
        emitter = emitters().get(name) if type(model).__module__.startswith("sklearn.") else None
        if emitter is None:
            raise CannotConvert(f"{name} has no exact form")
        # Several methods of one model share what they have in common, since the graph makes no node
        # twice; and the same method is asked for again by meta-estimators.
        return context.graph.once(
            ("emit", id(model), frame, method), lambda: emitter(context, model, frame, method)
        )


@cache
def emitters() -> dict[str, Emitter]:
    """Every emitter, by class name."""
    table: dict[str, Emitter] = {}
    for module in pkgutil.iter_modules(__path__):
        table |= getattr(importlib.import_module(f"{__name__}.{module.name}"), "EMITTERS", {})
    return table


plugin = SklearnConverter()
