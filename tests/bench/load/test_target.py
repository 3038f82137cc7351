"""
Tests for L{bench.load.target}.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from bench.load.target import Target

#: Works for a moment, tells the CPU time of that, and stays until its input ends.
_WORK = "import sys, time; sum(range(2_000_000)); print(time.process_time(), flush=True); sys.stdin.read()"


class TargetTests(SynchronousTestCase):
    """
    What a process has used.
    """

    def test_children(self) -> None:
        """
        CPU time and memory are those of the process and of its children: here of a shell that waits for Python.
        """
        command = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, _WORK]
        shell = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert shell.stdout is not None
            worked = float(shell.stdout.readline())
            target = Target(shell.pid, 0)
            # The two clocks of the system differ by a tick at most.
            self.assertGreater(target.cpu(), worked - 0.01)
            self.assertGreater(target.memory(), 5_000_000)
        finally:
            shell.communicate()
