"""
Loggers with a level, and with a limit on the number of lines of one kind.

deepstream's event names (C{AUTH_SUCCESSFUL}) open each line and are also the C{event} field of the log event, for
observers that want structure. Nothing is logged per message; credentials and data are never logged.

===================================  ===============================================================================
a line                               is written with
===================================  ===============================================================================
that a client can cause              a L{Logger}: the number of such lines is limited
of a start, an end or a reload       an L{OperatorLogger}: the operator's files decide the number of such lines
about one client                     the fields of L{about}; C{client} in the format becomes
                                     C{ann (192.0.2.1, /deepstream, #17)}
about a state that lasts, such as    the field C{once}, a text that names the state: the line is written when the
a client that sends too fast         state begins, however often it is logged while the state lasts
of a node with a label               the field C{node}, and C{[label]} at the end of the line. L{about} has the label of
                                     the client's node, and L{labelled} is for all lines of a start, a stop or a reload
===================================  ===============================================================================

The format of a line is a constant: it is the kind of the line. L{dstwist.limits.log_lines} decides which lines are
written; this module only asks it. While no node runs there is no limit, and C{once} has no effect. The level and the
limits apply to the lines of L{Logger}. The lines of other programs in the process are not changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from constantly import NamedConstant  # type: ignore[import-untyped]
from twisted.logger import Logger as TwistedLogger
from twisted.logger import LogLevel

#: The level names of the configuration and of C{--log-level}.
LEVELS: dict[str, NamedConstant | None] = {
    "DEBUG": LogLevel.debug,
    "INFO": LogLevel.info,
    "WARN": LogLevel.warn,
    "ERROR": LogLevel.error,
    "OFF": None,
}

#: deepstream's numbers for them.
LEVEL_NAMES = {0: "DEBUG", 1: "INFO", 2: "WARN", 3: "ERROR", 100: "OFF"}

#: How many characters of a client's text a line of the log shows.
MAX_SHOWN_CHARACTERS = 200

#: The end of the format of a line about a node with a label.
NODE_SUFFIX = " [{node}]"

# Control characters that are neither a line break nor a tab; and lone surrogates, which no encoding can carry.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class LineLimit(Protocol):
    """
    Decides which lines are written.
    """

    def admits(self, namespace: str, level: NamedConstant, format: str | None, fields: dict[str, Any]) -> bool:
        """
        Whether this line is written. A line that is not written may be counted.
        """


# The limits of the nodes that run in this process, each with the label of its node.
_limits: list[tuple[str, LineLimit]] = []

# The label of the node that starts, stops or reloads.
_label: ContextVar[str] = ContextVar("dstwist_node", default="")

_failure_watchers: list[Callable[[dict[str, Any]], object]] = []

#: The levels of warnings and errors.
_COUNTED_LEVELS = frozenset({LogLevel.warn, LogLevel.error, LogLevel.critical})

# Count the warnings and errors of the nodes that run in this process, each with the label of its node.
_counters: list[tuple[str, Callable[[dict[str, Any]], object]]] = []


def enforce(limit: LineLimit, node: str = "") -> None:
    """
    Ask C{limit} about all lines of the node with the label C{node}, until L{lift}. The limit that was enforced last is
    also asked about the lines of nodes that have no limit.
    """
    _limits.append((node, limit))


def lift(limit: LineLimit) -> None:
    """
    Undo L{enforce}. The limit that was in force before is in force again.
    """
    _limits[:] = [(node, other) for node, other in _limits if other is not limit]


def admitted(namespace: str, level: NamedConstant, format: str | None, fields: dict[str, Any]) -> bool:
    """
    Whether a line is written, as far as its number is limited. Asked once for each line.
    """
    if not _limits:
        return True
    limit = _limits[-1][1]
    if len(_limits) > 1:
        of = fields.get("node", "")
        limit = next((limit for node, limit in reversed(_limits) if node == of), limit)
    return limit.admits(namespace, level, format, fields)


@contextmanager
def labelled(node: str) -> Iterator[None]:
    """
    All lines of this block, and of the coroutines that begin in it, are about the node with the label C{node}.
    """
    token = _label.set(node)
    try:
        yield
    finally:
        _label.reset(token)


def watch_failures(watch: Callable[[dict[str, Any]], object]) -> None:
    """
    Call C{watch} with the fields of every line that is about an exception, written or not.
    """
    _failure_watchers.append(watch)


def count_lines(count: Callable[[dict[str, Any]], object], node: str = "") -> None:
    """
    Call C{count} with the fields of every warning and error of the node with the label C{node}, written or not, until
    L{count_no_lines}. Lines that belong to no node count for the node that started last.
    """
    _counters.append((node, count))


def count_no_lines(count: Callable[[dict[str, Any]], object]) -> None:
    """
    Undo L{count_lines}.
    """
    _counters[:] = [(node, other) for node, other in _counters if other != count]


def _count(fields: dict[str, Any]) -> None:
    count = _counters[-1][1]
    if len(_counters) > 1:
        of = fields.get("node") or _label.get()
        count = next((count for node, count in reversed(_counters) if node == of), count)
    count(fields)


def shown(text: str, most: int = MAX_SHOWN_CHARACTERS) -> str:
    """
    A client's text, fit for a line of the log: short, and without control characters, which could forge other lines.
    """
    return "".join([char if char.isprintable() else "?" for char in text[:most]])


def without_controls(text: str) -> str:
    """
    A text of several lines that is safe for a terminal and can be encoded.
    """
    return _CONTROLS.sub("?", text)


class LoggedClient(Protocol):
    """
    The facts about a client that log lines contain. The client is a connection, or a handshake.

    @ivar number: the number of the connection or stream, unique in this process; 0 for a single request.
    @ivar path: the path of the URL that the client is connected to.
    @ivar node: the label of the node that serves the client; empty if the node has none.
    """

    @property
    def user(self) -> str | None: ...

    @property
    def address(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def path(self) -> str: ...

    @property
    def node(self) -> str: ...


class Client(NamedTuple):
    """
    A client as a line shows it.
    """

    user: str | None
    address: str
    path: str
    number: int
    node: str = ""

    @property
    def place(self) -> str:
        """
        The client's address, path and number, as far as it has them.
        """
        number = f"#{self.number}" if self.number else ""
        return ", ".join(part for part in (self.address, self.path, number) if part)

    def __str__(self) -> str:
        return f"{'client' if self.user is None else shown(self.user)} ({self.place})"


def about(client: LoggedClient) -> dict[str, Any]:
    """
    The fields of a line about C{client}. They do not keep C{client} alive; the text is made when the line is written.
    """
    user, address, path, number, node = client.user, client.address, client.path, client.number, client.node
    return {
        "client": Client(user, address, path, number, node),
        "user": user,
        "address": address,
        "path": path,
        "connection": number,
        "node": node,
    }


class Logger(TwistedLogger):
    """
    A Twisted logger that drops lines below the level of this process, and lines that the limit does not admit, before
    any other work is done for them. The owner of the process decides on the level.
    """

    _threshold: NamedConstant | None = LogLevel.info
    _limited = True

    @classmethod
    def set_level(cls, name: str) -> None:
        """
        Log nothing below C{name}, a key of L{LEVELS}.
        """
        Logger._threshold = LEVELS[name]

    @classmethod
    def level_name(cls) -> str:
        """
        The level of this process, a key of L{LEVELS}.
        """
        return next(name for name, level in LEVELS.items() if level is Logger._threshold)

    @classmethod
    def writes(cls, level: NamedConstant) -> bool:
        """
        Whether lines of C{level} are written, as far as their number is not limited.
        """
        threshold = Logger._threshold
        return threshold is not None and level >= threshold

    @classmethod
    def informs(cls) -> bool:
        """
        Whether lines of the level info are written. For lines of each connection, whose fields take time to gather.
        """
        return cls.writes(LogLevel.info)

    def emit(self, level: NamedConstant, format: str | None = None, **kwargs: Any) -> None:
        if _failure_watchers and "log_failure" in kwargs:
            for watch in _failure_watchers:
                watch(kwargs)
        if level in _COUNTED_LEVELS and _counters:
            _count(kwargs)
        threshold = Logger._threshold
        if threshold is None or level < threshold:
            return
        node = kwargs.get("node") or _label.get()
        if node:
            kwargs["node"] = node
        if self._limited and not admitted(self.namespace, level, format, kwargs):
            return
        if node and format is not None:
            format += NODE_SUFFIX
        super().emit(level, format, **kwargs)


class OperatorLogger(Logger):
    """
    For lines that no client can cause: lines of a start, an end, or a reload.
    """

    _limited = False


_log = OperatorLogger()


def change_level(name: str) -> str:
    """
    Log nothing below C{name} from now on, a key of L{LEVELS}. A line about the change is written if the level before or
    the level after it is info or lower.

    @return: the level before.
    """
    before = Logger.level_name()
    if name != before:
        in_time = Logger.writes(LogLevel.info)
        if not in_time:
            Logger.set_level(name)
        _log.info("INFO | the log level is {now} now, it was {before}", now=name, before=before, event="INFO")
        Logger.set_level(name)
    return before
