"""
Loggers with a level, and with a limit on how many lines of one kind they write.

deepstream's event names (C{AUTH_SUCCESSFUL}) open each line and are also the C{event} field of the log event, for
observers that want structure. Nothing is logged per message; credentials and data never are.

Every line of a L{Logger} is limited: clients can cause nearly all of them, as often as they like. L{OperatorLogger} is
the exception, for the lines of a start or a reload, whose number the operator's files decide. The limits themselves are
in L{dstwist.limits.log_lines}; there are none as long as no node runs.

A line about one client has the fields of L{about}; the text of its format has C{client}, which is
C{ann (192.0.2.1, /deepstream, #17)}. Lines are limited by client as well, so that one client cannot hide those about
another. The format is a constant: it is the kind of the line.
"""

from __future__ import annotations

from collections.abc import Callable
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

#: So many characters of what a client sent are worth a line of the log.
MOST_SHOWN = 200


class LineLimit(Protocol):
    """
    Decides which lines are written.
    """

    def admits(self, namespace: str, level: NamedConstant, format: str | None, fields: dict[str, Any]) -> bool:
        """
        Whether this line is written; if not, it is counted.
        """


#: The limits of the nodes that run in this process; the last one is in force. The log belongs to the whole process, and
#: so does its limit.
limits: list[LineLimit] = []


#: Told the fields of every line that is about an exception, written or not.
watchers: list[Callable[[dict[str, Any]], object]] = []


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """
    What a client sent, fit for a line of the log: no control characters, which could forge others, and not long.
    """
    return "".join([char if char.isprintable() else "?" for char in text[:most]])


class LoggedClient(Protocol):
    """
    The facts about a client that log lines contain. The client is a connection, or a handshake.

    @ivar number: the number of the connection, unique in this process; 0 for a request without a connection.
    @ivar path: the path of the URL that the client is connected to.
    """

    @property
    def user(self) -> str | None: ...

    @property
    def address(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def path(self) -> str: ...


class Client(NamedTuple):
    """
    A client as a line shows it.
    """

    user: str | None
    address: str
    path: str
    number: int

    @property
    def place(self) -> str:
        """
        Its address, path and number, as far as there are any.
        """
        number = f"#{self.number}" if self.number else ""
        return ", ".join(part for part in (self.address, self.path, number) if part)

    def __str__(self) -> str:
        return f"{'client' if self.user is None else shown(self.user)} ({self.place})"


def about(client: LoggedClient) -> dict[str, Any]:
    """
    The fields of a line about C{client}. They do not keep C{client} alive; its text is made when the line is written.
    """
    user, address, path, number = client.user, client.address, client.path, client.number
    return {
        "client": Client(user, address, path, number),
        "user": user,
        "address": address,
        "path": path,
        "connection": number,
    }


class Logger(TwistedLogger):
    """
    A Twisted logger that drops what is below the level of this process, or beyond the limit of its kind, before
    anything else is done about it.
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
    def writes(cls, level: NamedConstant) -> bool:
        """
        Whether lines of C{level} are written, as far as there is no limit of their number.
        """
        threshold = Logger._threshold
        return threshold is not None and level >= threshold

    def emit(self, level: NamedConstant, format: str | None = None, **kwargs: Any) -> None:
        if watchers and "log_failure" in kwargs:
            for watch in watchers:
                watch(kwargs)
        threshold = Logger._threshold
        if threshold is None or level < threshold:
            return
        if self._limited and limits and not limits[-1].admits(self.namespace, level, format, kwargs):
            return
        super().emit(level, format, **kwargs)


class OperatorLogger(Logger):
    """
    For lines that no client can cause: of the start, of the end, and of a reload.
    """

    _limited = False
