"""
Tests for L{dstwist.process.service_manager}.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.process.service_manager import ServiceManager


class FakeSocket:
    """
    Remembers what is sent.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[list[str], str]] = []
        self.problem: OSError | None = None
        self.closed = False

    def sendto(self, data: bytes, address: str) -> None:
        if self.problem is not None:
            raise self.problem
        self.sent.append((data.decode("utf-8").split("\n"), address))

    def close(self) -> None:
        self.closed = True

    def take(self) -> list[str]:
        """
        The first line of each message.
        """
        sent, self.sent = self.sent, []
        return [lines[0] for lines, _ in sent]


class ServiceManagerTests(SynchronousTestCase):
    """
    The messages to systemd.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.socket = FakeSocket()
        self.patch(socket, "socket", lambda *arguments: self.socket)

    def manager(self, **environ: str) -> ServiceManager:
        self.environ = {"NOTIFY_SOCKET": "/run/systemd/notify", **environ}
        return ServiceManager(self.environ, self.clock)

    def test_life(self) -> None:
        """
        The start, a reload and the stop are told as they happen.
        """
        manager = self.manager()
        manager.starting(36)
        manager.ready("serving clients")
        manager.reloading()
        manager.ready("serving clients")
        manager.stopping(70)
        manager.stop()
        firsts = ["EXTEND_TIMEOUT_USEC=36000000", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
        (_, extended, _) = self.socket.sent[-1][0]
        self.assertEqual(extended, "EXTEND_TIMEOUT_USEC=70000000")
        self.assertTrue(self.socket.sent[2][0][1].startswith("MONOTONIC_USEC="))
        self.assertEqual({address for _, address in self.socket.sent}, {"/run/systemd/notify"})
        self.assertEqual(self.socket.take(), firsts)
        self.assertTrue(self.socket.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_watchdog(self) -> None:
        """
        From the start until the end the server reports to the watchdog twice in its interval.
        """
        manager = self.manager(WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
        manager.starting(1)
        self.clock.advance(100)
        self.socket.take()
        manager.ready("")
        self.assertEqual(self.socket.take(), ["READY=1", "WATCHDOG=1"])
        for _ in range(3):
            self.clock.advance(15)
            self.assertEqual(self.socket.take(), ["WATCHDOG=1"])
        manager.ready("after a reload")
        manager.stopping(1)
        self.socket.take()
        self.clock.advance(15)
        self.assertEqual(self.socket.take(), ["WATCHDOG=1"])
        manager.stop()
        self.clock.advance(100)
        self.assertEqual(self.socket.take(), [])

    def test_watchdog_of_another(self) -> None:
        """
        A watchdog for another process is not answered; nonsense is none.
        """
        for environ in ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {}):
            manager = self.manager(**environ)
            manager.ready("")
            self.assertEqual(self.socket.take(), ["READY=1"])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_environment(self) -> None:
        """
        Programs that the server starts cannot report in its place.
        """
        self.manager(WATCHDOG_USEC="1", WATCHDOG_PID="1", HOME="/")
        self.assertEqual(self.environ, {"HOME": "/"})

    def test_none(self) -> None:
        """
        Without a service manager nothing is sent, and nothing waits.
        """
        made: list[Any] = []
        self.patch(socket, "socket", lambda *arguments: made.append(arguments))
        manager = ServiceManager({}, self.clock)
        manager.starting(1)
        manager.ready("")
        manager.reloading()
        manager.stopping(1)
        manager.stop()
        self.assertEqual((made, self.clock.getDelayedCalls()), ([], []))

    def test_gone(self) -> None:
        """
        If it is not there any more the server goes on.
        """
        manager = self.manager()
        self.socket.problem = ConnectionRefusedError()
        manager.ready("")

    def test_real(self) -> None:
        """
        A real socket in the abstract name space gets the message.
        """
        self.patch(socket, "socket", socket.SocketType)
        name = f"dstwist-test-{os.getpid()}"
        listening = socket.SocketType(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listening.close)
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        manager = ServiceManager({"NOTIFY_SOCKET": f"@{name}"}, self.clock)
        manager.ready("fine")
        self.assertEqual(listening.recv(1000), b"READY=1\nSTATUS=fine")
        manager.stop()
