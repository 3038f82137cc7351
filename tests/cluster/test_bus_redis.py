"""
Tests for L{dstwist.cluster.bus_redis}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dstwist.cluster.bus_redis import RedisBus
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StoreError
from tests.cluster import bus_contract
from tests.cluster.redis_stage import ScriptedBusTestCase, StartedBusTestCase
from tests.logs import Lines


class ContractTests(ScriptedBusTestCase, bus_contract.BusContract):
    """
    The contract of a bus, over a Redis of the test.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start_both()


class StartTests(ScriptedBusTestCase):
    """
    The start of a bus.
    """

    def test_channels(self) -> None:
        """
        The bus listens at its address and for its probe, and a probe comes back before it has started.
        """
        bus = self.make(channel_prefix="p:")
        bus.listen("ann", self.fail)
        self.wait(bus.start())
        subscription, probe = self.server.commands
        self.assertEqual(subscription[0], b"subscribe")
        own, address = sorted(subscription[1:], reverse=True)
        self.assertEqual(address, b"p:!aann")
        self.assertTrue(own.startswith(b"p:!p"))
        self.assertEqual(probe[:2], (b"PUBLISH", own))

    def test_prefix(self) -> None:
        """
        All channels begin with the prefix.
        """
        bus = self.make(channel_prefix="p:")
        self.wait(bus.start())
        self.wait(bus.subscribe("news", self.fail))
        bus.publish("other", b"1")
        bus.send("bob", b"2")
        self.server.serve()
        self.assertEqual(
            self.server.commands[-3:],
            [(b"subscribe", b"p:!snews"), (b"PUBLISH", b"p:!sother", b"1"), (b"PUBLISH", b"p:!abob", b"2")],
        )

    def test_own_probe(self) -> None:
        """
        No two buses share the channel of their probes.
        """
        for bus in (self.make(), self.make()):
            self.wait(bus.start())
        probes = [command[1] for command in self.server.commands if command[0] == b"PUBLISH"]
        self.assertEqual(len(set(probes)), 2)

    def failed(self, bus: RedisBus) -> str:
        started = bus.start()
        self.until(lambda: started.called)
        text = str(self.failureResultOf(started, StoreError).value)
        self.wait(bus.stop())
        return text

    def test_away(self) -> None:
        """
        The start fails with the address and the reason if there is no connection.
        """
        bus = self.make()
        self.endpoints[bus].refuses = "it is away"
        text = self.failed(bus)
        self.assertIn("here:6379", text)
        self.assertIn("it is away", text)

    def test_no_probe(self) -> None:
        """
        The start fails if the probe does not come back.
        """
        self.server.publish = lambda channel, payload: None  # type: ignore[method-assign]
        self.assertIn("do not come back", self.failed(self.make()))

    def test_may_not_publish(self) -> None:
        """
        The start fails with the rights that are missing if the user may not publish.
        """
        self.server.refusals[b"PUBLISH"] = Exception("NOPERM no permissions to access one of the channels")
        text = self.failed(self.make())
        self.assertIn("no permissions to access", text)
        self.assertIn("channelPrefix", text)
        self.assertLess(self.clock.seconds(), 1)

    def test_may_not_subscribe(self) -> None:
        """
        Likewise if the user may not subscribe.
        """
        self.server.refusals[b"subscribe"] = Exception("NOPERM no permissions to access one of the channels")
        text = self.failed(self.make())
        self.assertIn("no permissions to access", text)
        self.assertIn("channelPrefix", text)

    def test_round_trips(self) -> None:
        """
        The time of each probe that comes back is measured.
        """
        bus = self.make()
        self.wait(bus.start())
        self.assertEqual(bus.round_trips.count, 1)
        self.pass_time(4.0)
        self.assertGreaterEqual(bus.round_trips.count, 3)

    def test_stop_early(self) -> None:
        """
        A bus that is stopped during its start ends all connections and timers.
        """
        bus = self.make()
        self.endpoints[bus].refuses = ...
        started = bus.start()
        self.pass_time(0.1)
        self.wait(bus.stop())
        self.failureResultOf(started, StoreError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        """
        A start that takes too long is cancelled, also while the probe is awaited.
        """
        bus = self.make()
        self.server.publish = lambda channel, payload: None  # type: ignore[method-assign]
        started = bus.start()
        self.pass_time(0.1)
        started.cancel()
        self.failureResultOf(started)
        self.wait(bus.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class WorkingTests(StartedBusTestCase):
    """
    A bus that has started.
    """

    def test_one_write(self) -> None:
        """
        The payloads of a turn leave in one write, and so do its subscriptions.
        """
        publisher, subscriber = self.peers(self.ann)
        writes = publisher.writes
        for number in range(10):
            self.ann.publish(f"s{number}", b"1")
            self.ann.send(f"n{number}", b"1")
            self.ann.subscribe(f"s{number}", self.fail)
        self.clock.advance(0)
        self.assertEqual(publisher.writes, writes + 1)
        self.assertEqual(len(publisher.take()), 20)
        self.assertEqual([len(command) for command in subscriber.take()], [11])

    def test_window(self) -> None:
        """
        No more operations are unconfirmed than the window has room for; the others follow, in their order.
        """
        self.cluster = replace(ClusterSettings(), subscribe_window=3)
        bus = self.make()
        self.wait(bus.start())
        _, subscriber = self.peers(bus)
        confirmed = [bus.subscribe(f"s{number}", self.fail) for number in range(5)]
        self.clock.advance(0)
        self.assertEqual(subscriber.take(), [(b"subscribe", b"!ss0", b"!ss1", b"!ss2")])
        self.assertEqual(bus.unconfirmed, 5)
        # Confirmations are matched by the subject, whatever their order.
        subscriber.answer([b"subscribe", b"!ss1", 1])
        self.clock.advance(0)
        self.assertEqual([each.called for each in confirmed], [False, True, False, False, False])
        self.assertEqual(subscriber.take(), [(b"subscribe", b"!ss3")])
        ended = bus.unsubscribe("s1")
        subscriber.answer([b"subscribe", b"!ss0", 1], [b"subscribe", b"!ss3", 1])
        self.clock.advance(0)
        self.assertEqual(subscriber.take(), [(b"subscribe", b"!ss4"), (b"unsubscribe", b"!ss1")])
        subscriber.answer([b"unsubscribe", b"!ss1", 1])
        self.successResultOf(ended)
        self.assertEqual(bus.unconfirmed, 2)

    def test_bad_callback(self) -> None:
        """
        A callback that fails does not keep others from their payloads, or from the change of the bus.
        """

        def fail(*arguments: Any) -> None:
            raise ZeroDivisionError

        bus = self.make()
        changes: list[str] = []
        bus.observe(fail, fail)
        bus.observe(lambda: changes.append("lost"), lambda: changes.append("back"))
        self.wait(bus.start())
        self.wait(bus.subscribe("news", fail))
        self.subscribe(self.ann, "news")
        self.bob.publish("news", b"1")
        self.until_ended(self.bob)
        self.assertEqual(self.got, [("ann", "news", b"1")])
        self.disconnect(bus)
        self.until(lambda: bus.is_lost)
        self.assertEqual(changes, ["back", "lost"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_stop_in_callback(self) -> None:
        """
        A bus can be stopped while it calls its observers.
        """
        bus = self.make()
        stopped: list[Any] = []
        bus.observe(lambda: stopped.append(bus.stop()), lambda: None)
        self.wait(bus.start())
        self.peers(bus)[1].close()
        self.until(lambda: bool(stopped and stopped[0].called))
        self.pass_time(10)
        self.assertTrue(bus.is_lost)

    def test_stop_sends(self) -> None:
        """
        Payloads of before the stop are sent.
        """
        self.bob.send("ann", b"1")
        self.wait(self.bob.stop())
        self.assertEqual(self.got, [("ann", "to ann", b"1")])

    def test_no_timers(self) -> None:
        """
        Nothing is left after the stop.
        """
        for bus in (self.ann, self.bob):
            self.wait(bus.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_log(self) -> None:
        """
        The log says when the bus is lost, and why, and when it works again.
        """
        lines = Lines(self)
        self.peers(self.bob)[1].close()
        self.until(lambda: not self.bob.is_lost)
        (lost,) = [line for line in lines.of("error") if line.startswith("CLUSTER")]
        self.assertIn("the bus is lost", lost)
        (back,) = [line for line in lines.of("info") if line.startswith("CLUSTER")]
        self.assertIn("the bus works", back)
