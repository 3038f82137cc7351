"""
Decides when Python's garbage collector scans which objects.

Connections, subscriptions, records and requests that end are freed by reference counting. The collector is needed only
for circles of references, such as exceptions leave. A pass through all objects stops the server for 40 ms with 2000
connections, and for seconds with records of millions of small values. So objects that have survived three passes are
set apart (C{gc.freeze}): reference counting frees them as before, and no pass looks at them again.

=========  ==========================================  ==============================================================
pass       when                                        looks at
=========  ==========================================  ==============================================================
short      as Python makes them                        young objects
longer     after about 30,000 new objects that stay,   all that are not set apart: 1 to 3 ms. Survivors are set
           as Python makes them                        apart
full       when the server is idle, once in            all objects, but only if there are few (L{MAX_BLOCKS}) and
           L{FULL_PASS_INTERVAL}, or has half as much  they are small (L{MAX_BLOCK_BYTES}): otherwise a client could
           memory again as after the full pass before  have filled the memory to cause a long pass
=========  ==========================================  ==============================================================

A reference cycle that becomes garbage after it was set apart stays until the next full pass. Such cycles are rare:
those that exceptions leave are young.

A pass looks at each item of an array, also if it is a number, which is no object to the collector. So the values of
JSON texts are set apart when enough of them were made (L{dstwist.protocol.uncollected}).
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from dstwist.protocol.uncollected import set_values_apart

#: How often the memory is compared, in seconds.
CHECK_INTERVAL = 10.0

#: The server is idle if it has used less than this part of the time since the check before.
IDLE_CPU_SHARE = 0.02

#: How long there is no full pass in idle moments after one, in seconds.
FULL_PASS_INTERVAL = 600.0

#: How many times as much memory there may be as after the full pass before.
MEMORY_GROWTH_FACTOR = 1.5

#: With more blocks of memory than this, besides those of the start, there is no full pass: it would take over 20 ms.
MAX_BLOCKS = 200_000

#: Nor with more bytes of memory than this, besides those of the start: they may be arrays of 4 million numbers.
MAX_BLOCK_BYTES = 32 << 20

#: When Python makes its passes: see L{gc.set_threshold}. The last figure is for the longer passes.
COLLECTOR_THRESHOLDS = 700, 10, 3


def resident() -> int:
    """
    How many bytes of memory the process uses; an estimate if the system does not say it.
    """
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        # Blocks of Python's own allocator: OpenSSL's memory is not in them.
        return sys.getallocatedblocks() * 64


def set_apart(phase: str, info: dict[str, int]) -> None:
    """
    Exclude the objects that survived the pass that ends from all further passes. This takes microseconds.
    """
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


def collect_all() -> None:
    """
    Make a pass through all objects, and set apart those that stay.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Collector:
    """
    Makes the full passes, and sets apart the objects that survived.

    @param collect: makes a full pass.
    @param memory: how much memory the process uses.
    @param cpu: how many seconds of CPU time the process has used.
    @param blocks: how many blocks of memory Python's objects have.
    """

    def __init__(
        self,
        clock: IReactorTime,
        collect: Callable[[], object] | None = None,
        memory: Callable[[], int] | None = None,
        cpu: Callable[[], float] = time.process_time,
        blocks: Callable[[], int] = sys.getallocatedblocks,
    ) -> None:
        self._clock = clock
        self._collect = collect_all if collect is None else collect
        self._memory = resident if memory is None else memory
        self._cpu = cpu
        self._checks = LoopingCall(self._check)
        self._checks.clock = clock
        self._blocks = blocks
        self._used = 0.0
        self._pass()
        self._most_blocks = blocks() + MAX_BLOCKS
        self._most_memory = self._memory() + MAX_BLOCK_BYTES

    def start(self) -> None:
        """
        Set apart the objects that survive Python's longer passes, until the process ends.
        """
        gc.callbacks.append(set_apart)
        gc.set_threshold(*COLLECTOR_THRESHOLDS)
        set_values_apart()
        self.watch()

    def watch(self) -> None:
        """
        Make a full pass whenever it is time.
        """
        self._checks.start(CHECK_INTERVAL, now=False)

    def _check(self) -> None:
        used = self._cpu() - self._used
        idle = used < IDLE_CPU_SHARE * CHECK_INTERVAL and self._clock.seconds() - self._last >= FULL_PASS_INTERVAL
        memory = self._memory()
        if (idle or memory > self._most) and self._blocks() <= self._most_blocks and memory <= self._most_memory:
            self._pass()
        self._used = self._cpu()

    def _pass(self) -> None:
        self._collect()
        self._last = self._clock.seconds()
        self._most = self._memory() * MEMORY_GROWTH_FACTOR
        self._used = self._cpu()
