"""
The pid file: twistd writes it, and in most cases removes it at the end. This module removes it in all other cases.

The server cannot remove the file if it has given up its privileges (C{--uid}) and the directory belongs to another
user, as C{/run} does. So L{keep_pid_file} starts a second process, which keeps the privileges, waits for the end of the
server, however that ends, and then removes the file. This process does nothing else. It has one pipe open, which ends
with the server.
"""

from __future__ import annotations

import os
import signal

from dstwist.process.file_owner import Owner

#: No more files are open at the start.
_MAX_DESCRIPTORS = 4096


def keep_pid_file(path: str, owner: Owner) -> bool:
    """
    Start a process that removes the pid file C{path} when this process ends, if this process will not be able to do
    that.

    @param owner: the user that this process will run as.
    @return: whether such a process was started.
    """
    if owner.uid in (None, os.geteuid()) or os.stat(os.path.dirname(os.path.abspath(path))).st_uid == owner.uid:
        return False
    path = os.path.abspath(path)
    server = os.getpid()
    read, write = os.pipe()
    if os.fork():
        # The other end, C{write}, is closed by the system when this process ends.
        os.close(read)
        return True
    try:
        _wait_and_remove(read, path, server)
    finally:
        os._exit(0)


def _wait_and_remove(pipe: int, path: str, server: int) -> None:
    # Signals that are meant for the server, such as Ctrl-C, reach all processes of the terminal.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    # An open log file would stay on the disk after it was rotated and deleted.
    os.dup2(pipe, 3)
    os.closerange(4, _MAX_DESCRIPTORS)
    os.read(3, 1)
    remove_pid_file(path, server)


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
