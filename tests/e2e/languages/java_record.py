"""
How the client for Java keeps a record, as far as messages show it.

It takes an UPDATE, PATCH or the answer to a read only if the version is its own and one. After each other UPDATE, and
after VERSION_EXISTS, it takes the version and the data that came, and writes the data again with the next version, even
if nothing differs. After a PATCH of another version it asks for the record.
"""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.languages.wire import Wire


class JavaRecord:
    """
    One record in one client.

    @ivar data: the client's copy.
    @ivar writes: how often it has written.
    """

    def __init__(self, port: int, name: str) -> None:
        self._wire = Wire(port, "/deepstream-v3", single=False)
        self._name = name
        self._version = -1
        self.data: Any = None
        self.writes = 0
        for answer in (f"C|CHR|{self._wire.url}", "A|REQ|{}", f"R|CR|{name}"):
            assert self._wire.hear() is not None
            self._wire.say(answer)
        while self._version == -1:
            self.pump(0.01)

    def set(self, data: Any) -> None:
        """
        Write the whole record.
        """
        self.data = data
        self._write()

    def pump(self, patience: float) -> int:
        """
        Take what comes until nothing has come for C{patience} seconds; gives how many messages that were.
        """
        count = 0
        while (message := self._wire.hear(patience)) is not None:
            count += 1
            self._take(message.split("|"))
        return count

    def close(self) -> None:
        """
        Be gone.
        """
        self._wire.cut()

    def _take(self, parts: list[str]) -> None:
        topic, action, *data = parts
        if topic != "R":
            return
        if action == "E" and data[0] == "VERSION_EXISTS":
            self._recover(int(data[2]), json.loads(data[3]))
        elif action in ("R", "U", "P"):
            version = int(data[1])
            if self._version != -1 and version != self._version + 1:
                if action == "P":
                    self._wire.say(f"R|SN|{self._name}")
                else:
                    self._recover(version, json.loads(data[2]))
                return
            self._version = version
            if action == "P":
                self.data = {**self.data, data[2]: json.loads(data[3][1:])}
            else:
                self.data = json.loads(data[2])

    def _recover(self, version: int, data: Any) -> None:
        self._version = version
        self.set(data)

    def _write(self) -> None:
        self._version += 1
        self.writes += 1
        self._wire.say(f"R|U|{self._name}|{self._version}|{json.dumps(self.data, separators=(',', ':'))}")
