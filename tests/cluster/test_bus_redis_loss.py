"""
Tests for L{dstwist.cluster.bus_redis}: when the bus is lost, when it is not, and what becomes of payloads.
"""

from __future__ import annotations

from typing import Any

from dstwist.config.cluster import ClusterSettings
from dstwist.errors import ConnectionBroken
from dstwist.redis.link import RedisLink
from tests.cluster.redis_stage import StartedBusTestCase


class LossTests(StartedBusTestCase):
    """
    Connections and a server that fail.
    """

    def test_idle_probe(self) -> None:
        """
        A probe is sent every C{probe_interval}, and the bus is not lost while probes come back.
        """
        self.pass_time(20)
        probes = [command for command in self.server.commands if command[1].startswith(b"!p")]
        self.assertTrue(30 <= len(probes) <= 40, len(probes))
        self.assertEqual(self.changes, ["back"])

    def lost_after(self) -> float:
        """
        How long it takes until the bus of Bob is lost.
        """
        began = self.clock.seconds()
        self.until(lambda: self.bob.is_lost)
        return self.clock.seconds() - began

    def test_publisher_half_open(self) -> None:
        """
        The bus is lost within C{bus_notice_time} if what it publishes does not arrive.
        """
        self.pass_time(0.5)
        self.server.silent.add(self.peers(self.bob)[0])
        self.assertLess(self.lost_after(), ClusterSettings().bus_notice_time)
        self.until(lambda: not self.bob.is_lost)
        self.assertEqual(self.changes, ["back", "lost", "back"])

    def test_subscriber_half_open(self) -> None:
        """
        Likewise if nothing arrives of what is published.
        """
        self.pass_time(0.5)
        self.server.silent.add(self.peers(self.bob)[1])
        self.assertLess(self.lost_after(), ClusterSettings().bus_notice_time)
        self.until(lambda: not self.bob.is_lost)
        self.assertEqual(self.changes, ["back", "lost", "back"])

    def test_half_open_early(self) -> None:
        """
        A subscribing connection that becomes half-open before the bus's own channels are confirmed is given up.
        """
        self.server.ignored.add(b"subscribe")
        _, subscriber = self.peers(self.bob)
        channel = self.probe_channel(subscriber)
        subscriber.close()
        self.pass_time(2)
        self.assertTrue(self.bob.is_lost)
        # There is no probe before they are confirmed.
        self.assertEqual([words for words in self.server.commands if words[:2] == (b"PUBLISH", channel)], [])
        self.server.ignored.clear()
        self.until(lambda: not self.bob.is_lost)
        self.assertEqual(self.changes, ["back", "lost", "back"])

    def test_probe_back(self) -> None:
        """
        If a probe has come back, its answer need not come: nothing is in doubt.
        """
        publisher, subscriber = self.peers(self.bob)
        self.server.silent.add(publisher)
        self.pass_time(1.5)
        ((_, channel, payload),) = publisher.take()
        subscriber.answer([b"message", channel, payload])
        publisher.close()
        self.pass_time(5)
        self.assertEqual(self.changes, ["back"])

    def test_early_payload(self) -> None:
        """
        A payload for the node that arrives before the probe is dropped: the bus is lost until then.
        """
        self.server.ignored.add(b"PUBLISH")
        self.peers(self.bob)[1].close()
        self.pass_time(0.5)
        self.assertTrue(self.bob.is_lost)
        self.server.publish(b"!abob", b"1")
        self.assertEqual(self.got, [])
        self.server.ignored.clear()
        self.until(lambda: not self.bob.is_lost)
        self.server.publish(b"!abob", b"2")
        self.assertEqual(self.got, [("bob", "to bob", b"2")])

    def test_slow(self) -> None:
        """
        A probe that is late behind other messages does not end a bus: the node is slow then. Beyond a limit it does.
        """
        self.wait(self.bob.subscribe("news", lambda payload: None))
        publish = self.server.publish

        def late(channel: bytes, payload: bytes) -> None:
            if not channel.startswith(b"!p"):
                publish(channel, payload)

        self.server.publish = late  # type: ignore[method-assign]
        for _ in range(80):
            self.server.publish(b"!snews", b"1")
            self.pass_time(0.1)
        self.assertEqual(self.changes, ["back"])
        while not self.bob.is_lost:
            self.assertLess(self.clock.seconds(), 20)
            self.server.publish(b"!snews", b"1")
            self.pass_time(0.1)

    def test_old_probe(self) -> None:
        """
        Only the last probe counts.
        """
        _, subscriber = self.peers(self.bob)
        channel = self.probe_channel(subscriber)
        self.server.publish = lambda channel, payload: None  # type: ignore[method-assign]
        for _ in range(200):
            subscriber.answer([b"message", channel, b"0"])
            self.pass_time(0.1)
            if self.bob.is_lost:
                return
        self.fail("it is not lost")

    def test_in_doubt(self) -> None:
        """
        The bus is lost if a payload was sent and its answer did not come. The payload is not sent again.
        """
        publisher, _ = self.peers(self.bob)
        self.server.silent.add(publisher)
        self.bob.send("ann", b"1")
        self.server.serve()
        publisher.close()
        self.server.serve()
        self.assertTrue(self.bob.is_lost)
        self.assertEqual(self.bob.dropped, 1)
        self.until(lambda: not self.bob.is_lost)
        self.until_ended(self.bob)
        self.assertEqual(self.got, [])

    def test_late_outcome(self) -> None:
        """
        A payload of which it becomes known late that it is in doubt does not end a bus that is back already.
        """
        held: list[tuple[Any, Any]] = []
        submit = RedisLink.submit

        def hold(link: RedisLink, key: Any, words: Any, done: Any, argument: Any) -> None:
            if words[1] == b"!acat":
                held.append((done, argument))
            else:
                submit(link, key, words, done, argument)

        self.patch(RedisLink, "submit", hold)
        bus = self.make()
        self.wait(bus.start())
        bus.send("cat", b"1")
        self.peers(bus)[1].close()
        self.until(lambda: bus.is_lost)
        self.until(lambda: not bus.is_lost)
        bus.send("cat", b"2")
        (early, later) = held
        for (done, argument), is_lost in ((early, False), (later, True)):
            done(argument, ConnectionBroken("in doubt"), None)
            self.assertEqual(bus.is_lost, is_lost)
        self.assertEqual(bus.dropped, 2)

    def test_publisher_returns(self) -> None:
        """
        The bus is not lost if the publishing connection is made anew and nothing is in doubt. Payloads wait for it.
        """
        publisher, _ = self.peers(self.bob)
        publisher.close()
        self.bob.send("ann", b"1")
        self.until_ended(self.bob)
        self.assertEqual(self.got, [("ann", "to ann", b"1")])
        self.assertEqual(self.changes, ["back"])

    def test_kept(self) -> None:
        """
        The payloads of an outage are kept, and sent in their order before others.
        """
        self.bob.observe(lambda: None, lambda: self.bob.send("ann", b"3"))
        self.disconnect(self.bob)
        self.until(lambda: self.bob.is_lost)
        self.bob.publish("news", b"1")
        self.bob.send("ann", b"2")
        self.subscribe(self.ann, "news")
        self.reconnect(self.bob)
        self.until(lambda: not self.bob.is_lost)
        self.until_ended(self.bob)
        self.assertEqual(self.got, [("ann", "news", b"1"), ("ann", "to ann", b"2"), ("ann", "to ann", b"3")])

    def test_kept_too_long(self) -> None:
        """
        They are kept for a limited time.
        """
        self.disconnect(self.bob)
        self.until(lambda: self.bob.is_lost)
        self.bob.send("ann", b"1")
        self.pass_time(6)
        self.bob.send("ann", b"2")
        self.reconnect(self.bob)
        self.until(lambda: not self.bob.is_lost)
        self.until_ended(self.bob)
        self.assertEqual(self.got, [("ann", "to ann", b"2")])
        self.assertEqual(self.bob.dropped, 1)

    def test_refused(self) -> None:
        """
        The bus is lost if Redis refuses a payload, and back when it takes the probe.
        """
        self.server.refusals[b"PUBLISH"] = Exception("BUSY Redis is busy running a script")
        self.bob.send("ann", b"1")
        self.server.serve()
        self.assertTrue(self.bob.is_lost)
        self.pass_time(5)
        self.assertTrue(self.bob.is_lost)
        self.server.refusals.clear()
        self.until(lambda: not self.bob.is_lost)

    def test_too_many(self) -> None:
        """
        A payload too many is dropped, and the bus goes on.
        """
        bus = self.make(max_waiting=3)
        self.wait(bus.start())
        for number in range(5):
            bus.send("ann", b"%d" % number)
        self.server.serve()
        self.assertFalse(bus.is_lost)
        self.assertEqual([payload for _, _, payload in self.got], [b"0", b"1", b"2"])
        self.assertEqual(bus.dropped, 2)

    def test_publisher_away(self) -> None:
        """
        The bus is lost if a payload has waited too long for the publishing connection. A caller is not told of that
        while it publishes.
        """
        bus = self.make(max_waiting=3)
        self.wait(bus.start())
        changes: list[str] = []
        bus.observe(lambda: changes.append("lost"), lambda: None)
        publisher, _ = self.peers(bus)
        self.endpoints[bus].refuses = "refused"
        publisher.close()
        self.pass_time(0.1)
        for number in range(5):
            bus.send("ann", b"%d" % number)
            self.assertEqual(changes, [])
        self.until(lambda: bus.is_lost)
        self.assertEqual(changes, ["lost"])
        self.assertEqual(bus.dropped, 5)
        self.endpoints[bus].refuses = None
        self.until(lambda: not bus.is_lost)
        self.assertEqual(self.got, [])

    def test_too_many_for_probe(self) -> None:
        """
        The bus goes on, too, if there is no room for a probe. The next one is sent later.
        """
        bus = self.make(max_waiting=3)
        self.wait(bus.start())
        publisher, _ = self.peers(bus)
        probes = len(self.server.commands)
        for _ in range(20):
            # The server is slow, but answers.
            for number in range(3):
                bus.send("cat", b"%d" % number)
            self.clock.advance(0.25)
            publisher.answer(*[0 for _ in publisher.take()])
            self.clock.advance(0)
        self.assertFalse(bus.is_lost)
        self.pass_time(3)
        self.assertFalse(bus.is_lost)
        self.assertGreater(len(self.server.commands), probes + 1)
