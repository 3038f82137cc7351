"""
Tests for L{dstwist.memory_limits}.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist import memory_limits
from dstwist.memory_limits import allocations_can_fail, has_room, usable_memory

MIB = 1 << 20

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:27 / /sys/fs/cgroup/cpu rw shared:5 - cgroup cgroup rw,cpu\n"
    "32 23 0:28 / /sys/fs/cgroup/memory rw shared:6 - cgroup cgroup rw,memory\n"
)


class MadeUpFiles(SynchronousTestCase):
    """
    A test with made-up files and limits.
    """

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.write("proc/meminfo", "MemFree: 1 kB\nMemTotal:       1048576 kB\nMemAvailable: 2 kB\n")
        self.limits = {resource.RLIMIT_AS: resource.RLIM_INFINITY, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
        self.patch(resource, "getrlimit", lambda which: (self.limits[which], resource.RLIM_INFINITY))

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


class UsableMemoryTests(MadeUpFiles):
    """
    L{usable_memory}, on made-up files: the smallest limit counts.
    """

    def usable(self) -> int:
        """
        In MiB.
        """
        return usable_memory(self.root) // MIB

    def test_machine(self) -> None:
        """
        Without other limits it is the memory of the machine.
        """
        self.assertEqual(self.usable(), 1024)

    def test_resource_limits(self) -> None:
        """
        C{ulimit -v} and C{ulimit -d} count.
        """
        self.limits[resource.RLIMIT_AS] = 500 * MIB
        self.assertEqual(self.usable(), 500)
        self.limits[resource.RLIMIT_DATA] = 400 * MIB
        self.assertEqual(self.usable(), 400)

    def test_version_2(self) -> None:
        """
        The limit of the process's own group counts.
        """
        self.write("proc/self/cgroup", "0::/system.slice/dstwist.service\n")
        self.write("proc/self/mountinfo", V2)
        self.write("sys/fs/cgroup/system.slice/dstwist.service/memory.max", f"{300 * MIB}\n")
        self.assertEqual(self.usable(), 300)

    def test_version_2_parents(self) -> None:
        """
        So do those of its parents, and the limit from which on the system takes memory back.
        """
        self.write("proc/self/cgroup", "0::/a/b/c\n")
        self.write("proc/self/mountinfo", V2)
        self.write("sys/fs/cgroup/a/b/c/memory.max", "max\n")
        self.write("sys/fs/cgroup/a/b/memory.max", f"{300 * MIB}\n")
        self.assertEqual(self.usable(), 300)
        self.write("sys/fs/cgroup/a/memory.max", f"{200 * MIB}\n")
        self.assertEqual(self.usable(), 200)
        self.write("sys/fs/cgroup/a/memory.high", f"{100 * MIB}\n")
        self.assertEqual(self.usable(), 100)

    def test_version_2_unlimited(self) -> None:
        """
        C{max} is no limit.
        """
        self.write("proc/self/cgroup", "0::/a\n")
        self.write("proc/self/mountinfo", V2)
        self.write("sys/fs/cgroup/a/memory.max", "max\n")
        self.write("sys/fs/cgroup/a/memory.high", "max\n")
        self.assertEqual(self.usable(), 1024)

    def test_version_2_in_a_container(self) -> None:
        """
        A container sees its own group as the top.
        """
        self.write("proc/self/cgroup", "0::/\n")
        self.write("proc/self/mountinfo", V2)
        self.write("sys/fs/cgroup/memory.max", f"{300 * MIB}\n")
        self.assertEqual(self.usable(), 300)

    def test_version_2_outside(self) -> None:
        """
        For a group outside of the mounted tree, the nearest visible limit counts.
        """
        self.write("proc/self/cgroup", "0::/../other\n")
        self.write("proc/self/mountinfo", V2)
        self.write("sys/fs/cgroup/memory.max", f"{300 * MIB}\n")
        self.write("sys/fs/memory.max", "1\n")
        self.assertEqual(self.usable(), 300)

    def test_version_1(self) -> None:
        """
        The older control groups have a tree of their own for memory.
        """
        self.write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/a/b\n1:name=systemd:/y\n")
        self.write("proc/self/mountinfo", V1)
        self.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        self.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", f"{300 * MIB}\n")
        self.write("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n")
        self.write("sys/fs/cgroup/cpu/a/memory.limit_in_bytes", "1\n")
        self.assertEqual(self.usable(), 300)

    def test_version_1_in_a_container(self) -> None:
        """
        A container may be told the whole path of a group that it sees as the top, or of one below it.
        """
        self.write("proc/self/cgroup", "4:memory:/docker/123/inner\n")
        self.write("proc/self/mountinfo", V1.replace("0:28 /", "0:28 /docker/123"))
        self.write("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{300 * MIB}\n")
        self.assertEqual(self.usable(), 300)
        self.write("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", f"{200 * MIB}\n")
        self.assertEqual(self.usable(), 200)

    def test_both_versions(self) -> None:
        """
        A machine may use both at a time.
        """
        self.write("proc/self/cgroup", "4:memory:/a\n0::/a\n")
        self.write("proc/self/mountinfo", V1 + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"))
        self.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", f"{300 * MIB}\n")
        self.assertEqual(self.usable(), 300)
        self.write("sys/fs/cgroup/unified/a/memory.max", f"{200 * MIB}\n")
        self.assertEqual(self.usable(), 200)

    def test_spaces(self) -> None:
        """
        The system writes a space in a path as an octal number.
        """
        self.write("proc/self/cgroup", "0::/a b\n")
        self.write("proc/self/mountinfo", V2.replace("/sys/fs/cgroup", "/sys/my\\040groups"))
        self.write("sys/my groups/a b/memory.max", f"{300 * MIB}\n")
        self.assertEqual(self.usable(), 300)

    def test_nonsense(self) -> None:
        """
        Files that say something else are passed over.
        """
        self.write("proc/self/cgroup", "nonsense\n0::\n\n")
        self.write("proc/self/mountinfo", "nonsense\n\n1 - cgroup2\n" + V2)
        self.write("sys/fs/cgroup/memory.max", "many\n")
        self.assertEqual(self.usable(), 1024)

    def test_no_files(self) -> None:
        """
        Systems without C{/proc} say by other means how much there is.
        """
        self.patch(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": MIB}.__getitem__)
        self.assertEqual(usable_memory(self.root / "nowhere"), 1000 * MIB)

    def test_unknown(self) -> None:
        """
        If nothing is known, it is taken to be little.
        """

        def sysconf(name: str) -> int:
            raise ValueError(name)

        self.patch(os, "sysconf", sysconf)
        self.assertEqual(usable_memory(self.root / "nowhere"), memory_limits.UNLIMITED_MEMORY_BYTES)

    def test_this_machine(self) -> None:
        """
        On the machine at hand the answer is one that a server could run with.
        """
        self.assertGreater(usable_memory(), 64 * MIB)


class AllocationTests(MadeUpFiles):
    """
    Whether memory can be refused.
    """

    def test_limits(self) -> None:
        """
        An allocation can fail if the process has a limit of address space or data, or if the kernel cannot overcommit.
        """
        self.write("proc/sys/vm/overcommit_memory", "1\n")
        self.assertFalse(allocations_can_fail(self.root))
        for limit in list(self.limits):
            self.limits[limit] = 1000
            self.assertTrue(allocations_can_fail(self.root))
            self.limits[limit] = resource.RLIM_INFINITY
        self.write("proc/sys/vm/overcommit_memory", "2\n")
        self.assertTrue(allocations_can_fail(self.root))

    def test_room(self) -> None:
        """
        There is room for little, and none for more than any machine has.
        """
        self.assertTrue(has_room(1 << 20))
        self.assertFalse(has_room(1 << 60))
