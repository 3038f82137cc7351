"""
The number of files that the process may have open, and the number of connections that it allows. Each connection is an
open file.
"""

from __future__ import annotations

import resource

#: The number of open files reserved for everything but client connections: stores, the log, the ports, certificates
#: while they are read, connections to web services.
RESERVED_FILES = 100

#: The server warns at the start if there is room for fewer connections.
MIN_CONNECTIONS = 500


def raise_limit() -> None:
    """
    Raise the soft limit to the hard one. The soft limit is low for the sake of programs that use C{select}.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # A sandbox may forbid the call, and macOS has no number for its hard limit. The soft limit is enough.
            pass


def open_file_limit() -> int | None:
    """
    How many files may be open; C{None} if there is no limit.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def connections_within(files: int | None) -> int | None:
    """
    How many connections there may be if C{files} may be open; C{None} if there is no limit.
    """
    return None if files is None else max(files - RESERVED_FILES, 1)
