"""
The service manager: systemd's protocol for services of C{Type=notify}, as described in sd_notify(3).

======================================  =============================================================================
message                                 when
======================================  =============================================================================
C{EXTEND_TIMEOUT_USEC=...}              at the start and at the stop: how long each may take by the configuration
C{READY=1}                              the server accepts clients; and after a reload
C{WATCHDOG=1}                           twice in the time after which systemd takes the server for stuck
C{RELOADING=1}                          the configuration is being read again
C{STOPPING=1}                           the server stops
C{STATUS=...}                           with each, for C{systemctl status}
======================================  =============================================================================
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall


class ServiceManager:
    """
    Reports the state of the server to the service manager; does nothing if there is none.

    @param environ: the variables that say how to reach the service manager. They are removed, so that programs that the
        server starts cannot report in its place.
    """

    def __init__(self, environ: MutableMapping[str, str], clock: IReactorTime) -> None:
        self._clock = clock
        address = environ.pop("NOTIFY_SOCKET", "")
        limit, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        # A name in the abstract space has a zero byte where the variable has an @.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._watchdog: float | None = None
        self._call: LoopingCall | None = None
        if self._address:
            # Connected now, before the process gives up its privileges.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            if limit.isdigit() and int(limit) and pid in ("", str(os.getpid())):
                self._watchdog = int(limit) / 1_000_000 / 2

    def starting(self, seconds: float) -> None:
        """
        The server starts, which may take C{seconds}.
        """
        self._tell(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000:.0f}", "STATUS=starting")

    def ready(self, status: str) -> None:
        """
        The server accepts clients.
        """
        self._tell("READY=1", f"STATUS={status}")
        if self._watchdog is not None and self._call is None:
            self._call = LoopingCall(self._tell, "WATCHDOG=1")
            self._call.clock = self._clock
            self._call.start(self._watchdog)

    def reloading(self) -> None:
        """
        The configuration is read again; L{ready} says when that is done.
        """
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=reading the configuration")

    def stopping(self, seconds: float) -> None:
        """
        The server stops, which may take C{seconds}.
        """
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000:.0f}", "STATUS=stopping")

    def stop(self) -> None:
        """
        Send nothing more.
        """
        if self._call is not None:
            self._call.stop()
            self._call = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, *lines: str) -> None:
        if self._socket is not None:
            try:
                self._socket.sendto("\n".join(lines).encode("utf-8"), self._address)
            except OSError:
                # The service manager does not listen, or its queue is full. The server runs without it.
                pass
