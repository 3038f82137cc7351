"""
The pid file of a server that gives up its privileges (C{--uid}).

The server cannot remove the file itself if the directory belongs to another user, as C{/run} does. So a second process,
which keeps the privileges, waits for the end of the server, however that ends, and removes the file then. It does
nothing else: it has one pipe open, which ends with the server.
"""

from __future__ import annotations

import os
import signal

from dstwist.process.owned import Owner
from dstwist.process.pid_file import remove_pid_file

#: No more files are open at the start.
_MOST_DESCRIPTORS = 4096


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
    os.closerange(4, _MOST_DESCRIPTORS)
    os.read(3, 1)
    remove_pid_file(path, server)
