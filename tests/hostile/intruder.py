"""
A client on a raw socket that keeps to no protocol, and tells afterwards what it got for that.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from dstwist.protocol.constants import AuthAction, ConnectionAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import GENERATIONS, server_frame

MASK = b"\x12\x34\x56\x78"

_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) .*\n")

#: How long a server may take for anything, even in the midst of an attack.
PATIENCE = 30.0


def head_of(path: str, *more: str) -> bytes:
    """
    A request for a WebSocket.
    """
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(payload: bytes, opcode: int = 2, first: int = 0x80) -> bytes:
    """
    C{payload} in a masked frame; C{first} is what its first byte has beside the opcode.
    """
    length = len(payload)
    if length < 126:
        size = bytes((0x80 | length,))
    elif length < 65536:
        size = b"\xfe" + length.to_bytes(2, "big")
    else:
        size = b"\xff" + length.to_bytes(8, "big")
    words = (length + 3) // 4
    padded = int.from_bytes(payload + bytes(-length % 4), "little") ^ int.from_bytes(MASK * words, "little")
    return bytes((first | opcode,)) + size + MASK + padded.to_bytes(words * 4, "little")[:length]


class Intruder:
    """
    One connection.

    @ivar heard: how often the server said what: actions, HTTP status lines.
    @ivar data: what the last of its short messages carried.
    @ivar fate: how the connection ended; empty while it has not.
    @cvar sent: how many bytes all intruders of this process have sent.
    """

    sent = 0

    def __init__(self, port: int, generation: str = "v4", buffer: int | None = None) -> None:
        """
        @param buffer: how many bytes the system may take in for us.
        """
        self.generation = generation
        self.path, self.codec, self.opcode = GENERATIONS[generation]
        self.heard: Counter[str] = Counter()
        self.data: deque[bytes | str] = deque(maxlen=100)
        self.fate = ""
        self.received = 0
        self._data = bytearray()
        self._web = False
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    # -- saying

    def send(self, data: bytes, read: bool = True) -> None:
        """
        Send bytes, and meanwhile read whatever comes; not a word if the connection has ended.

        @param read: false: never mind what comes.
        """
        view, deadline = memoryview(data), time.monotonic() + PATIENCE
        while view and not self.fate:
            ready = self._ready((select.POLLIN if read else 0) | select.POLLOUT, 1.0)
            if ready & select.POLLIN:
                self._read()
            if ready & ~select.POLLIN:
                try:
                    count = self.socket.send(view)
                    Intruder.sent += count
                    view = view[count:]
                except BlockingIOError:
                    continue
                except OSError as error:
                    # It may have said why before it went.
                    self._drain(0.2)
                    self.fate = self.fate or _end(error)
            if time.monotonic() > deadline:
                self.fate = self.fate or f"not read from for {PATIENCE:.0f} s"

    def say(self, *messages: Message) -> None:
        """
        Send messages, a frame each.
        """
        self.send(b"".join(frame(self.codec.encode(message), self.opcode) for message in messages))

    def payload(self, payload: bytes | str) -> None:
        """
        Send a payload as it is.
        """
        self.send(frame(payload if isinstance(payload, bytes) else payload.encode(), self.opcode))

    def open(self, *more: str) -> Intruder:
        """
        Ask for a WebSocket.
        """
        self.send(head_of(self.path, *more))
        self.until("101")
        return self

    def log_in(self, user: str, password: str | None = None) -> Intruder:
        """
        Open, and log in.
        """
        self.open()
        secret = f',"password":"{password}"' if password is not None else ""
        self.say(
            Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost"),
            Message(Topic.AUTH, AuthAction.REQUEST, data=f'{{"username":"{user}"{secret}}}'.encode()),
        )
        self.until("AUTH_SUCCESSFUL")
        return self

    # -- hearing

    def until(self, what: str, patience: float = PATIENCE) -> bool:
        """
        Read until something was heard, or the end; whether it was.
        """
        deadline = time.monotonic() + patience
        while not self.heard[what] and not self.fate and time.monotonic() < deadline:
            self._drain(0.05, once=True)
        return self.heard[what] > 0

    def ended(self, patience: float) -> bool:
        """
        Read until the end, for so long; whether it came.
        """
        deadline = time.monotonic() + patience
        while not self.fate and time.monotonic() < deadline:
            self._drain(0.05, once=True)
        return bool(self.fate)

    def outcome(self, patience: float = PATIENCE) -> str:
        """
        What came of it all: the end of the connection, or that the server still answers a ping on it.
        """
        if self._web and not self.fate:
            self.heard.pop("PONG", None)
            self.say(Message(Topic.CONNECTION, ConnectionAction.PING))
            self.until("PONG", patience)
        answers = [
            f"{what} x{count}" if count > 1 else what
            for what, count in self.heard.most_common()
            if what not in ("101", "ACCEPT", "AUTH_SUCCESSFUL", "PONG", "PING", "CHALLENGE_REQUEST")
        ]
        shown = answers[:3] + (["..."] if len(answers) > 3 else [])
        served = "served on" if self.heard["PONG"] else "no answer"
        return "; ".join([*shown, self.fate or (served if self._web else "open")])

    def close(self) -> None:
        """
        Be gone.
        """
        self.socket.close()

    def __enter__(self) -> Intruder:
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def nibble(self) -> None:
        """
        Read one byte, if there is one.
        """
        self._read(1)

    def _ready(self, events: int, seconds: float) -> int:
        # Not select(), whose sockets must be among the first thousand.
        poll = select.poll()
        poll.register(self.socket, events)
        ready = poll.poll(seconds * 1000)
        return ready[0][1] if ready else 0

    def _drain(self, quiet: float, once: bool = False) -> None:
        while not self.fate and self._ready(select.POLLIN, quiet):
            self._read()
            if once:
                return

    def _read(self, size: int = 1 << 18) -> None:
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return
        except OSError as error:
            self.fate = _end(error)
            return
        if not data:
            self.fate = "connection ended"
            return
        self.received += len(data)
        self._data += data
        if not self._web:
            head, found, rest = bytes(self._data).partition(b"\r\n\r\n")
            self._web = head.startswith(b"HTTP/1.1 101")
            if not (self._web and found):
                for status in _STATUS.findall(self._data):
                    self.heard[status.decode()] += 1
                # The last line may be the start of another.
                del self._data[: self._data.rfind(b"\n") + 1]
                self._web = False
                return
            self.heard["101"] += 1
            self._data = bytearray(rest)
        self._take_frames()

    def _take_frames(self) -> None:
        data, position = self._data, 0
        while (found := server_frame(data, position)) is not None:
            opcode, payload, position = found
            self._hear(opcode, payload)
        del data[:position]

    def _hear(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            code = int.from_bytes(payload[:2], "big")
            self.fate = f"close {code} ({payload[2:].decode('utf-8', 'replace')})"
        elif opcode < 3:
            # What a big answer says does not matter, only that it came.
            if len(payload) > 65536:
                self.heard["long message"] += 1
                return
            for message in self.codec.decode(payload):
                if not isinstance(message, Message):
                    self.heard["NONSENSE FROM THE SERVER"] += 1
                    continue
                self.heard[message.action.name] += 1
                if message.data is not None:
                    self.data.append(message.data)


def _end(error: OSError) -> str:
    return "connection dropped" if isinstance(error, ConnectionError) else str(error)


def close_all(intruders: Iterable[Intruder]) -> None:
    """
    Be gone, all of them.
    """
    for intruder in intruders:
        with contextlib.suppress(OSError):
            intruder.close()
