"""An ASGI app that is still being made: its requests wait for it."""

from collections.abc import Awaitable
from typing import Any


class Deferred:
    """Stands where the app will be."""

    def __init__(self, app: Awaitable[Any]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = await self._app
        await app(scope, receive, send)
