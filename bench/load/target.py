"""
The server under load.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """
    A process that serves clients on a port of 127.0.0.1.

    @ivar dialect: how clients publish and subscribe: a name in L{bench.load.dialects.DIALECTS}.
    """

    pid: int
    port: int
    tls: bool = False
    dialect: str = "deepstream"

    def cpu(self) -> float:
        """
        Seconds of CPU time so far, of the process and those that it has started.
        """
        return sum(_times(pid)[0] for pid in _tree(self.pid))

    def cpu_now(self) -> float:
        """
        The same of the process alone, to the microsecond.
        """
        # The number of the clock of a process, by clock_getcpuclockid(3).
        return time.clock_gettime(~self.pid << 3 | 2)

    def waited(self) -> float:
        """
        Seconds in which they had work to do so far, and other processes had the processors; 0 if the system does not
        count that.
        """
        return sum(_times(pid)[1] for pid in _tree(self.pid))

    def memory(self) -> int:
        """
        Resident bytes of all of them.
        """
        return sum(map(_memory, _tree(self.pid)))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as children:
                for child in children.read().split():
                    found += _tree(int(child))
        except OSError:
            # The thread has ended, or the system does not tell.
            continue
    return found


def _times(pid: int) -> tuple[float, float]:
    """
    The time on a processor, and the time of waiting for one: from the scheduler, which counts in nanoseconds, where the
    system has that.
    """
    try:
        ran = waited = 0
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
                fields = stat.read().split()
            ran += int(fields[0])
            waited += int(fields[1])
        return ran / 1e9, waited / 1e9
    except OSError:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS, 0.0


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024
