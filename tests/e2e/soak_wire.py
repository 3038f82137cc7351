"""
What passed over the connections of the soak, and whether a client that is stuck is so by its own fault.

Two faults of clients leave a copy wrong for good when a connection ends (docs/protocol.rst):

=============  ======================================================================================================
client 7.0.5   a record that waits for the answer to its READ (state MERGING) is forgotten by the client when the
               connection breaks: the client neither asks again nor subscribes to the record when it is back
client 2.3.4   after an exception its socket stays in the state CLOSING, though the TCP connection is gone; the client
               never reconnects. The exception is a fault of its own, which the soak reports
=============  ======================================================================================================

Neither is taken for granted: the connection that carried the READ, or that the socket was, must have ended. If it is
open, the server is at fault.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from dstwist.protocol import protobuf
from dstwist.protocol.constants import AuthAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import server_frame

#: A READ without an answer on a connection that lasted longer than that is a fault of the server, in seconds.
LATE = 3.0

_CLOSING = 2
_HEAD_END = b"\r\n\r\n"


def _client_frame(data: bytes) -> tuple[int, bytes, int] | None:
    """
    The frame of a client at the start of C{data}: its opcode, its payload, and the position behind it.
    """
    if len(data) < 6:
        return None
    start = {126: 4, 127: 10}.get(data[1] & 127, 2)
    length = data[1] & 127 if start == 2 else int.from_bytes(data[2:start], "big")
    end = start + 4 + length
    if len(data) < end:
        return None
    mask = data[start : start + 4]
    return data[0] & 15, bytes(byte ^ mask[at & 3] for at, byte in enumerate(data[start + 4 : end])), end


@dataclass
class Read:
    """
    A READ that has reached the server, and when the answer came; times are seconds since the epoch.
    """

    asked: float
    answered: float | None = None


@dataclass
class Wire:
    """
    One connection, as the proxy sees it.

    @ivar reads: the READs by name, in order; an answer is one to all of its name.
    @ivar ended: when it was cut, or closed by one side; C{None} while it is open.
    """

    opened: float = field(default_factory=time.time)
    ended: float | None = None
    why: str = ""
    user: str | None = None
    reads: dict[str, list[Read]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._unread = {"client": b"", "server": b""}
        self._upgraded = {"client": False, "server": False}

    def end(self, why: str) -> None:
        """
        The connection is gone; the first reason counts.
        """
        if self.ended is None:
            self.ended, self.why = time.time(), why

    def take(self, side: str, data: bytes) -> None:
        """
        Read what C{side} has sent.
        """
        data = self._unread[side] + data
        if not self._upgraded[side]:
            if _HEAD_END not in data:
                self._unread[side] = data
                return
            data = data.partition(_HEAD_END)[2]
            self._upgraded[side] = True
        while (frame := _client_frame(data) if side == "client" else server_frame(data)) is not None:
            opcode, payload, end = frame
            data = data[end:]
            if opcode == 2:
                codec = protobuf.SERVER if side == "client" else protobuf.CLIENT
                for message in codec.decode(payload):
                    if isinstance(message, Message):
                        self._note(side, message)
            elif opcode == 1 and side == "client" and self.user is None:
                self._note_text(payload)
        self._unread[side] = data

    def _note(self, side: str, message: Message) -> None:
        if side == "client":
            if message.topic is Topic.AUTH and message.action is AuthAction.REQUEST:
                self.user = _user(message.data)
            elif message.topic is Topic.RECORD and message.action is RecordAction.READ:
                self.reads.setdefault(str(message.name), []).append(Read(time.time()))
        elif message.topic is Topic.RECORD and (
            message.action is RecordAction.READ_RESPONSE or message.original_action is RecordAction.READ
        ):
            for read in self.reads.get(str(message.name), ()):
                read.answered = read.answered or time.time()

    def _note_text(self, payload: bytes) -> None:
        """
        C{A|REQ|{"username":"v2-0"}}
        """
        parts = payload.split(b"\x1f")
        if parts[:2] == [b"A", b"REQ"]:
            self.user = _user(parts[2].partition(b"\x1e")[0])


class Wires:
    """
    All connections of a soak.
    """

    def __init__(self) -> None:
        self._all: list[Wire] = []

    def open(self) -> Wire:
        self._all.append(Wire())
        return self._all[-1]

    def excuse(self, copy: dict[str, Any]) -> str | None:
        """
        The evidence that a copy which differs does so by a known fault of its client; C{None} without any.
        """
        if copy["client"].startswith("v7") and copy["state"] == "MERGING" and "asked" in copy:
            return self._lost_read(copy["client"], copy["name"], copy["asked"] / 1000)
        if copy["client"].startswith("v2") and copy["socket"] == _CLOSING:
            return self._lost_socket(copy["client"])
        return None

    def unanswered(self) -> tuple[int, list[str]]:
        """
        How many READs of clients of v7 came to the server, and those that it did not answer: how long their connections
        were still open.
        """
        count, left = 0, []
        for wire in self._all:
            for name, reads in wire.reads.items():
                count += len(reads)
                for read in reads:
                    if read.answered is None:
                        late = ", THE SERVER IS LATE" if (wire.ended or time.time()) - read.asked > LATE else ""
                        end = f"{_apart(read.asked, wire.ended)} the connection was {wire.why}" if wire.ended else ""
                        left.append(f"READ {name} by {wire.user}: came {end or 'over an open connection'}{late}")
        return count, left

    def _lost_read(self, user: str, name: str, asked: float) -> str | None:
        """
        What became of the connection over which C{user} sent the READ that it still waits for.
        """
        wires = [wire for wire in self._all if wire.user == user and wire.opened <= asked]
        if not wires or (ended := wires[-1].ended) is None:
            return None
        reads = wires[-1].reads.get(name)
        if not reads:
            fate = "the READ did not reach the server"
        elif (answered := reads[-1].answered) is None:
            fate = f"the READ reached the server {_apart(reads[-1].asked, ended)} that, and was not answered"
        else:
            fate = f"the answer left the server {_apart(answered, ended)} that"
        return f"READ sent {_apart(asked, ended)} the connection was {wires[-1].why}; {fate}"

    def _lost_socket(self, user: str) -> str | None:
        """
        The same for the socket of C{user}. A connection may belong to a client that has not logged in yet.
        """
        if any(wire.ended is None and wire.user in (user, None) for wire in self._all):
            return None
        last = [wire for wire in self._all if wire.user == user][-1]
        return f"socket CLOSING, but its connection was {last.why} {time.time() - (last.ended or 0):.1f} s ago"


def _apart(first: float, second: float) -> str:
    return f"{abs(second - first) * 1000:.0f} ms {'before' if first <= second else 'after'}"


def _user(data: object) -> str | None:
    credentials = json.loads(data) if isinstance(data, bytes | str) else data
    return credentials.get("username") if isinstance(credentials, dict) else None
