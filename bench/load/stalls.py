"""
How long a client waits while the server has to do something large for another one.

The client sends itself an event (through a second connection), again and again, each after the one before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.load.client import connect
from bench.load.dialects import Deepstream
from bench.load.latency import arrivals, stamp
from bench.load.loop import Loop, Marks, Received, ignore
from bench.load.span import Timing
from bench.load.target import Target
from bench.load.writes import Creations

_NAME = "echo"
#: Names in a request.
_BATCH = 500


@dataclass(frozen=True)
class Stall:
    """
    The longest of many waits, in milliseconds.

    @ivar wait: by the clock. Other load on the machine counts, too.
    @ivar busy: the most processor time that the server took during one wait.
    """

    wait: float
    busy: float


def leaving(target: Target, timing: Timing, clients: int = 1, names: int = 100_000) -> Stall:
    """
    The waits while clients leave, each with many subscriptions.
    """
    dialect = Deepstream()
    leavers = [connect(target, f"leaver-{number}") for number in range(clients)]
    count = timing.scaled(names)
    for number, client in enumerate(leavers):
        held = [f"held/{number}/{index}" for index in range(count)]
        for first in range(0, count, _BATCH):
            dialect.subscribe(client, held[first : first + _BATCH])
    observer = _Observer(target)
    observer.watch(_after(timing.warm))
    observer.forget()
    for client in leavers:
        client.close()
    observer.watch(_after(timing.measured))
    observer.close()
    return observer.longest()


def creating(target: Target, timing: Timing, records: int = 300_000) -> Stall:
    """
    The waits while another client creates records, as fast as it can.
    """
    count = timing.scaled(records)
    creations = Creations(batch=20)
    writer = connect(target, "writer")
    marks = Marks()
    observer = _Observer(target)
    observer.watch(_after(timing.warm))
    observer.forget()
    counter = marks.counter()

    def acknowledged(data: bytes) -> None:
        counter(data)
        if marks.count * creations.batch < count:
            observer.loop.send(writer, creations.next())

    observer.loop.add(writer, acknowledged)
    observer.loop.send(writer, creations.next())
    observer.watch(lambda: marks.count * creations.batch >= count)
    observer.close()
    writer.close()
    return observer.longest()


class _Observer:
    """
    A client that waits for its own events.
    """

    def __init__(self, target: Target) -> None:
        dialect = Deepstream()
        self.loop = Loop()
        self._waits: list[float] = []
        self._busy: list[float] = []
        self._cpu = target.cpu_now
        self._publish = dialect.publish
        self._publisher, self._subscriber = connect(target, "publisher"), connect(target, "subscriber")
        dialect.subscribe(self._subscriber, [_NAME])
        self.loop.add(self._publisher, ignore)
        self.loop.add(self._subscriber, self._received(arrivals(self._waits.append)))
        self._next()

    def watch(self, over: Callable[[], bool]) -> None:
        """
        Note waits until C{over} is true.
        """
        while not over():
            self.loop.step()

    def forget(self) -> None:
        """
        Forget the waits so far.
        """
        self._waits.clear()
        self._busy.clear()

    def longest(self) -> Stall:
        return Stall(max(self._waits), max(self._busy))

    def close(self) -> None:
        self._publisher.close()
        self._subscriber.close()

    def _received(self, note: Received) -> Received:
        def received(data: bytes) -> None:
            before = len(self._waits)
            note(data)
            if len(self._waits) > before:
                self._busy.append((self._cpu() - self._sent) * 1000)
                self._next()

        return received

    def _next(self) -> None:
        self._sent = self._cpu()
        self.loop.send(self._publisher, self._publish(_NAME, stamp()))


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
