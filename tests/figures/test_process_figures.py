"""
Tests for L{dstwist.figures.process_figures}.
"""

from __future__ import annotations

import gc
import mmap
import resource
import time

from twisted.trial.unittest import SynchronousTestCase

from dstwist.figures.process_figures import collect_process
from dstwist.figures.samples import Samples
from dstwist.figures.text_format import values


def collect() -> dict[str, float]:
    samples = Samples()
    collect_process(samples)
    return values(samples)


class ProcessFigureTests(SynchronousTestCase):
    """
    L{collect_process}.
    """

    def test_files(self) -> None:
        """
        Each open file counts.
        """
        gc.collect()  # it may close files that earlier tests have left open
        before = collect()["process_open_fds"]
        with open("/dev/null"), open("/dev/null"):
            self.assertEqual(collect()["process_open_fds"], before + 2)

    def test_limit(self) -> None:
        """
        The limit of open files; without a limit there is no such figure.
        """
        self.assertEqual(collect()["process_max_fds"], resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        unlimited = resource.RLIM_INFINITY
        self.patch(resource, "getrlimit", lambda kind: (unlimited, unlimited))
        self.assertNotIn("process_max_fds", collect())

    def test_memory(self) -> None:
        """
        The memory grows by the size of what is used, and is within the address space.
        """
        gc.collect()  # what it frees between the two readings would count against the block
        before = collect()["process_resident_memory_bytes"]
        # A block of pages of its own: one from the allocator may lie where memory was used before.
        with mmap.mmap(-1, 32 << 20) as block:
            for page in range(0, len(block), mmap.PAGESIZE):
                block[page] = 1
            after = collect()
            size = len(block)
        self.assertGreater(after["process_resident_memory_bytes"], before + size // 2)
        self.assertGreater(after["process_virtual_memory_bytes"], after["process_resident_memory_bytes"])

    def test_times(self) -> None:
        """
        The process started before now, and has used CPU time since.
        """
        found = collect()
        self.assertTrue(0 < found["process_cpu_seconds_total"])
        self.assertTrue(time.time() - 1e7 < found["process_start_time_seconds"] <= time.time())
        self.assertEqual(collect()["process_start_time_seconds"], found["process_start_time_seconds"])
