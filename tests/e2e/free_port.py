"""
Ports for servers that tests start, so that no other server gets the same one.

A port that the system chose (by C{bind} to port 0) is no longer taken once the socket is closed: while a server starts,
or starts again, the system may give the same port to the server of another test. Ports below the range from which the
system chooses are safe. Each process that runs tests has a part of that range for itself, until it ends: another test
run on the same machine does not take the port of a server that was killed and is to start again.
"""

from __future__ import annotations

import itertools
import os
import socket
from functools import cache

# From 10000 up to 31999: Linux chooses from 32768 and above.
_FIRST = 10_000
_PARTS = 22
_SIZE = 1000

_next = itertools.count()


@cache
def _own_part() -> tuple[int, socket.socket | None]:
    """
    The part of this process, and the socket whose name shows other processes that the part is taken.
    """
    for number in range(_PARTS):
        part = (os.getpid() + number) % _PARTS
        holder = socket.socket(socket.AF_UNIX)
        try:
            # A name without a file: the system frees it when the process ends.
            holder.bind(f"\0dstwist-test-ports-{part}")
        except OSError:
            holder.close()
        else:
            return part, holder
    return os.getpid() % _PARTS, None


def free_port() -> int:
    """
    A port of 127.0.0.1 that is free, and that the system gives to no other program.
    """
    first = _FIRST + _own_part()[0] * _SIZE
    while True:
        port = first + next(_next) % _SIZE
        with socket.socket() as probe:
            # As the servers do: connections of an earlier server at this port may be in TIME_WAIT.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
            except OSError:
                continue
        return port
