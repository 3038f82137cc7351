"""
The pid file: twistd writes it, and removes it in most cases when it ends. This is for the others.
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
        # It has gone, or belongs to a user who this process was before.
        pass
