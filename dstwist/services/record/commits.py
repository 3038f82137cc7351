"""
Writes to the stores that are under way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.interfaces import Change, IRequester, Record
from dstwist.protocol.message import Message
from dstwist.services.record.failures import RecordError
from dstwist.services.record.queue import NONE_SERVED, Held

#: Called when a write has ended: with the commit; with the L{RecordError} if it failed; and, if the arbiter refused it,
#: with the record that is there instead.
Ended = Callable[[Any, RecordError | None, Record | None], None]


class Commit(Held):
    """
    One write to the stores. If it is the write of one request, it is the queue of its record as well: each object more
    for each write that is under way costs time.

    @ivar change: the change that led to C{record}.
    @ivar done: called with this object when the write has ended.
    """

    __slots__ = ("change", "done", "record")

    def __init__(
        self,
        name: str,
        message: Message,
        sender: IRequester,
        record: Record,
        change: Change,
        done: Ended,
    ) -> None:
        # The fields of L{Held} are set here, because another call would take a fifth of the time of this one.
        self.name = name
        self.message = message
        self.sender = sender
        self.served = NONE_SERVED
        self.waiting = None
        self.failure = None
        self.failing = 0
        self.record = record
        self.change = change
        self.done = done


class AwaitedCommit:
    """
    One write to the stores that a coroutine waits for.

    @ivar ended: fires when the write has ended, with the record that is there instead if the arbiter refused it; fails
        with the L{RecordError} if the write failed.
    """

    __slots__ = ("ended", "name", "record")

    def __init__(self, name: str, record: Record) -> None:
        self.name = name
        self.record = record
        self.ended: Deferred[Record | None] = Deferred()

    def done(self, commit: object, error: RecordError | None, found: Record | None) -> None:
        if error is None:
            self.ended.callback(found)
        else:
            self.ended.errback(error)
