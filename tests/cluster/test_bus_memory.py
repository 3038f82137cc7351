"""
Tests for L{dstwist.cluster.bus_memory}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.cluster.bus_memory import MemoryNetwork
from dstwist.interfaces import IBus


class MemoryBusTests(SynchronousTestCase):
    """
    L{MemoryNetwork} and its buses.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.ann, self.bob = self.network.bus(), self.network.bus()
        self.ann.listen("ann", lambda payload: self.got.append(("to ann", payload)))
        self.got: list[tuple[str, bytes]] = []
        self.changes: list[str] = []
        self.bob.observe(lambda: self.changes.append("lost"), lambda: self.changes.append("back"))
        for bus in (self.ann, self.bob):
            self.successResultOf(bus.start())

    def subscribe(self) -> None:
        confirmed = self.bob.subscribe("news", lambda payload: self.got.append(("news", payload)))
        self.assertNoResult(confirmed)
        self.clock.advance(0)
        self.successResultOf(confirmed)

    def test_interface(self) -> None:
        """
        L{MemoryBus} provides L{IBus}.
        """
        verifyObject(IBus, self.ann)

    def test_publish(self) -> None:
        """
        A payload reaches the subscribers of its subject, in a later turn.
        """
        self.subscribe()
        self.ann.publish("news", b"1")
        self.ann.publish("other", b"2")
        self.assertEqual(self.got, [])
        self.clock.advance(0)
        self.assertEqual(self.got, [("news", b"1")])

    def test_unsubscribe(self) -> None:
        """
        After the end of a subscription nothing arrives.
        """
        self.subscribe()
        ended = self.bob.unsubscribe("news")
        self.clock.advance(0)
        self.successResultOf(ended)
        self.ann.publish("news", b"1")
        self.clock.advance(0)
        self.assertEqual(self.got, [])

    def test_send(self) -> None:
        """
        A payload reaches the node with that address.
        """
        self.bob.send("ann", b"1")
        self.bob.send("cat", b"2")
        self.clock.advance(0)
        self.assertEqual(self.got, [("to ann", b"1")])

    def test_lost(self) -> None:
        """
        A bus that is lost carries nothing, and has no subscriptions when it is back.
        """
        self.subscribe()
        self.bob.disconnect()
        self.ann.publish("news", b"1")
        self.bob.send("ann", b"2")
        late = self.bob.subscribe("late", self.fail)
        self.bob.reconnect()
        self.ann.publish("news", b"3")
        self.clock.advance(0)
        self.assertNoResult(late)
        self.assertEqual(self.got, [])
        self.assertEqual(self.changes, ["back", "lost", "back"])
