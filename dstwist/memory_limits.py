"""
How much memory this process may use, and whether an allocation can fail. The defaults of memory budgets come from here.

Always true: L{usable_memory} returns the smallest of all limits that the system states: the memory of the machine, the
limits of each control group that the process is in (version 1 and 2, with all parent groups), and the resource limits
of the process. A limit that cannot be read is left out.
"""

from __future__ import annotations

import mmap
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

#: The result if the system states no limit at all.
UNLIMITED_MEMORY_BYTES = 1 << 30

_LIMIT_FILES = {"cgroup2": ("memory.max", "memory.high"), "cgroup": ("memory.limit_in_bytes",)}


def usable_memory(root: Path = Path("/")) -> int:
    """
    How many bytes of memory this process may use.

    @param root: the directory that has C{proc} and C{sys}.
    """
    return min((*_machine(root), *_control_groups(root), *_resource_limits()), default=UNLIMITED_MEMORY_BYTES)


def allocations_can_fail(root: Path = Path("/")) -> bool:
    """
    Whether the system can refuse memory to this process, which raises a MemoryError. It does so if the address space
    is limited (C{ulimit -v}, C{LimitAS}), or if the kernel promises no more memory than there is. In all other cases
    the system gives address space without end, and kills a process (with SIGKILL) when memory runs out.

    @param root: the directory that has C{proc}.
    """
    return any(_resource_limits()) or _read(root / "proc/sys/vm/overcommit_memory").strip() == "2"


def has_room(size: int) -> bool:
    """
    Whether the process can have C{size} more bytes now. The answer costs some microseconds, and no memory.
    """
    try:
        mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        return False
    return True


def _machine(root: Path) -> Iterator[int]:
    found = re.search(r"^MemTotal:\s+(\d+) kB$", _read(root / "proc/meminfo"), re.MULTILINE)
    if found:
        yield int(found[1]) * 1024
        return
    try:
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        # This system does not know these names.
        return


def _resource_limits() -> Iterator[int]:
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            yield soft


def _control_groups(root: Path) -> Iterator[int]:
    groups = dict(_own_groups(root))
    for line in _read(root / "proc/self/mountinfo").splitlines():
        mount, _, source = line.partition(" - ")
        fields, kind, options = mount.split(), source.split(" ")[0], source.split(" ")[-1].split(",")
        if len(fields) > 4 and kind in groups and (kind == "cgroup2" or "memory" in options):
            yield from _levels(root, _unescaped(fields[3]), _unescaped(fields[4]), groups[kind], _LIMIT_FILES[kind])


def _own_groups(root: Path) -> Iterator[tuple[str, str]]:
    """
    The kind of file system and the path of the group of this process, for each version that has one.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield "cgroup2", path
        elif "memory" in controllers.split(","):
            yield "cgroup", path


def _levels(root: Path, mounted: str, where: str, group: str, files: tuple[str, ...]) -> Iterator[int]:
    """
    The limits of C{group} and of all its parents, as far as they are mounted.

    @param mounted: the group that is mounted at C{where}.
    """
    parts = group.strip("/").split("/")
    above = [part for part in mounted.split("/") if part]
    # A container has its own group at the mount point, but /proc may have the path on the machine.
    below = parts[len(above) :] if parts[: len(above)] == above else []
    folder = root / where.strip("/")
    for part in ("", *below):
        if part == "..":
            return
        folder = folder / part
        for name in files:
            text = _read(folder / name).strip()
            if text.isdigit():  # no limit is "max", or more than any machine has
                yield int(text)


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
