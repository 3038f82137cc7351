"""
Loggers with a level.

deepstream's event names (C{AUTH_SUCCESSFUL}) open each line and are also the C{event} field of the log event, for
observers that want structure. Nothing is logged per message; credentials and data never are.
"""

from __future__ import annotations

from typing import Any

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


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """
    What a client sent, fit for a line of the log: no control characters, which could forge others, and not long.
    """
    return "".join([char if char.isprintable() else "?" for char in text[:most]])


class Logger(TwistedLogger):
    """
    A Twisted logger that drops what is below the level of this process before anything else is done about it.
    """

    _threshold: NamedConstant | None = LogLevel.info

    @classmethod
    def set_level(cls, name: str) -> None:
        """
        Log nothing below C{name}, a key of L{LEVELS}.
        """
        Logger._threshold = LEVELS[name]

    def emit(self, level: NamedConstant, format: str | None = None, **kwargs: Any) -> None:
        threshold = Logger._threshold
        if threshold is not None and level >= threshold:
            super().emit(level, format, **kwargs)
