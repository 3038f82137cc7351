"""
Tests for L{bench.load.loop}.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from bench.load.client import Client, LoadFailed
from bench.load.loop import Loop, Marks
from bench.load.wire import MARK


class MarksTests(SynchronousTestCase):
    """
    Counting what arrives.
    """

    def test_cut_anywhere(self) -> None:
        """
        A mark counts once, wherever the bytes are cut in two, or all of them into single ones.
        """
        data = b"<" + MARK + b"a<!" + MARK + MARK + b"<!"
        for cut in range(len(data) + 1):
            marks = Marks()
            received = marks.counter()
            received(data[:cut])
            received(data[cut:])
            self.assertEqual(marks.count, 3, cut)
        marks = Marks()
        received = marks.counter()
        for index in range(len(data)):
            received(data[index : index + 1])
        self.assertEqual(marks.count, 3)

    def test_several_clients(self) -> None:
        """
        The clients are counted together, and a mark does not go from one client to another.
        """
        marks = Marks()
        one, other = marks.counter(), marks.counter()
        one(MARK[:2])
        other(MARK[2:])
        self.assertEqual(marks.count, 0)
        one(MARK[2:])
        self.assertEqual(marks.count, 1)


class LoopTests(SynchronousTestCase):
    """
    Clients in a loop, with the other end of their sockets in the test.
    """

    def setUp(self) -> None:
        self.loop = Loop()
        ours, self.theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(self.theirs.close)
        # Only a failing test waits.
        self.theirs.settimeout(5)
        self.client = _client_at(ours)
        self.received: list[bytes] = []
        self.loop.add(self.client, self.received.append)

    def test_receive(self) -> None:
        """
        What arrives is passed on; a turn without anything says so.
        """
        self.assertFalse(self.loop.turn(0))
        self.theirs.sendall(b"hello")
        self.assertTrue(self.loop.turn(0))
        self.assertEqual(self.received, [b"hello"])

    def test_send_more_than_fits(self) -> None:
        """
        What does not fit is sent later, in its order, and the loop goes on meanwhile.
        """
        first, second = b"1" * 10_000_000, b"2" * 1000
        self.loop.send(self.client, first)
        self.loop.send(self.client, second)
        got = bytearray()
        while len(got) < len(first) + len(second):
            got += self.theirs.recv(1 << 20)
            self.loop.turn(0)
        self.assertEqual(bytes(got), first + second)

    def test_closed(self) -> None:
        """
        It is a failure if the server closes a connection.
        """
        self.theirs.close()
        self.assertRaises(LoadFailed, self.loop.turn, 0)


def _client_at(end: socket.socket) -> Client:
    client: Any = Client.__new__(Client)
    client.socket = end
    checked: Client = client
    return checked
