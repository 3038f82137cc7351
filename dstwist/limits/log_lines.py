"""
The number of lines of one kind in the log: the first lines are written, then a count.

::

    AUTH_ERROR | token refused: expired                                     the first C{maxLogLinesPerClient}
    ...
    AUTH_ERROR | token refused: expired ... and 1234 more like this from 192.0.2.1 in the last 10 s

Time is cut into intervals of C{logInterval}. The end of each interval writes the counts, and forgets them. Within an
interval, a line is written if

- its client caused fewer than C{maxLogLinesPerClient} lines of this kind, and
- all clients together caused fewer than C{maxLogLines} of them, and
- it has no C{once}, or the state that C{once} names was not logged in this interval or in the one before.

So a line with C{once} is written when a state begins, and is neither written again nor counted while the state lasts.

==================  ==================================================================================================
a kind of line      the place it comes from (the namespace of its logger), its format, and the class of the exception
                    if it is about one
a client            its address, or its user if the line has no address; lines that have neither count as of one client
a state             C{once}, of one connection if the line is about one, else of one client; and the kind of line
==================  ==================================================================================================

Always true: a kind remembers no more clients than C{maxLogLines}, since a client is remembered only with a line that is
written; there are no more kinds than L{MAX_LINE_KINDS}, and no more states than L{MAX_REMEMBERED_STATES}. So memory and
lines are bounded, whatever clients do.

L{LimitedObserver} limits the lines of Twisted, Autobahn, plug-ins and Python's warnings in the same way. Some of these
come from threads, so C{admits} starts no timer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from constantly import NamedConstant  # type: ignore[import-untyped]
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogBeginner, LogLevel, LogPublisher, formatEvent
from zope.interface import implementer

from dstwist.config.limits import LimitSettings
from dstwist.limits.addresses import key_of
from dstwist.log import Logger, OperatorLogger, admitted, enforce, lift, shown

#: How many kinds of lines are told apart; all others count as one.
MAX_LINE_KINDS = 1000

#: How many states are remembered in an interval; the lines about others are limited like lines without C{once}.
MAX_REMEMBERED_STATES = 10_000

# How many characters of a line stand in front of its count.
_EXAMPLE_CHARACTERS = 300
# A longer user name counts as its beginning.
_MAX_NAME_CHARACTERS = 256

_Kind = tuple[str, str | None, type[BaseException] | None]
_OTHER_KINDS: _Kind = ("", None, None)
# A state is of a connection, by its number, or of a client.
_State = tuple[_Kind, int | str | None, str]


class _Unwritten:
    """
    The number of lines that were not written, and the first of them.
    """

    __slots__ = ("count", "event", "level", "line")

    def __init__(self, level: NamedConstant, format: str | None, fields: dict[str, Any]) -> None:
        self.count = 0
        self.level = level or LogLevel.info
        self.event = fields.get("event")
        # As text, because fields may refer to a connection, or to a traceback with all that is in its frames.
        line = formatEvent({**fields, "log_format": format})
        failure = fields.get("log_failure")
        if failure is not None:
            line = f"{line}: {failure.getErrorMessage()}"
        self.line = shown(line, _EXAMPLE_CHARACTERS)


class _Lines:
    """
    The lines of one kind in this interval.
    """

    __slots__ = ("by_client", "others", "unwritten", "written")

    def __init__(self) -> None:
        self.written = 0
        self.by_client: dict[str | None, int] = {}
        # By client: lines above the client's limit. The others: lines above the limit of all clients.
        self.unwritten: dict[str | None, _Unwritten] = {}
        self.others: _Unwritten | None = None


class LogLimit:
    """
    The limit of one node, in force from L{start} to L{stop}.

    @param node: the label of the node.
    """

    _log = OperatorLogger()

    def __init__(self, settings: LimitSettings, clock: IReactorTime, node: str = "") -> None:
        self._node = node
        self._most = settings.max_log_lines
        self._most_of_client = settings.max_log_lines_per_client
        self._interval = settings.log_interval
        self._clock = clock
        self._kinds: dict[_Kind, _Lines] = {}
        # The states that were logged in this interval, and in the one before.
        self._states: dict[_State, None] = {}
        self._earlier_states: dict[_State, None] = {}
        self._began = 0.0
        self._end_call: IDelayedCall | None = None

    def start(self) -> None:
        """
        Enforce the limit.
        """
        enforce(self, self._node)
        self._began = self._clock.seconds()
        self._end_call = self._clock.callLater(self._interval, self._end)

    def stop(self) -> None:
        """
        Lift the limit, and write the counts.
        """
        lift(self)
        if self._end_call is not None:
            self._end_call.cancel()
            self._end_call = None
            self._write_counts()

    def admits(self, namespace: str, level: NamedConstant, format: str | None, fields: dict[str, Any]) -> bool:
        """
        Whether this line is written. If not, it is counted, unless it is about a state that was logged already.
        """
        kind = (namespace, format, getattr(fields.get("log_failure"), "type", None))
        client = _client(fields)
        once = fields.get("once")
        if once is None:
            return self._counts_among(kind, client, level, format, fields)
        state = (kind, fields.get("connection") or client, once)
        if state in self._states:
            return False
        lasts = state in self._earlier_states
        if not lasts and not self._counts_among(kind, client, level, format, fields):
            return False
        if len(self._states) < MAX_REMEMBERED_STATES:
            self._states[state] = None
        return not lasts

    def _counts_among(
        self, kind: _Kind, client: str | None, level: NamedConstant, format: str | None, fields: dict[str, Any]
    ) -> bool:
        """
        Count a line.

        @return: whether it is among those that are written.
        """
        lines = self._kinds.get(kind)
        if lines is None:
            if len(self._kinds) >= MAX_LINE_KINDS:
                kind = _OTHER_KINDS
            lines = self._kinds.setdefault(kind, _Lines())
        count = lines.by_client.get(client, 0)
        if self._most_of_client is not None and count >= self._most_of_client:
            unwritten = lines.unwritten.get(client)
            if unwritten is None:
                unwritten = lines.unwritten[client] = _Unwritten(level, format, fields)
            unwritten.count += 1
            return False
        if self._most is not None and lines.written >= self._most:
            if lines.others is None:
                lines.others = _Unwritten(level, format, fields)
            lines.others.count += 1
            return False
        lines.written += 1
        if self._most_of_client is not None:
            lines.by_client[client] = count + 1
        return True

    def _end(self) -> None:
        self._end_call = self._clock.callLater(self._interval, self._end)
        self._write_counts()

    def _write_counts(self) -> None:
        kinds, self._kinds = self._kinds, {}
        self._states, self._earlier_states = {}, self._states
        now = self._clock.seconds()
        seconds, self._began = max(now - self._began, 0.0), now
        for lines in kinds.values():
            for client, unwritten in lines.unwritten.items():
                self._summarize(unwritten, "" if client is None else f" from {shown(client)}", seconds)
            if lines.others is not None:
                self._summarize(lines.others, " from others" if lines.by_client else "", seconds)

    def _summarize(self, unwritten: _Unwritten, source: str, seconds: float) -> None:
        self._log.emit(
            unwritten.level,
            "{line} ... and {count} more like this{source} in the last {seconds:.0f} s",
            line=unwritten.line,
            count=unwritten.count,
            source=source,
            seconds=seconds,
            event=unwritten.event,
            node=self._node,
        )


def _client(fields: dict[str, Any]) -> str | None:
    address = fields.get("address")
    if address:
        key = key_of(str(address))
        if key is not None:
            return key
    user = fields.get("user")
    return None if user is None else str(user)[:_MAX_NAME_CHARACTERS]


@implementer(ILogObserver)
class LimitedObserver:
    """
    Hands on those lines of other loggers that the limit admits. Lines of L{Logger} have passed it already.
    """

    def __init__(self, observers: Iterable[ILogObserver]) -> None:
        self._hand_on = LogPublisher(*observers)

    def __call__(self, event: dict[str, Any]) -> None:
        if not isinstance(event.get("log_logger"), Logger):
            namespace, level = event.get("log_namespace", ""), event.get("log_level")
            # Twisted's old way of logging puts the whole text into the field "log_text".
            if not admitted(namespace, level, event.get("log_format"), event):
                return
        self._hand_on(event)


def limit_all(beginner: LogBeginner) -> None:
    """
    Limit all lines of the process, whatever logs them, from the moment at which C{beginner} begins.
    """
    begin = beginner.beginLoggingTo

    def begin_limited(observers: Iterable[ILogObserver], *args: Any, **kwargs: Any) -> None:
        begin([LimitedObserver(observers)], *args, **kwargs)

    beginner.beginLoggingTo = begin_limited  # type: ignore[method-assign]
