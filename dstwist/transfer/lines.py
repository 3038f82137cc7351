"""
Records as lines of JSON, UTF-8::

    {"format":"dstwist-records","version":1}
    {"name":"lamp","version":7,"data":{"on":true}}
    {"name":"user/ann","version":0,"data":{}}
    {"end":true}

==============  ====================================================================================================
line            content
==============  ====================================================================================================
the first       the format, and its version: L{FORMAT_VERSION}
the others      one record each, in any order: its name, its version, and its data, an object or an array. Other keys
                are ignored
the last        says that the file is complete. A file without it is the beginning of an export
==============  ====================================================================================================

Empty lines are ignored.
"""

from __future__ import annotations

from typing import Any

from dstwist.errors import TransferError
from dstwist.interfaces import Record
from dstwist.protocol.jsontext import dumps, loads

FORMAT = "dstwist-records"

#: A file with a higher version cannot be read.
FORMAT_VERSION = 1

HEADER = dumps({"format": FORMAT, "version": FORMAT_VERSION}) + b"\n"
END = dumps({"end": True}) + b"\n"

#: The longest line that is read, in bytes. No store keeps a larger record.
MAX_LINE_BYTES = 512 * 1024 * 1024

#: How much of a text an error shows.
_SHOWN = 60


class BadLine(ValueError):
    """
    A line is no record. The text says why.
    """


def line_of(name: str, record: Record) -> bytes:
    """
    The line of a record.
    """
    return b'{"name":%b,"version":%d,"data":%b}\n' % (dumps(name), record.version, record.json)


def check_header(line: bytes) -> None:
    """
    @raise TransferError: the line is not the first line of such a file, or of a newer version.
    """
    try:
        header = loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise TransferError(f'line 1: the first line has to be {HEADER.decode().rstrip()}, not "{_shown(line)}"')
    version = header.get("version")
    if version != FORMAT_VERSION:
        raise TransferError(f"line 1: the format has version {version}; this dstwist reads version {FORMAT_VERSION}")


def read_line(line: bytes) -> tuple[str, Record] | None:
    """
    The name of a record, and the record; C{None} if this is the last line.

    @raise BadLine: the line is neither.
    """
    try:
        found: Any = loads(line)
    except ValueError as error:
        raise BadLine(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadLine("not an object")
    if found.get("end") is True and "name" not in found:
        return None
    name, version, data = found.get("name"), found.get("version"), found.get("data")
    if not isinstance(name, str) or not name:
        raise BadLine("name is missing, or not a text")
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 2**63:
        raise BadLine(f"{_named(name)}: version is missing, or not a whole number from 0 on")
    if not isinstance(data, (dict, list)):
        raise BadLine(f"{_named(name)}: data is missing, or neither an object nor an array")
    return name, Record(version, data)


def _named(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode("utf-8", "replace").rstrip().encode("unicode_escape").decode()
