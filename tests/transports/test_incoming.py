"""
What has come in part of messages, of all clients together.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports import websocket
from dstwist.transports.incoming import UNCOUNTED_PART_BYTES, Incoming
from tests.transports.helpers import BINARY, TEXT, Client, close_code, frame, web_sockets

#: Half of this message is more than a quarter of the limit.
LARGE = 300_000
LIMIT = 500_000


class IncomingTests(SynchronousTestCase):
    """
    L{Incoming}, behind real links.
    """

    def setUp(self) -> None:
        self.incoming = Incoming(LIMIT)
        self.factory: Any = web_sockets(max_message_size=1_000_000)
        self.factory.incoming = self.incoming

    def client(self) -> Client:
        client = Client(self.factory)
        client.link.logged_in()
        return client

    def half(self, client: Client, final: bool = True) -> bytes:
        """
        Have C{client} send half of a message; the other half.
        """
        data = frame(BINARY, b"x" * LARGE, final=final)
        client.send(data[: LARGE // 2])
        return data[LARGE // 2 :]

    def test_counted(self) -> None:
        """
        The bytes of an unfinished message count until it is complete, in one piece or in many.
        """
        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            client = self.client()
            rest = self.half(client)
            self.assertTrue(LARGE // 2 - 20 <= self.incoming.held <= LARGE // 2, self.incoming.held)
            for place in range(0, len(rest), 10_000):
                client.send(rest[place : place + 10_000])
            self.assertEqual(self.incoming.held, 0)
            self.assertEqual(client.connection.payloads, [b"x" * LARGE])

    def test_fragments(self) -> None:
        """
        So does a message in fragments.
        """
        client = self.client()
        client.send(self.half(client, final=False))
        self.assertEqual(self.incoming.held, LARGE)
        client.send(frame(0, b"y"))
        self.assertEqual((self.incoming.held, len(client.connection.payloads)), (0, 1))

    def test_medium(self) -> None:
        """
        Parts of messages below 64 KiB count as well, but not small ones.
        """
        client, other = self.client(), self.client()
        client.send(frame(TEXT, b"x" * 50_000)[:40_000])
        other.send(frame(TEXT, b"x" * 50_000)[:UNCOUNTED_PART_BYTES])
        self.assertEqual(self.incoming.held, 40_000)

    def test_limit(self) -> None:
        """
        Past the limit the clients whose messages began first are closed; all others are served on.
        """
        clients = [self.client() for _ in range(4)]
        connections = [client.connection for client in clients]
        rests = [self.half(client) for client in clients]
        self.assertEqual(close_code(clients[0].taken()), 1013)
        self.assertLessEqual(self.incoming.held, LIMIT)
        for client, rest in zip(clients[1:], rests[1:], strict=True):
            client.send(rest)
        self.assertEqual([len(connection.payloads) for connection in connections], [0, 1, 1, 1])
        self.assertEqual(self.incoming.held, 0)

    def test_gone(self) -> None:
        """
        The unfinished message of a client that has gone does not count.
        """
        client = self.client()
        self.half(client)
        client.lose()
        self.assertEqual(self.incoming.held, 0)

    def test_closed(self) -> None:
        """
        Neither does it once the client is closed, whatever it goes on to send.
        """
        client = self.client()
        rest = self.half(client)
        client.connection.close("kicked", 1008)
        self.assertEqual(self.incoming.held, 0)
        client.send(rest)
        self.assertEqual(self.incoming.held, 0)
