"""
Ports for servers that tests start, so that no other server gets the same one.

A port that the system chose (by C{bind} to port 0) is no longer taken once the socket is closed: while a server starts,
or starts again, the system may give the same port to the server of another test. Ports below the range from which the
system chooses are safe. Each process of the test run has a part of that range for itself.
"""

from __future__ import annotations

import itertools
import os
import socket

# From 10000 up to 31999: Linux chooses from 32768 and above.
_FIRST = 10_000
_PARTS = 22
_SIZE = 1000

_next = itertools.count()


def free_port() -> int:
    """
    A port of 127.0.0.1 that is free, and that the system gives to no other program.
    """
    first = _FIRST + os.getpid() % _PARTS * _SIZE
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
