"""
The figures of the process, under the names that all programs with metrics for Prometheus use.

They come from C{/proc}. A system without it has only the CPU time and the limit of open files.
"""

from __future__ import annotations

import os
import resource
import time

from dstwist.figures.samples import Samples

_PAGE_BYTES = resource.getpagesize()


def collect_process(samples: Samples) -> None:
    """
    Add the figures of this process.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    samples.add("process_cpu_seconds_total", usage.ru_utime + usage.ru_stime)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    samples.add("process_max_fds", None if limit == resource.RLIM_INFINITY else limit)
    try:
        with open("/proc/self/statm", "rb") as file:
            size, resident = file.read().split()[:2]
        samples.add("process_virtual_memory_bytes", int(size) * _PAGE_BYTES)
        samples.add("process_resident_memory_bytes", int(resident) * _PAGE_BYTES)
        samples.add("process_open_fds", _open_files())
        samples.add("process_start_time_seconds", _START_TIME)
    except OSError:
        pass


def _open_files() -> int:
    # Linux 6.2 and later has the number here. Before that, it has to list them all.
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))


def _start_time() -> float | None:
    try:
        with open("/proc/self/stat", "rb") as file:
            # The name of the program, in parentheses, may contain spaces.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return None
    # The file counts from the start of the system. So does this clock; AppArmor may hide /proc/uptime.
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


#: It must not change when the clock of the system is corrected.
_START_TIME = _start_time()
