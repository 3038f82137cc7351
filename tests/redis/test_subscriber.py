"""
Tests for L{dstwist.redis.subscriber}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dstwist.redis.subscriber import Subscriber
from tests.logs import Lines
from tests.redis.stage import KnownPrimary, LinkTestCase, Peer, packed


class SubscriberTests(LinkTestCase):
    """
    A subscriber with a window of three operations.

    @ivar got: the messages that have come.
    @ivar events: when it was ready, and why it was lost.
    """

    subscriber: Subscriber

    def make(self, **options: Any) -> Any:
        settings = replace(self.settings, **options)
        self.got: list[tuple[str, bytes]] = []
        self.events: list[str] = []
        primary = KnownPrimary(self.endpoint)
        self.subscriber = Subscriber(settings, self.clock, "dstwist-n1", primary, 3, lambda: 1.0)
        self.subscriber.observe(lambda: self.events.append("ready"), self.events.append)
        self.link: Any = self.subscriber
        return self.link

    def subscribe(self, *channels: str) -> list[Any]:
        return [self.subscriber.subscribe(channel.encode(), self.receive(channel)) for channel in channels]

    def receive(self, channel: str) -> Callable[[bytes], object]:
        return lambda payload: self.got.append((channel, payload))

    def confirm(self, kind: str, *channels: str) -> None:
        self.turn()
        self.peer.answer(*[[kind, channel, 1] for channel in channels])

    def in_force(self, *channels: str) -> Peer:
        """
        A subscriber with subscriptions.
        """
        peer = self.connect()
        for channel in channels:
            (confirmed,) = self.subscribe(channel)
            self.confirm("subscribe", channel)
            self.successResultOf(confirmed)
        peer.take()
        return peer

    def test_messages(self) -> None:
        """
        Messages reach the one who has subscribed, however the bytes are cut.
        """
        peer = self.in_force("a", "b")
        data = b"".join(
            b"*3\r\n$7\r\nmessage\r\n$1\r\n%b\r\n$3\r\n\r\n%d\r\n" % (name, n)
            for n, name in enumerate([b"a", b"b", b"a"])
        )
        for position in range(len(data)):
            peer.protocol.dataReceived(data[position : position + 1])
        expected = [("a", b"\r\n0"), ("b", b"\r\n1"), ("a", b"\r\n2")]
        self.assertEqual(self.got, expected)
        peer.protocol.dataReceived(data)
        self.assertEqual(self.got, expected * 2)

    def test_from_confirmation(self) -> None:
        """
        Messages count from the confirmation of the start to that of the end.
        """
        peer = self.connect()
        self.subscribe("a")
        self.turn()
        peer.answer(["message", "a", "0"], ["subscribe", "a", 1], ["message", "a", "1"])
        ended = self.subscriber.unsubscribe(b"a")
        self.turn()
        self.assertNoResult(ended)
        peer.answer(["message", "a", "2"], ["unsubscribe", "a", 0], ["message", "a", "3"])
        self.successResultOf(ended)
        self.assertEqual(self.got, [("a", b"1"), ("a", b"2")])

    def test_one_operation(self) -> None:
        """
        A channel has one operation under way, and one subscription.
        """
        self.in_force("a")
        self.subscribe("b")
        for channel in ("a", "b"):
            with self.assertRaises(ValueError):
                self.subscribe(channel)
        self.subscriber.unsubscribe(b"a")
        with self.assertRaises(ValueError):
            self.subscriber.unsubscribe(b"a")

    def test_window(self) -> None:
        """
        Three operations are unconfirmed at a time. The others leave in one command when there is room.
        """
        peer = self.connect()
        self.subscribe("a", "b", "c", "d", "e", "f")
        self.assertEqual(self.sent(), [(b"subscribe", b"a", b"b", b"c")])
        self.assertEqual(self.subscriber.unconfirmed, 6)
        peer.answer(["subscribe", "b", 1], ["subscribe", "c", 2])
        self.assertEqual(self.sent(), [(b"subscribe", b"d", b"e")])
        peer.answer(["subscribe", "a", 3])
        self.assertEqual(self.sent(), [(b"subscribe", b"f")])
        self.assertEqual(self.subscriber.unconfirmed, 3)

    def test_lost(self) -> None:
        """
        When the connection is lost, no channel has a subscription, and none is confirmed any more.
        """
        peer = self.in_force("a")
        pending = [*self.subscribe("b", "d"), self.subscriber.unsubscribe(b"a")]
        self.turn()
        peer.close()
        # While there is no connection, nothing is asked for.
        pending += self.subscribe("c")
        peer = self.reconnect()
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.events[0::2], ["ready", "ready"])
        self.assertEqual(self.subscriber.unconfirmed, 0)
        peer.answer(["message", "a", "1"])
        self.assertEqual(self.got, [])
        self.subscribe("a", "b", "c")
        self.assertEqual(self.sent(), [(b"subscribe", b"a", b"b", b"c")])
        self.confirm("subscribe", "a", "b", "c")
        for confirmed in pending:
            self.assertNoResult(confirmed)

    def test_give_up(self) -> None:
        """
        A connection that is given up ends for that reason, and another one is made.
        """
        peer = self.in_force("a")
        self.subscriber.give_up("it is too old")
        self.assertTrue(peer.closed)
        self.assertEqual(self.events, ["ready", "it is too old"])
        peer.protocol.dataReceived(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n")
        self.assertEqual(self.got, [])
        self.reconnect()
        self.assertEqual(self.events[-1], "ready")

    def test_give_up_in_message(self) -> None:
        """
        Messages behind the one that leads to the end of the connection do not count.
        """
        peer = self.connect()
        # A real connection tells of its end in a later turn.
        self.patch(peer, "abortConnection", lambda: None)
        self.subscriber.subscribe(b"a", lambda payload: self.subscriber.give_up("enough"))
        self.subscribe("b")
        self.confirm("subscribe", "a", "b")
        peer.answer(["message", "b", "1"], ["message", "a", "2"], ["message", "b", "3"])
        self.assertEqual(self.got, [("b", b"1")])

    def test_invalid(self) -> None:
        """
        Anything that is no message and no confirmation ends the connection.
        """
        wrong: list[Any] = ["PONG", 7, None, ["message", "a"], [[], [], []]]
        wrong += [["subscribe", "other", 1], ["unsubscribe", "b", 1]]
        for answer in wrong:
            peer = self.in_force("a")
            self.subscribe("b")
            self.turn()
            peer.answer(answer)
            self.assertTrue(peer.closed, answer)
            self.assertIn("no message of Redis", self.events[-1])
            self.make()

    def test_no_protocol(self) -> None:
        """
        Bytes that are not of Redis end the connection.
        """
        peer = self.in_force("a")
        peer.protocol.dataReceived(b"HTTP/1.1 200\r\n")
        self.assertTrue(peer.closed)
        self.assertIn("no message of Redis", self.events[-1])

    def test_refused(self) -> None:
        """
        An error ends the connection. If rights are missing, the reason says which.
        """
        peer = self.in_force("a")
        self.subscribe("b")
        self.turn()
        peer.answer(Exception("NOPERM this user has no permissions"))
        self.assertTrue(peer.closed)
        self.assertIn("has no permissions", self.events[-1])
        self.assertIn("+subscribe", self.events[-1])

    def test_too_large(self) -> None:
        """
        A message with more bytes than maxReplyBytes ends the connection before it is whole. Many small ones do not.
        """
        self.make(max_reply_bytes=100)
        started = self.subscriber.start()
        self.greet()
        self.successResultOf(started)
        peer = self.peer
        self.subscribe("a")
        self.confirm("subscribe", "a")
        peer.answer(*[["message", "a", "x" * 60]] * 5)
        self.assertEqual(len(self.got), 5)
        data = packed(["message", "a", "x" * 50]) * 5
        for start in range(0, len(data), 90):
            peer.protocol.dataReceived(data[start : start + 90])
        self.assertEqual(len(self.got), 10)
        for data in (b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$9999\r\n", b"x" * 50, b"x" * 50):
            peer.protocol.dataReceived(data)
        self.assertTrue(peer.closed)
        self.assertIn("maxReplyBytes", self.events[-1])

    def test_bad_receiver(self) -> None:
        """
        A receiver that fails does not keep others from their messages.
        """
        peer = self.in_force("b")
        self.subscriber.subscribe(b"a", lambda payload: 1 // 0)
        self.confirm("subscribe", "a")
        peer.answer(["message", "a", "1"], ["message", "b", "2"])
        self.assertEqual(self.got, [("b", b"2")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_heard(self) -> None:
        """
        It is known whether bytes have come.
        """
        peer = self.in_force("a")
        self.subscriber.take_heard()
        self.assertFalse(self.subscriber.take_heard())
        peer.protocol.dataReceived(b"*3")
        self.assertTrue(self.subscriber.take_heard())
        self.assertFalse(self.subscriber.take_heard())
        peer.close()
        self.assertFalse(self.subscriber.take_heard())

    def test_stop(self) -> None:
        """
        After the stop nothing is called, and nothing is left.
        """
        peer = self.in_force("a")
        self.subscribe("b")
        stopped = self.subscriber.stop()
        self.successResultOf(stopped)
        peer.protocol.dataReceived(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n")
        self.turn()
        self.assertEqual((self.got, self.events), ([], ["ready"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_early(self) -> None:
        """
        A connection that is lost before it is ready is replaced at once.
        """
        started = self.subscriber.start()
        self.turn()
        self.peer.close()
        self.reconnect()
        self.successResultOf(started)
        self.assertLess(self.clock.seconds(), 0.2)
        self.assertEqual(self.events, ["ready"])

    def test_log(self) -> None:
        """
        The log says what a lost connection means.
        """
        peer = self.in_force("a")
        lines = Lines(self)
        peer.close()
        self.assertIn("until it is back, other nodes are not heard", lines.last("error"))
