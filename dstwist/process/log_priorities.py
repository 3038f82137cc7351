"""
Lines of the log for systemd's journal and for syslog: with priorities, and without a time of their own.

::

    <6>[dstwist.lifecycle#info] INFO | dstwist started
    <3>[dstwist.reload.on_sighup#error] RELOAD | auth failed; what was in force stays
    <3>	Traceback (most recent call last): ...

The journal reads the number at the beginning of each line that a service writes, see sd-daemon(3), and removes it, so
C{journalctl -p warning} shows the lines of warnings and errors. syslog gets the same number in another way.

============  ====================================
priority      level
============  ====================================
3             error, critical
4             warn
6             info
7             debug
============  ====================================
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import ILogObserver, LogLevel, eventAsText
from zope.interface import implementer

from dstwist.log import without_controls

_ERROR, _INFO = 3, 6
_PRIORITIES: dict[Any, int] = {
    LogLevel.debug: 7,
    LogLevel.info: _INFO,
    LogLevel.warn: 4,
    LogLevel.error: _ERROR,
    LogLevel.critical: _ERROR,
}


def priority_of(event: dict[str, Any]) -> int:
    """
    The priority of syslog for C{event}.
    """
    return _PRIORITIES.get(event.get("log_level"), _INFO)


def is_journal(file: Any, environ: Mapping[str, str]) -> bool:
    """
    Whether C{file} is connected to systemd's journal. A child process that inherits the variable, but writes to another
    file, is not.
    """
    stream = environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    try:
        found = os.fstat(file.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"


def text_without_time(event: dict[str, Any]) -> str | None:
    """
    The text of C{event}, with the module and the level; of several lines if it has a traceback. C{None} if it has no
    text.
    """
    text = eventAsText(event, includeTimestamp=False)
    return without_controls(text).replace("\n", "\n\t") if text else None


def with_priorities(line: Callable[[dict[str, Any]], str | None]) -> Callable[[dict[str, Any]], str | None]:
    """
    Put the priority before each line of the text that C{line} returns.
    """

    def prefixed(event: dict[str, Any]) -> str | None:
        text = line(event)
        if text is None:
            return None
        prefix = f"<{priority_of(event)}>"
        return prefix + text.replace("\n", f"\n{prefix}")

    return prefixed


def write_error(text: str, stream: Any, environ: Mapping[str, str]) -> None:
    """
    Write C{text} to the stream of errors, before the log begins.
    """
    prefix = f"<{_ERROR}>" if is_journal(stream, environ) else ""
    stream.write("".join([f"{prefix}{line}\n" for line in text.split("\n")]))


@implementer(ILogObserver)
class SyslogLines:
    """
    Writes the log to syslog.

    @param line: returns the text for an event.
    @param write: C{syslog.syslog}.
    """

    def __init__(self, line: Callable[[dict[str, Any]], str | None], write: Callable[[int, str], object]) -> None:
        self._line = line
        self._write = write

    def __call__(self, event: dict[str, Any]) -> None:
        text = self._line(event)
        if text is not None:
            for part in text.split("\n"):
                self._write(priority_of(event), part)
