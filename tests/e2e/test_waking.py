"""
How other threads wake the reactor of a real server: see L{dstwist.process.waking}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SkipTest

from tests.e2e.test_process import ProcessTestCase


class WakingTests(ProcessTestCase):
    """
    A server that C{twistd} has started.
    """

    def test_counter(self) -> None:
        """
        The process has an event counter of the kernel, by which it is woken.
        """
        if not hasattr(os, "eventfd") or not os.path.isdir("/proc/self/fd"):
            raise SkipTest("this system has no eventfd, or does not show it")
        descriptors = f"/proc/{self.started().pid}/fd"
        files = {os.readlink(f"{descriptors}/{name}") for name in os.listdir(descriptors)}
        self.assertIn("anon_inode:[eventfd]", files)
