"""
Tests for L{dstwist.transports.websocket}: the time of a client in each turn.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.scheduling.turns import TIME_SLICE
from dstwist.transports import websocket
from tests.fakes import BusyReactor
from tests.transports.helpers import (
    BINARY,
    CLOSE,
    HANDSHAKE,
    PING,
    TEXT,
    Client,
    Recorder,
    close_payload,
    frame,
    web_sockets,
)
from tests.turns import LONGEST, turn_lengths


class TurnTests(SynchronousTestCase):
    """
    The time that each client has in a turn of the reactor. The rest of its data waits for a later turn.
    """

    def test_turn_over(self) -> None:
        """
        If a payload takes the time that its client has in a turn, what was read behind it, be it a close frame, waits
        until the link is resumed and then comes in order.
        """

        class Weary(Recorder):
            def receive(self, payload: bytes | str) -> bool:
                super().receive(payload)
                self.link.pause()
                return payload == "b"

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            factory = web_sockets(Weary)
            client = Client(factory)
            connection = client.connection
            client.send(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"c") + frame(CLOSE, close_payload(1000)))
            self.assertEqual(connection.payloads, ["a", "b"])
            client.send(frame(TEXT, b"after the end"))
            connection.link.resume()
            self.assertEqual(connection.payloads, ["a", "b"])
            factory.reactor.advance(0)
            self.assertEqual((connection.payloads, connection.events), (["a", "b", "c"], ["open", "lost"]))

    def test_many_frames(self) -> None:
        """
        If much comes at once, only as much is served in a turn as its time allows, whether the link or Autobahn cuts
        the frames; meanwhile nothing is read.
        """

        class Slow(Recorder):
            def receive(self, payload: bytes | str) -> None:
                super().receive(payload)
                self.link.factory.reactor.rightNow += TIME_SLICE / 499.5

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            factory = web_sockets(Slow, BusyReactor())
            client = Client(factory)
            connection = client.connection
            client.send(frame(TEXT, b"message") * 2000)
            for served in (500, 1000, 1500):
                self.assertEqual(
                    (len(connection.payloads), client.transport.producerState), (served, "paused"), f"fast: {fast}"
                )
                factory.reactor.advance(0)
            self.assertEqual((len(connection.payloads), client.transport.producerState), (2000, "producing"))

    def test_few_slow(self) -> None:
        """
        It depends on the time that payloads take, not on their number or size, whether those behind them wait.
        """

        class Slow(Recorder):
            def receive(self, payload: bytes | str) -> None:
                super().receive(payload)
                self.link.factory.reactor.rightNow += 2 * TIME_SLICE

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            factory = web_sockets(Slow, BusyReactor())
            client = Client(factory)
            client.send(frame(TEXT, b"a") * 3)
            for served in (1, 2, 3):
                self.assertEqual(len(client.connection.payloads), served)
                factory.reactor.advance(0)

    def test_many_clients(self) -> None:
        """
        All clients share the time of a turn: one slow payload of each of twenty is served in no turn that lasts longer.
        They are served in order, and the first of them before a client that has had a slice already.
        """
        served: list[bytes | str] = []

        class Slow(Recorder):
            def receive(self, payload: bytes | str) -> None:
                served.append(payload)
                self.link.factory.reactor.rightNow += TIME_SLICE * 1.1

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            served.clear()
            factory = web_sockets(Slow, BusyReactor())
            greedy = Client(factory)
            clients = [Client(factory) for _ in range(20)]
            turns: list[int] = []
            greedy.send(frame(TEXT, b"greedy") * 4)
            for number, client in enumerate(clients):
                client.send(frame(TEXT, b"%d" % number))
            while len(served) < 24:
                turns.append(len(served) - sum(turns))
                self.assertLess(len(turns), 30)
                factory.reactor.advance(0)
            self.assertLess(max(turns), 4)
            self.assertEqual([each for each in served if each != "greedy"], [str(number) for number in range(20)])
            self.assertEqual(served[:2].count("greedy"), 1)

    def test_many_leave(self) -> None:
        """
        If very many clients leave in one turn, the ends of some are dealt with in later turns. Nothing is written to
        them meanwhile, nor served.
        """

        class Slow(Recorder):
            def lost(self, reason: str) -> None:
                super().lost(reason)
                self.link.factory.reactor.rightNow += TIME_SLICE / 10

        reactor = BusyReactor()
        factory = web_sockets(Slow, reactor)
        clients = [Client(factory) for _ in range(200)]
        connections = [client.connection for client in clients]

        def leave() -> None:
            for client in clients:
                client.lose()
                client.link.outbox.write(b"too late")

        self.assertLess(max(turn_lengths(reactor, leave)), LONGEST)
        self.assertEqual([connection.events for connection in connections], [["open", "lost"]] * 200)
        self.assertEqual((factory.links, b"".join(client.taken() for client in clients)), (set(), b""))

    def test_much_for_autobahn(self) -> None:
        """
        The same holds for frames that Autobahn handles alone: pings and fragments without end.
        """
        for frames in (
            [frame(PING, b"p")] * 500,
            [frame(TEXT, b"a", final=False), *[frame(0, b"", final=False)] * 499],
        ):
            reactor = BusyReactor()
            factory = web_sockets(Recorder, reactor=reactor)
            client = Client(factory)
            kept = []
            reactor.tick = TIME_SLICE / 100
            client.send(*frames)
            while client.link.data:
                kept.append(len(client.link.data))
                reactor.advance(0)
            self.assertTrue(4 <= len(kept) <= 6, kept)
            self.assertEqual(kept, sorted(kept, reverse=True))

    def test_nothing_read_while_postponed(self) -> None:
        """
        A client that sends faster than it is served is not read from until all is served that has been read: there is
        no more to keep than that.
        """
        client, link, connection, reactor = self.weary()
        client.send(*[frame(TEXT, b"%d" % number) for number in range(4)])
        for number in range(4):
            self.assertEqual(connection.payloads, [str(each) for each in range(number + 1)])
            link.resume()
            self.assertEqual(client.transport.producerState, "paused")
            reactor.advance(0)
        self.assertEqual(client.transport.producerState, "producing")

    def test_resumed_twice(self) -> None:
        """
        However often a link is paused and resumed within a turn, what waits is served once in the next, and not at all
        if the link is paused by then.
        """
        client, link, connection, reactor = self.weary()
        client.send(*[frame(TEXT, b"%d" % number) for number in range(4)])
        link.resume()
        link.resume()
        link.pause()
        link.resume()
        reactor.advance(0)
        self.assertEqual(connection.payloads, ["0", "1"])
        link.resume()
        link.pause()
        reactor.advance(0)
        self.assertEqual(connection.payloads, ["0", "1"])
        link.resume()
        reactor.advance(0)
        self.assertEqual(connection.payloads, ["0", "1", "2"])
        self.assertEqual(client.transport.producerState, "paused")

    def test_lost_while_postponed(self) -> None:
        """
        If a client goes while some of its payloads wait, these are not served any more.
        """
        client, link, connection, reactor = self.weary()
        client.send(frame(TEXT, b"0"), frame(TEXT, b"1"))
        link.resume()
        client.lose()
        reactor.advance(0)
        self.assertEqual(reactor.getDelayedCalls(), [])
        self.assertEqual((connection.payloads, connection.events), (["0"], ["open", "lost"]))

    def weary(self) -> tuple[Client, Any, Any, Any]:
        """
        A client each of whose payloads takes all the time of a turn: with its link, its connection and its reactor.
        """

        class Weary(Recorder):
            def receive(self, payload: bytes | str) -> bool:
                super().receive(payload)
                self.link.pause()
                return True

        factory = web_sockets(Weary)
        client = Client(factory)
        return client, client.link, client.connection, factory.reactor

    def test_closed_when_turn_over(self) -> None:
        """
        A connection that the server closes while something of its client's waits still ends in good order.
        """

        class Weary(Recorder):
            def receive(self, payload: bytes | str) -> bool:
                super().receive(payload)
                return True

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            client = Client(web_sockets(Weary))
            connection = client.connection
            client.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
            connection.close("enough", 1008)
            client.send(frame(CLOSE, close_payload(1008)))
            self.assertEqual((connection.payloads, client.gone), (["a"], "aborted"))

    def test_first_payload_with_handshake(self) -> None:
        """
        A client may speak before it has seen the answer to its handshake.
        """
        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            client = Client(web_sockets(), handshake=HANDSHAKE + frame(BINARY, b"a") + frame(BINARY, b"b")[:3])
            client.send(frame(BINARY, b"b")[3:])
            self.assertEqual(client.connection.payloads, [b"a", b"b"])
