"""
The two kinds of streams.

================  =================================================  ===================================================
a slow reader     stream of an event                                 stream of a record
================  =================================================  ===================================================
what waits        all events, up to C{maxOutgoingBufferSize}         the newest state, and the one before it if its
                                                                     sending has begun
above the limit   the stream ends with SLOW_CONSUMER                 there is none: older states are dropped
================  =================================================  ===================================================

The deletion of a record ends all subscriptions to it. The stream goes on: it subscribes anew, and gets the record if it
is created again.
"""

from __future__ import annotations

from typing import Any

from dstwist.connections.login import LoginDecision
from dstwist.interfaces import IStreamWriter
from dstwist.log import LoggedClient
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.streams.stream import Stream, StreamParts
from dstwist.streams.wire import NO_RECORD_VERSION, RecordFrame


class EventStream(Stream):
    """
    The events of one name.
    """

    __slots__ = ("_early", "_early_bytes")

    def __init__(self, client: LoggedClient, decision: LoginDecision, name: str, parts: StreamParts) -> None:
        request = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(name,), correlation_id="0")
        super().__init__(client, decision, request, parts)
        # The events before the writer was there.
        self._early: list[bytes] = []
        self._early_bytes = 0

    def _take(self, message: Message) -> None:
        if message.is_ack:
            self._opened()
        else:
            super()._take(message)

    def write(self, frame: Any) -> None:
        if self.given_up or self.closed:
            return
        writer = self._writer
        waiting = self.waiting_bytes
        if waiting and waiting + len(frame) > self._most:
            self._too_slow(f"more than {self._most} bytes wait (maxOutgoingBufferSize)")
            return
        if writer is None:
            self._early.append(frame)
            self._early_bytes += len(frame)
        else:
            writer.write(frame)
            if not writer.waiting:
                return
        self._account()

    def _send_early(self, writer: IStreamWriter) -> None:
        early = b"".join(self._early)
        self._drop()
        writer.write(early)

    @property
    def waiting_bytes(self) -> int:
        return self._early_bytes if self._writer is None else self._writer.waiting

    def _drop(self) -> None:
        self._early = []
        self._early_bytes = 0


class RecordStream(Stream):
    """
    The states of one record.

    @param last_version: the version that the client has, -1 if it knows that there is no record; C{None}: it has none.
    """

    __slots__ = ("_last_version", "_newest", "_shown")

    def __init__(
        self,
        client: LoggedClient,
        decision: LoginDecision,
        name: str,
        parts: StreamParts,
        last_version: int | None = None,
    ) -> None:
        request = Message(Topic.RECORD, RecordAction.SUBSCRIBEANDREAD, names=(name,), correlation_id="0")
        super().__init__(client, decision, request, parts)
        self._last_version = last_version
        # The last state that was taken: its version and the hash of its text.
        self._shown: tuple[int, int] | None = None
        # A state that waits until the client has taken the one before it.
        self._newest = b""

    def write(self, frame: Any) -> None:
        if self.given_up or self.closed:
            return
        shown = (frame.version, hash(frame.data))
        if frame.answers and not self._is_answered:
            self._answered(frame, shown)
        elif shown != self._shown:
            self._shown = shown
            self._show(frame.data)
        if frame.version == NO_RECORD_VERSION and not frame.answers:
            self._turns.later(self._subscribe_again)

    def _answered(self, frame: RecordFrame, shown: tuple[int, int]) -> None:
        """
        The answer to the first request.
        """
        self._shown = shown
        if frame.version == NO_RECORD_VERSION and self._last_version is None:
            self._opened(self._request.error(RecordAction.RECORD_NOT_FOUND, self._request.names[0]))
            return
        if frame.version != self._last_version:
            self._show(frame.data)
        self._opened()

    def _subscribe_again(self) -> None:
        self.request([self._request])

    def _show(self, data: bytes) -> None:
        writer = self._writer
        if writer is None or writer.waiting:
            self._newest = data
        else:
            self._newest = b""
            writer.write(data)
            if not writer.waiting:
                return
        self._account()

    def _send_early(self, writer: IStreamWriter) -> None:
        newest, self._newest = self._newest, b""
        writer.write(newest)

    def _taken(self) -> None:
        writer = self._writer
        if self._newest and writer is not None and not writer.waiting:
            self._show(self._newest)
        super()._taken()

    @property
    def waiting_bytes(self) -> int:
        return len(self._newest) + (0 if self._writer is None else self._writer.waiting)

    def _drop(self) -> None:
        self._newest = b""
