"""
Remembers in a file how far an import has come, so that it can go on behind that line.

The file is JSON. It is replaced after each batch, when the store has the batch::

    {"file": {"size": 52341, "mtime": 1790000000000000000}, "line": 2001, "name": "user/ann", "version": 7}

The file that is imported must be the same one, and the store must still have the last record.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from dstwist.errors import TransferError


class State(NamedTuple):
    """
    @ivar line: the number of the last line that is done.
    @ivar name: the last record that was written or skipped; C{None} if there is none.
    @ivar version: its version.
    """

    line: int
    name: str | None
    version: int


class StateFile:
    """
    The state of the import of one file.

    @param path: the path of the state file.
    @param imported: the path of the file that is imported.
    """

    def __init__(self, path: str, imported: str) -> None:
        self._path = path
        found = os.stat(imported)
        self._file = {"size": found.st_size, "mtime": found.st_mtime_ns}

    def load(self) -> State:
        """
        The state of the import before; line 0 if there was none.

        @raise TransferError: it is not of this file.
        """
        try:
            with open(self._path, "rb") as file:
                found: Any = json.load(file)
            if found["file"] != self._file:
                raise TransferError(f"{self._path} is about another file than this one, or the file has been changed")
            name = found["name"]
            return State(int(found["line"]), None if name is None else str(name), int(found["version"]))
        except FileNotFoundError:
            return State(0, None, -1)
        except (ValueError, TypeError, KeyError):
            raise TransferError(f"{self._path} is not a file with the state of an import") from None

    def save(self, state: State) -> None:
        """
        Keep the state. If this process is killed meanwhile, the file is as it was.
        """
        text = json.dumps({"file": self._file, **state._asdict()})
        with open(f"{self._path}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{self._path}.new", self._path)

    def remove(self) -> None:
        """
        The import is complete.
        """
        if os.path.exists(self._path):
            os.unlink(self._path)
