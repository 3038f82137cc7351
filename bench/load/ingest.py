"""
Events that no client is subscribed to: what the server spends on reading and routing alone.
"""

from __future__ import annotations

import time

from bench.load.client import Client
from bench.load.dialects import Deepstream
from bench.load.span import Moment, Sample, Timing
from bench.load.target import Target
from bench.load.wire import MARK

_BATCH = 50


def events(target: Target, timing: Timing, size: int = 12) -> Sample:
    """
    Events that the server reads.

    @param size: of the data.
    """
    dialect = Deepstream()
    publisher, listener = dialect.connect(target, "publisher"), dialect.connect(target, "listener")
    dialect.subscribe(listener, ["end"])
    value = b'"%s"' % (b"1" * (size - 2))
    batch = b"".join(dialect.publish(f"fx/{number:04}", value) for number in range(_BATCH))
    end = dialect.publish("end", b'"%s"' % MARK)
    _send(timing.warm, publisher, listener, batch, end)
    start = Moment.of(target, 0)
    count = _send(timing.measured, publisher, listener, batch, end)
    sample = Moment.of(target, count) - start
    publisher.close()
    listener.close()
    return sample


def _send(seconds: float, publisher: Client, listener: Client, batch: bytes, end: bytes) -> int:
    """
    Send for some time. The last event has a subscriber: when it arrives, the server has read all.
    """
    count = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        publisher.send(batch)
        count += _BATCH
    publisher.send(end)
    listener.receive_until(MARK)
    return count
