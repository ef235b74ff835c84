"""The public names are exactly those that were promised."""

import inferd

PUBLIC = ["Signature", "TensorSpec", "__version__", "asgi", "compile", "errors", "load", "serve"]


def test_public_names_are_exact() -> None:
    """``inferd.__all__`` and ``dir(inferd)`` name the same things: the promised ones."""
    assert sorted(inferd.__all__) == PUBLIC
    assert {name for name in dir(inferd) if not name.startswith("_")} >= {*PUBLIC} - {"__version__"}


def test_every_public_name_is_there() -> None:
    """Each public name can be got from the root, and an unknown one is an AttributeError."""
    assert all(getattr(inferd, name) is not None for name in PUBLIC)
    assert not hasattr(inferd, "no_such_name")
