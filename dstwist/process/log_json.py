"""
Lines of the log as JSON objects, for programs: C{logger: {type: json}}.

The fields have the names and the values of C{pino}, the JSON logger of the Node server, so that programs that read its
lines can read these::

    {"level":30,"time":1767225600000,"pid":812,"hostname":"shop1","event":"AUTH_SUCCESSFUL",
     "message":"ann (192.0.2.1, /deepstream, #17)","namespace":"dstwist.connections.login",
     "user":"ann","address":"192.0.2.1","path":"/deepstream","connection":17}

===============  =====================================================================================================
field            value
===============  =====================================================================================================
C{level}         20 debug, 30 info, 40 warn, 50 error, 60 critical
C{time}          milliseconds since 1970
C{event}         deepstream's name of the event; missing in lines that have none
C{message}       the text, without the name of the event and without the label of the node
C{namespace}     the module that logs
C{user}          and C{address}, C{path}, C{connection}: the client that the line is about
C{node}          the label of the node
C{err}           the exception that the line is about: C{type}, C{message}, and C{stack}, its traceback
===============  =====================================================================================================

Fields without a value are missing. Always true: a line is ASCII, has no line break and no control character, and is not
longer than L{MAX_LINE_BYTES}.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any

from twisted.logger import LogLevel, formatEvent
from twisted.python.reflect import safe_str

from dstwist.log import NODE_SUFFIX, without_controls

#: The longest line. Docker cuts longer ones into pieces.
MAX_LINE_BYTES = 16384

# The longest values, in bytes of JSON. Together they are less than MAX_LINE_BYTES.
_MAX_MESSAGE = 4096
_MAX_STACK = 8192
_MAX_ERROR = 1024
_MAX_FIELD = 320

_LEVELS: dict[Any, int] = {
    LogLevel.debug: 20,
    LogLevel.info: 30,
    LogLevel.warn: 40,
    LogLevel.error: 50,
    LogLevel.critical: 60,
}

# The name of the event at the beginning of a line.
_EVENT = re.compile(r"([A-Z][A-Z_]+) \| ")

_HOST = os.uname().nodename


def json_line(event: dict[str, Any]) -> str | None:
    """
    The line for C{event}; C{None} if it has no text.
    """
    # The second is of Twisted's old way of logging an exception.
    failure = event.get("log_failure", event.get("failure"))
    text = _text_of(event)
    if not text:
        if failure is None:
            return None
        text = _error_message(failure)
    name = event.get("event")
    if (begins := _EVENT.match(text)) is not None and name in (None, begins[1]):
        name, text = begins[1], text[begins.end() :]
    line: dict[str, Any] = {
        "level": _LEVELS.get(event.get("log_level"), 30 if failure is None else 50),
        "time": round(event.get("log_time", time.time()) * 1000),
        # Not once for all: twistd goes into the background after the first lines.
        "pid": os.getpid(),
        "hostname": _HOST,
        "event": _field(name),
        "message": _bounded(text, _MAX_MESSAGE),
        "namespace": _field(event.get("log_namespace")),
        "user": _field(event.get("user")),
        "address": _field(event.get("address")),
    }
    number = event.get("connection")
    if isinstance(number, int):
        # Other lines have the path of a file in the field path.
        line["path"] = _field(event.get("path"))
        # A request without a connection has the number 0.
        line["connection"] = number or None
    line["node"] = _field(event.get("node"))
    if failure is not None:
        line["err"] = _error(failure)
    return json.dumps({key: value for key, value in line.items() if value is not None}, separators=(",", ":"))


def _text_of(event: dict[str, Any]) -> str:
    """
    The text of C{event} without that which has a field of its own.
    """
    if "failure" in event and "log_text" in event:
        # In the old way, the text has the traceback.
        return safe_str(event.get("why") or "")
    format_ = event.get("log_format")
    if event.get("node") and isinstance(format_, str) and format_.endswith(NODE_SUFFIX):
        event = {**event, "log_format": format_.removesuffix(NODE_SUFFIX)}
    return formatEvent(event)


def _error(failure: Any) -> dict[str, str]:
    try:
        stack = failure.getTraceback()
    except Exception as error:
        stack = f"no traceback: {safe_str(error)}"
    kind = getattr(failure, "type", None)
    return {
        "type": _bounded(getattr(kind, "__name__", safe_str(kind)), _MAX_FIELD),
        "message": _bounded(_error_message(failure), _MAX_ERROR),
        # The end of a traceback has the place of the error.
        "stack": _bounded(stack, _MAX_STACK, keeps_end=True),
    }


def _error_message(failure: Any) -> str:
    try:
        return str(failure.getErrorMessage())
    except Exception as error:
        return f"no message: {safe_str(error)}"


def _field(value: object) -> str | None:
    return None if value is None or value == "" else _bounded(safe_str(value), _MAX_FIELD)


def _bounded(text: str, most: int, keeps_end: bool = False) -> str:
    """
    C{text} without control characters, and cut to C{most} bytes of JSON.
    """
    most -= 3

    def cut(length: int) -> str:
        return text[len(text) - length :] if keeps_end else text[:length]

    whole = len(text)
    text = without_controls(cut(min(whole, most)))
    # Two bytes are the quotation marks.
    while (size := len(json.dumps(text)) - 2) > most:
        text = cut(len(text) * most // size)
    if len(text) == whole:
        return text
    return f"...{text}" if keeps_end else f"{text}..."
