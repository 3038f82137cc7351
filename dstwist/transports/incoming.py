"""
The bytes of unfinished messages, of all clients together.

C{maxMessageSize} limits each message. This limits the sum for thousands of clients that all send half of one. Parts of
a few kilobytes are not counted: the link of every busy client holds some.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from dstwist.log import about
from dstwist.protocol.closing import TRY_AGAIN_LATER
from dstwist.transports.closing_link import ClosingFactory, ClosingLink

#: Smaller parts are not counted, in bytes.
UNCOUNTED_PART_BYTES = 4096


class Receiving(Protocol):
    """
    A link that holds a part of a message.
    """

    def cut_off(self) -> None:
        """
        Drop the part, and close the connection.
        """


class Incoming:
    """
    Counts the bytes of all parts.

    @ivar held: how many bytes the parts have.
    @param limit: how many bytes they may have. Beyond it, the clients whose messages began first are cut off: a message
        that never ends gets older than all others.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = sys.maxsize if limit is None else limit
        self.held = 0
        # In the order in which the messages began.
        self._parts: dict[Receiving, int] = {}

    def account(self, link: Receiving, size: int) -> None:
        """
        C{link} now holds C{size} bytes of a message; 0 if it holds no part any more.
        """
        self.held += size - self._parts.get(link, 0)
        if size:
            self._parts[link] = size
        else:
            self._parts.pop(link, None)
        while self.held > self._limit:
            oldest = next(iter(self._parts))
            self.held -= self._parts.pop(oldest)
            oldest.cut_off()


class CountingFactory(ClosingFactory, Protocol):
    """
    The factory of a WebSocket, as far as counting needs it.
    """

    incoming: Incoming


class CountedLink(ClosingLink):
    """
    A WebSocket whose unfinished message is counted.

    @ivar part: how many bytes of it are counted.
    """

    factory: CountingFactory
    part = 0
    #: Autobahn's.
    data: bytes
    current_frame: Any
    current_frame_masker: Any
    inside_message: bool
    message_data_total_length: int

    def count_part(self) -> None:
        """
        Count the bytes of the unfinished message.
        """
        part = 0
        if self.connection is not None:
            part = len(self.data)
            if self.inside_message:
                frame = self.current_frame
                part += self.message_data_total_length
                if frame is not None and frame.opcode < 8:
                    part -= frame.length - self.current_frame_masker.pointer()
            part = part if part > UNCOUNTED_PART_BYTES else 0
        if part != self.part:
            self.part = part
            self.factory.incoming.account(self, part)

    def forget_part(self) -> None:
        """
        Count no bytes any more: the transport is lost.
        """
        if self.part:
            self.part = 0
            self.factory.incoming.account(self, 0)

    def cut_off(self) -> None:
        self.part = 0
        self._log.warn(
            "LIMIT_EXCEEDED | {limit}: a message of {client} does not end, closing",
            limit="maxIncomingBytes",
            event="LIMIT_EXCEEDED",
            **about(self),
        )
        self.data = b""
        self._detach("too much is received in part")
        self.close(TRY_AGAIN_LATER, "too much is received in part")

    def _detach(self, reason: str) -> None:
        super()._detach(reason)
        self.forget_part()
