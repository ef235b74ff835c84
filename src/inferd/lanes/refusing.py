"""The request that an HTTP/1.1 connection is reading, and what is refused of it: a head that
announces too much, a body that turns out to be too much, bytes that are no request."""

from collections.abc import Mapping
from typing import Any

from inferd.errors import InferdError, Overloaded
from inferd.lanes import heads
from inferd.lanes.asgi_bridge import AppTurn
from inferd.lanes.large_body import LARGE, Receiver
from inferd.lanes.routing import Match
from inferd.lanes.service import Service
from inferd.lanes.turn import Turn, connection_field, error_answer
from inferd.lanes.writing import WritingHalf
from inferd.protocols.base import Message


class RefusingHalf(WritingHalf, Receiver):
    """A connection that knows the request which it reads."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._parser: Any
        self._unanswered = False
        """Whether the request that was read waits for what follows it: the last says that it is."""
        self._holds = False
        """Whether a body that is not whole counts for the worker's capacity."""
        self._begin()

    def _begin(self) -> None:
        """Forget the request that was read."""
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._fields: Mapping[bytes, bytes] = {}
        """The same as a mapping; made when they are complete, so that trailers never get in."""
        self._match: Match | None = None
        self._app: AppTurn | None = None
        self._error: InferdError | None = None
        self._offered = False
        """Whether the head offers to speak another protocol."""
        self._chunks: list[bytes | bytearray] = []
        self._size, self._awaited, self._principal = 0, 0, ""

    def _complete(self, *, keep_alive: bool) -> None:
        """Answer the request that was read."""
        raise NotImplementedError

    def _heed(self, fields: Mapping[bytes, bytes]) -> None:
        """Act on the headers that concern the transfer itself."""
        limits = self.service.limits
        if size := heads.announced_excess(fields, limits.body_bytes):
            self._refuse(heads.too_large(size, limits.body_bytes))
            return
        length = heads.announced_length(fields)
        if self._match and (length or b"transfer-encoding" in fields):
            try:
                self.service.capacity.expect(length)
            except Overloaded as error:
                self._decline(error, length)
                return
        if heads.expects_go_ahead(fields) and not self._turns and not self._is_old_http():
            self._transport.write(heads.GO_AHEAD)
        self._awaited = length if self._match and length >= LARGE else 0

    def _decline(self, error: InferdError, length: int) -> None:
        """Answer with *error* and keep nothing of a body of *length* bytes; it is read to its end
        only where that is no trouble."""
        if length < LARGE and not heads.expects_go_ahead(self._fields):
            self._error = error
        else:
            self._refuse(error)

    def _hold(self, size: int) -> bool:
        """Keep *size* bytes of a body that is not whole; False where there is no room for them, and
        that was told."""
        try:
            self.service.capacity.hold(self, size)
        except Overloaded as error:
            self._refuse(error)
            return False
        self._holds = True
        return True

    def _let_go(self) -> None:
        if self._holds:
            self._holds = False
            self.service.capacity.let_go(self)

    def _refuse(self, error: InferdError) -> None:
        """Answer with *error*, and hear nothing more on this connection."""
        if self._deaf:
            return
        if self._unanswered:
            self._complete(keep_alive=True)
        self._deaf, self._patience.heard = True, self.service.now
        self._transport.set_protocol(self)  # what is left of a large body is not kept any more
        self._let_go()
        self._chunks = []
        if self._app:
            self._drop_app()
        turn = Turn(keep_alive=False)
        turn.lingers = True
        self._tell(turn, error)

    def _drop_app(self) -> None:
        """Take the app's request back, whose body will never be whole."""
        app, self._app = self._app, None
        if app and app in self._turns:
            app.disconnect()
            if app.is_begun:
                self.cut(app)
            else:
                self._turns.remove(app)

    def _tell(self, turn: Turn, error: InferdError) -> None:
        """Answer *turn* with *error*, in its order."""
        match, fields, message = self._match, self._fields, None
        dialect = self.service.routes.fallback
        if match:
            dialect, message = match.dialect, Message(b"", match.path, fields, match.query)
        head, body = error_answer(dialect, error, message, fields, self.service)
        if self._turns:
            self._turns.append(turn)
        turn.done = True
        field = connection_field(turn, old_http=self._is_old_http())
        if self._target and self._parser.get_method() == b"HEAD":
            body = b""
        self.send(turn, head + field + b"\r\n" + body, last=True)

    def _sign(self) -> bytes:
        # The only answer of its kind that no client minds: Python's own takes others for the final.
        return heads.GO_AHEAD if self._turns[0].takes_interim else b""

    def _is_old_http(self) -> bool:
        return bool(self._parser.get_http_version() == "1.0")
