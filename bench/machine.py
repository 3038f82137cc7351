"""
The machine that figures were measured on.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path


def description() -> dict[str, str]:
    """
    The machine and its system, in a few words each.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processors = len(os.sched_getaffinity(0))
    return {
        "machine": f"{_processor()}, {processors} processors, {memory:.0f} GiB",
        "system": f"{_distribution()}, Linux {platform.release()}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
