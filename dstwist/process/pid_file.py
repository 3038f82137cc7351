"""
The pid file: twistd writes it, and removes it at its end in most cases. This module is for the other cases.
"""

from __future__ import annotations

import os


def remove_pid_file(path: str, pid: int) -> None:
    """
    Remove the pid file C{path} of the process C{pid}, which has ended or is about to; never that of another process.
    """
    try:
        with open(path, "rb") as file:
            if file.read(32).strip() != b"%d" % pid:
                return
        os.unlink(path)
    except OSError:
        # It is gone, or belongs to the user that this process ran as before.
        pass
