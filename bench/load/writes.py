"""
Records that one client writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from bench.load.client import LoadFailed, connect
from bench.load.fanout import subscribe_records
from bench.load.loop import Loop, Marks
from bench.load.span import Sample, Span, Timing
from bench.load.target import Target
from bench.load.wire import HOLE, MARK, Numbered, frame
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message

_RECORDS = 1000
_DATA = b'{"name":"Ann Smith","at":1700000000,"text":"%s","n":"%s"}' % (b"x" * 40, HOLE.encode())


def acknowledged(target: Target, timing: Timing, in_flight: int) -> Sample:
    """
    Updates of 1000 records in turn. The client has subscribed to them, and waits for the acknowledgement of each.

    @param in_flight: how many acknowledgements it waits for at the same time.
    """
    client = connect(target, "writer")
    names = [f"record/{number:08}" for number in range(_RECORDS)]
    for first in range(0, _RECORDS, 200):
        subscribe_records(client, names[first : first + 200])
    loop, marks = Loop(), Marks()
    loop.add(client, marks.counter())
    updates = _updates()
    sent = 0
    span = Span(target, timing, lambda: marks.count)
    while not span.over():
        missing = in_flight - (sent - marks.count)
        if missing:
            loop.send(client, b"".join(itertools.islice(updates, missing)))
            sent += missing
        loop.step()
    while marks.count < sent:
        loop.step()
    client.close()
    _check(target, names[0], (sent - 1) // _RECORDS + 1)
    return span.sample


def created(target: Target, timing: Timing) -> Sample:
    """
    New records, with their data, that no client has subscribed to.
    """
    client = connect(target, "writer")
    loop, marks = Loop(), Marks()
    loop.add(client, marks.counter())
    creations = Creations()
    span = Span(target, timing, lambda: marks.count * creations.batch)
    sent = 0
    while not span.over():
        # Two batches are on their way, so that the server need not wait.
        while sent - marks.count < 2:
            loop.send(client, creations.next())
            sent += 1
        loop.step()
    while marks.count < sent:
        loop.step()
    client.close()
    _check(target, f"new/{creations.batch:08}", 1)
    return span.sample


class Creations:
    """
    Requests for new records. The last one of each batch is acknowledged, with a mark.

    @ivar batch: the size of a batch.
    """

    def __init__(self, batch: int = 500) -> None:
        self.batch = batch
        self._next = 0
        message = Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, f"new/{HOLE}", _DATA, version=-1)
        self._plain = Numbered(message)
        message.is_write_ack, message.correlation_id = True, f"{MARK.decode()}1"
        self._acknowledged = Numbered(message)

    def next(self) -> bytes:
        last = self._next + self.batch - 1
        frames = b"".join(map(self._plain.frame, range(self._next, last)))
        self._next = last + 1
        return frames + self._acknowledged.frame(last)


def _updates() -> Iterator[bytes]:
    """
    Frames without end: all records one after the other, each with its next version.
    """
    for version in itertools.count(1):
        message = Message(Topic.RECORD, RecordAction.UPDATE, f"record/{HOLE}", _DATA, version=version)
        message.is_write_ack, message.correlation_id = True, MARK.decode() + HOLE
        yield from map(Numbered(message).frame, range(_RECORDS))


def _check(target: Target, name: str, version: int) -> None:
    """
    The record has the version of the last write, so each write before it was accepted.
    """
    reader = connect(target, "reader")
    reader.send(frame(Message(Topic.RECORD, RecordAction.READ, name)))
    answer = reader.await_message(Topic.RECORD, RecordAction.READ_RESPONSE)
    reader.close()
    if answer.version != version:
        raise LoadFailed(f"Version {version} of {name} was acknowledged, but the server has {answer.version}.")
