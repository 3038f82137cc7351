"""
One message to many subscribers: events, and changes of records.

A run is a closed loop: at any time at most C{window} messages are on their way to each subscriber. A large window keeps
the server busy; with a window of 1, each message waits until all subscribers have the one before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from bench.load.client import Client
from bench.load.dialects import DIALECTS
from bench.load.loop import Loop, Marks, ignore
from bench.load.span import Sample, Span, Timing
from bench.load.target import Target
from bench.load.wire import HOLE, MARK, Numbered, frame
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message

#: Messages that are sent together, on as many names.
BATCH = 50
#: Messages on the way to each subscriber.
WINDOW = 400
#: Messages on the way to all subscribers together: a slow server is to deliver them often in a run.
_WINDOW_OF_ALL = 100_000
#: The window in bytes. The Node server drops messages for clients that have a megabyte to read.
_WINDOW_BYTES = 256 * 1024


def events(target: Target, timing: Timing, subscribers: int, size: int = 12) -> Sample:
    """
    Deliveries of events, as many as the server can.

    @param size: of the data.
    """
    dialect = DIALECTS[target.dialect]
    names = [f"fx/{number:04}" for number in range(BATCH)]
    receivers, publisher = _clients(target, subscribers)
    for client in receivers:
        dialect.subscribe(client, names)
    window = max(1, min(WINDOW, _WINDOW_BYTES // size, _WINDOW_OF_ALL // subscribers))
    batch = min(BATCH, window)
    together = b"".join(dialect.publish(name, data(size)) for name in names[:batch])
    return _run(target, timing, receivers, publisher, itertools.repeat(together), batch, window)


def events_in_lockstep(target: Target, timing: Timing, subscribers: int) -> Sample:
    """
    Deliveries of events of which each waits for the one before it.
    """
    dialect = DIALECTS[target.dialect]
    receivers, publisher = _clients(target, subscribers)
    for client in receivers:
        dialect.subscribe(client, ["fx/0000"])
    event = dialect.publish("fx/0000", data(12))
    return _run(target, timing, receivers, publisher, itertools.repeat(event), 1, 1)


def patches(target: Target, timing: Timing, subscribers: int, size: int = 12) -> Sample:
    """
    Deliveries of patches of records, whose writer requests no acknowledgement.
    """
    receivers, publisher = _clients(target, subscribers)
    names = tuple(f"rate/{number:08}" for number in range(BATCH))
    for client in (*receivers, publisher):
        subscribe_records(client, names)
    return _run(target, timing, receivers, publisher, _patches(data(size)), BATCH, WINDOW)


def subscribe_records(client: Client, names: Sequence[str]) -> None:
    """
    Open records, which are created if they are not there, and wait for all of them.
    """
    action = RecordAction.SUBSCRIBECREATEANDREAD
    client.send(frame(Message(Topic.RECORD, action, names=tuple(names), correlation_id="1")))
    for _ in names:
        client.await_message(Topic.RECORD, RecordAction.READ_RESPONSE)


def data(size: int) -> bytes:
    """
    JSON of C{size} bytes, with one mark in it.
    """
    return b'"%s%s"' % (MARK, b"1" * (size - len(MARK) - 2))


def _patches(value: bytes) -> Iterator[bytes]:
    """
    A batch for each version.
    """
    for version in itertools.count(1):
        patch = Message(Topic.RECORD, RecordAction.PATCH, f"rate/{HOLE}", value, path="rate", version=version)
        numbered = Numbered(patch)
        yield b"".join(map(numbered.frame, range(BATCH)))


def _clients(target: Target, subscribers: int) -> tuple[list[Client], Client]:
    dialect = DIALECTS[target.dialect]
    receivers = [dialect.connect(target, f"subscriber-{number}") for number in range(subscribers)]
    return receivers, dialect.connect(target, "publisher")


def _run(
    target: Target,
    timing: Timing,
    receivers: list[Client],
    publisher: Client,
    batches: Iterator[bytes],
    batch: int,
    window: int,
) -> Sample:
    loop, marks = Loop(), Marks()
    for client in receivers:
        loop.add(client, marks.counter())
    loop.add(publisher, ignore)
    sent = 0
    span = Span(target, timing, lambda: marks.count)
    while not span.over():
        while sent * len(receivers) - marks.count <= (window - batch) * len(receivers):
            loop.send(publisher, next(batches))
            sent += batch
        loop.step()
    for client in (*receivers, publisher):
        client.close()
    return span.sample
