"""
The time from the publisher to each subscriber, while events are published at a fixed rate.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from bench.load.client import Client
from bench.load.dialects import DIALECTS
from bench.load.loop import Loop, ignore
from bench.load.span import Timing
from bench.load.target import Target
from bench.load.wire import unfinished

_NAME = "fx/0000"
_SENT = re.compile(rb"<(\d{20})>")
_LENGTH = 22


def delays(target: Target, timing: Timing, subscribers: int = 50, per_second: int = 200) -> list[float]:
    """
    The delay of each delivery in milliseconds, in ascending order.
    """
    dialect = DIALECTS[target.dialect]
    loop = Loop()
    found: list[float] = []
    clients = [dialect.connect(target, f"subscriber-{number}") for number in range(subscribers)]
    for client in clients:
        dialect.subscribe(client, [_NAME])
        loop.add(client, arrivals(found.append))
    publisher = dialect.connect(target, "publisher")
    loop.add(publisher, ignore)
    _publish(loop, publisher, target.dialect, timing.warm, per_second)
    found.clear()
    _publish(loop, publisher, target.dialect, timing.measured, per_second)
    for client in (*clients, publisher):
        client.close()
    return sorted(found)


def quantile(ascending: list[float], share: float) -> float:
    """
    The value that C{share} of all are not above.
    """
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


def stamp() -> bytes:
    """
    Data of an event that is published now.
    """
    return b'"<%020d>"' % time.perf_counter_ns()


def arrivals(note: Callable[[float], None]) -> Callable[[bytes], None]:
    """
    The handler of the bytes that a subscriber receives: each delay goes to C{note}, in milliseconds.
    """
    start = b""

    def received(data: bytes) -> None:
        nonlocal start
        now = time.perf_counter_ns()
        data = start + data
        end = 0
        for found in _SENT.finditer(data):
            end = found.end()
            note((now - int(found[1])) / 1e6)
        start = unfinished(data, b"<", _LENGTH, end)

    return received


def _publish(loop: Loop, publisher: Client, dialect: str, seconds: float, per_second: int) -> None:
    """
    Publish for some time, and take what arrives in another tenth of a second.
    """
    publish = DIALECTS[dialect].publish
    start = time.monotonic()
    sent = 0
    while (now := time.monotonic()) < start + seconds + 0.1:
        due = start + sent / per_second
        if now >= due and due < start + seconds:
            loop.send(publisher, publish(_NAME, stamp()))
            sent += 1
        else:
            loop.turn(max(0.0, min(0.01, due - now)) if due < start + seconds else 0.01)
