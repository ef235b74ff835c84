"""Which model answers a request that names an experiment. Stands before the engine, in the engine's
call shape."""

from inferd.calls import Handler


def off(handler: Handler) -> Handler:
    """Run every request on the model that it names, at no cost: the handler behind it stands in its
    place."""
    return handler
