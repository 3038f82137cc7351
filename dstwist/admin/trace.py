r"""
The command C{trace}: the messages of one user, decoded, while they come and go.

::

    trace begins --> the user's connections are tapped --> rows --> the operator
                     those that log in later, too              \-> too many, or not taken: dropped, and counted
    the operator goes --> the taps are removed

Always true: a connection that no operator traces runs the same code as if there were no traces. A trace sends at most
L{MAX_ROWS} rows in a second, keeps at most L{MAX_WAITING_BYTES}, and says how many messages it has dropped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from dstwist.admin.commands import Command, CommandError, Parameters
from dstwist.admin.message_rows import row_of, rows_of_frame
from dstwist.admin.parts import AdminParts
from dstwist.connections.connection import Connection
from dstwist.interfaces import HttpStream, IRequester, IStreamWriter
from dstwist.log import Logger
from dstwist.protocol.message import Malformed, Message
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns
from dstwist.transports.websocket import WebSocketLink

#: How many traces there may be.
MAX_TRACES = 10

#: How many connections one trace follows.
MAX_CONNECTIONS = 100

#: How many rows a trace sends in a second.
MAX_ROWS = 2000

#: How many bytes wait for an operator who does not take them.
MAX_WAITING_BYTES = 262144

_CONTENT_TYPE = "application/x-ndjson; charset=utf-8"


class Traces:
    """
    The traces of one node.
    """

    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts
        self._turns = Turns.of(parts.clock)
        self._by_user: dict[str, list[Trace]] = {}
        self._taps: dict[Any, _Tap] = {}
        self._observing = False

    def commands(self) -> list[Command]:
        """
        The command.
        """
        return [Command("trace", self.trace, ("user", "values"))]

    def trace(self, parameters: Parameters) -> HttpStream:
        """
        The messages of a user, a JSON object in each line.
        """
        user = parameters.needed("user")
        if sum(map(len, self._by_user.values())) >= MAX_TRACES:
            raise CommandError("there are too many traces", 409)
        return HttpStream(200, _CONTENT_TYPE, partial(self._begin, user, parameters.flag("values")))

    def _begin(self, user: str, with_values: bool, writer: IStreamWriter) -> None:
        if not self._observing:
            # Once, and not before an operator asks for a trace.
            self._observing = True
            self._parts.users.observe_connections(self._logged_in, self._ended)
        trace = Trace(user, with_values, writer, self._parts.clock, self._end)
        self._by_user.setdefault(user, []).append(trace)
        trace.row({"tracing": user})
        work: Deferred[None] = Deferred.fromCoroutine(self._follow(trace))
        work.addErrback(lambda failure: Trace.log.failure("a trace failed", failure))
        writer.on_gone(trace.end)

    async def _follow(self, trace: Trace) -> None:
        """
        Tap the connections that the user has already.
        """
        pause = TurnPause(self._turns)
        for link in self._links():
            if pause.due():
                await pause.wait()
            if trace.ended:
                return
            connection: Any = link.connection
            if link.user == trace.user and isinstance(connection, Connection):
                self._tap(link, connection, trace)

    def _links(self) -> Iterator[WebSocketLink]:
        for factory in self._parts.web_sockets.values():
            yield from list(factory.links)

    def _tap(self, link: Any, connection: Connection, trace: Trace) -> None:
        if connection in trace.connections or connection.closed:
            return
        if len(trace.connections) >= MAX_CONNECTIONS:
            trace.dropped += 1
            return
        tap = self._taps.get(connection)
        if tap is None:
            tap = self._taps[connection] = _Tap(link, connection)
        tap.traces.append(trace)
        trace.connections[connection] = None
        trace.row({"client": connection.number, "address": connection.address, "event": "connected"})

    def _logged_in(self, connection: IRequester) -> None:
        if isinstance(connection, Connection) and connection.user is not None:
            for trace in self._by_user.get(connection.user, ()):
                self._tap(connection.link, connection, trace)

    def _ended(self, connection: IRequester) -> None:
        tap = self._taps.pop(connection, None)
        if tap is not None:
            for trace in tap.traces:
                trace.connections.pop(connection, None)
                trace.row({"client": connection.number, "event": "disconnected"})
            tap.remove()

    def _end(self, trace: Trace) -> None:
        for connection in trace.connections:
            tap = self._taps[connection]
            tap.traces.remove(trace)
            if not tap.traces:
                del self._taps[connection]
                tap.remove()
        traces = self._by_user[trace.user]
        traces.remove(trace)
        if not traces:
            del self._by_user[trace.user]


class Trace:
    """
    One trace.

    @ivar connections: those that it follows.
    @ivar dropped: how many messages the operator was not sent, and has not been told of.
    @ivar ended: the operator has gone.
    """

    log = Logger()

    def __init__(
        self, user: str, with_values: bool, writer: IStreamWriter, clock: Any, on_end: Callable[[Trace], object]
    ) -> None:
        self.user = user
        self.connections: dict[Any, None] = {}
        self.dropped = 0
        self.ended = False
        self.with_values = with_values
        self._writer = writer
        self._clock = clock
        self._on_end = on_end
        self._left = MAX_ROWS
        self._call: IDelayedCall | None = clock.callLater(1, self._next_second)

    @property
    def has_room(self) -> bool:
        """
        Whether one more row can be sent now.
        """
        return self._left > 0 and self._writer.waiting <= MAX_WAITING_BYTES

    def row(self, row: dict[str, Any]) -> None:
        """
        Send a row, or count it.
        """
        if not self.has_room:
            self.dropped += 1
            return
        self._left -= 1
        self._write(row)

    def end(self) -> None:
        """
        The operator has gone.
        """
        self.ended = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._on_end(self)
        self.connections.clear()

    def _write(self, row: dict[str, Any]) -> None:
        line = json.dumps({"time": round(time.time(), 3), **row}, separators=(",", ":"))
        self._writer.write(line.encode("ascii") + b"\n")

    def _next_second(self) -> None:
        self._call = self._clock.callLater(1, self._next_second)
        self._left = MAX_ROWS
        if self.dropped and self._writer.waiting <= MAX_WAITING_BYTES:
            dropped, self.dropped = self.dropped, 0
            self._write({"dropped": dropped})


class _Tap:
    """
    Sees the messages of one connection.
    """

    def __init__(self, link: Any, connection: Connection) -> None:
        self.traces: list[Trace] = []
        self._link = link
        self._connection = connection
        self._decode = connection.decode
        connection.decode = self._received
        link.watch(self._sent)

    def remove(self) -> None:
        """
        See no more messages.
        """
        self._connection.decode = self._decode
        self._link.watch(None)

    def _received(self, payload: bytes | str) -> list[Malformed | Message]:
        messages = self._decode(payload)
        try:
            for trace in self.traces:
                for message in messages:
                    self._tell(trace, "in", lambda message=message, trace=trace: [row_of(message, trace.with_values)])  # type: ignore[misc]
        except Exception:
            Trace.log.failure("a trace failed")
        return messages

    def _sent(self, frames: Sequence[bytes]) -> None:
        codec = self._connection.wire.codec
        try:
            for trace in self.traces:
                for frame in frames:
                    self._tell(trace, "out", partial(rows_of_frame, frame, codec, trace.with_values))
        except Exception:
            Trace.log.failure("a trace failed")

    def _tell(self, trace: Trace, direction: str, rows: Callable[[], list[dict[str, Any]]]) -> None:
        if not trace.has_room:
            # Nothing is decoded for a row that is not sent.
            trace.dropped += 1
            return
        for row in rows():
            trace.row({"client": self._connection.number, "direction": direction, **row})
