"""
Writes of records through a node with clients in memory: CPU time of a write.

One client writes and is the only subscriber: acknowledged updates and patches of records that it holds, and records
that it creates. The writes arrive many in one read, as under load, or one by one, and the answers leave once a turn of
the reactor.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

from twisted.internet.testing import MemoryReactorClock

from bench.rpc import chunks, frames
from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import MemoryClient

RECORDS = 50
WRITES = 400
ROUNDS = 25

_TEXT = "x" * 40
_serial = itertools.count(1)


def _data(count: int) -> bytes:
    return f'{{"name":"somebody","at":1700000000,"text":"{_TEXT}","n":{count}}}'.encode()


def updates() -> Iterator[Message]:
    """
    Acknowledged updates of the records C{w/0} and so on, without an end.
    """
    for count in itertools.count():
        yield Message(
            Topic.RECORD,
            RecordAction.UPDATE,
            f"w/{count % RECORDS}",
            _data(count),
            version=count // RECORDS + 1,
            is_write_ack=True,
            correlation_id=str(next(_serial)),
        )


def patches() -> Iterator[Message]:
    """
    The same for one path.
    """
    for count in itertools.count():
        yield Message(
            Topic.RECORD,
            RecordAction.PATCH,
            f"w/{count % RECORDS}",
            b"2.5",
            path="rate",
            version=count // RECORDS + 1,
            is_write_ack=True,
            correlation_id=str(next(_serial)),
        )


def creations() -> Iterator[Message]:
    """
    Records that nobody holds.
    """
    for count in itertools.count():
        yield Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, f"new/{count}", _data(count), version=-1)


def cost(make: Callable[[], Iterator[Message]], size: int) -> float:
    """
    CPU microseconds of the server a write, the best of several rounds.

    @param size: how many messages arrive at once.
    """
    reactor = MemoryReactorClock()
    node = Node(Settings(), [], reactor)
    node.startService()
    client = MemoryClient(node, "v4")
    reactor.advance(0)
    client.log_in("writer")
    names = tuple(f"w/{number}" for number in range(RECORDS))
    client.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=names, correlation_id="0"))
    reactor.advance(0)
    client.heard()
    messages = make()
    best = float("inf")
    for _ in range(ROUNDS):
        written = [next(messages) for _ in range(WRITES)]
        arriving = chunks(frames(client, written), size)
        start = time.process_time()
        for data in arriving:
            client.protocol.dataReceived(data)
            reactor.advance(0)
        best = min(best, (time.process_time() - start) / WRITES)
        heard = client.heard()
        expected = 0 if make is creations else WRITES
        assert len(heard) == expected, (len(heard), expected, heard[:2])
        assert not any(message.is_error for message in heard), heard[:2]
    return best * 1e6


def main() -> None:
    for make in (updates, patches, creations):
        for size, kind in ((50, "saturated"), (1, "one at a time")):
            spent = cost(make, size)
            print(
                f"{make.__name__:10} {kind:14}{spent:8.1f} us a write  {1e6 / spent:10,.0f} writes per CPU-second",
                flush=True,
            )


if __name__ == "__main__":
    main()
