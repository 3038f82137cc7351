"""
When Python's garbage collector looks through all objects.

Connections, subscriptions, records and requests that end are freed by reference counting. The collector is needed only
for circles of references, such as exceptions leave. Its short passes find those that are young, and stay as they are.
A pass through all objects stops the server for 40 ms with 2000 connections or 100,000 names. Python makes one whenever
there are a quarter more objects, so clients could cause one again and again. Instead there is one

- when the server is idle, once in L{INTERVAL};
- when the process uses half as much memory again as after the pass before. So clients can cause only a few, and circles
  of old objects cannot fill the memory. (Twisted leaves such a circle, with OpenSSL's buffers, of each TLS connection
  that breaks off.)
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

#: How often the memory is compared, in seconds.
CHECK = 10.0

#: The server is idle if it has used less than this part of the time since the check before.
IDLE = 0.02

#: How long there is no pass in idle moments after a pass, in seconds.
INTERVAL = 600.0

#: How many times as much memory there may be as after the pass before.
GROWTH = 1.5

#: As many short passes as never happen.
NEVER = 1_000_000_000


def resident() -> int:
    """
    How many bytes of memory the process uses; where the system does not say it, about that.
    """
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        # Blocks of Python's own allocator: OpenSSL's memory is not in them.
        return sys.getallocatedblocks() * 64


class Collector:
    """
    Makes the passes through all objects.

    @param collect: makes one.
    @param memory: how much memory the process uses.
    @param cpu: how many seconds of CPU time the process has used.
    """

    def __init__(
        self,
        clock: IReactorTime,
        collect: Callable[[], object] = gc.collect,
        memory: Callable[[], int] | None = None,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock = clock
        self._collect = collect
        self._memory = resident if memory is None else memory
        self._cpu = cpu
        self._checks = LoopingCall(self._check)
        self._checks.clock = clock
        self._used = 0.0
        self._pass()

    def start(self) -> None:
        """
        Take the place of Python's own passes through all objects, for the rest of the process.
        """
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, NEVER)
        self.watch()

    def watch(self) -> None:
        """
        Make a pass whenever it is time.
        """
        self._checks.start(CHECK, now=False)

    def _check(self) -> None:
        used = self._cpu() - self._used
        idle = used < IDLE * CHECK and self._clock.seconds() - self._last >= INTERVAL
        if idle or self._memory() > self._most:
            self._pass()
        self._used = self._cpu()

    def _pass(self) -> None:
        self._collect()
        self._last = self._clock.seconds()
        self._most = self._memory() * GROWTH
        self._used = self._cpu()
