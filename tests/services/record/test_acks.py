"""
Acknowledgements of writes.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT, Dialect
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record.acks import ACK_DELAY_SECONDS, MAX_HELD_ACKS, MAX_HELD_ACKS_EACH, Acknowledgements
from dstwist.services.record.replicas import Replicas
from tests.fakes import FakeConnection
from tests.services.record.stage import update, wanting_ack


class AcknowledgementTests(SynchronousTestCase):
    """
    L{Acknowledgements}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.subscriptions = SubscriptionRegistry(Topic.RECORD)
        self.replicas = Replicas(RecordSettings(), self.clock, lambda name, connection: None)
        self.acks = Acknowledgements(self.subscriptions, self.replicas, self.clock)

    def client(self, *names: str, dialect: Dialect = TEXT) -> FakeConnection:
        client = FakeConnection(dialect=dialect)
        for name in names:
            self.subscriptions.add(name, client)
        return client

    def write(self, name: str = "a", version: int = 2) -> Message:
        return wanting_ack(update(name, version, {}))

    def outcomes(self, client: FakeConnection) -> list[tuple[int | None, str | None]]:
        return [(message.version, message.detail) for message in client.take()]

    def test_held(self) -> None:
        """
        A text client that holds the record is told a moment later, in order.
        """
        old = self.client("a", "b")
        self.acks.accepted("a", self.write(), old)
        self.clock.advance(ACK_DELAY_SECONDS / 2)
        self.acks.refused("b", self.write("b", 7), old, "MESSAGE_DENIED")
        self.assertEqual(self.outcomes(old), [])
        self.clock.advance(ACK_DELAY_SECONDS / 2)
        self.assertEqual(self.outcomes(old), [(2, None)])
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual(self.outcomes(old), [(7, "MESSAGE_DENIED")])
        self.assertEqual((len(self.acks), self.clock.getDelayedCalls()), (0, []))

    def test_at_once(self) -> None:
        """
        All others are told at once: clients of v4 and later, whose refusals are in the error alone, clients that hold
        nothing, and those that have to hear it before the next message.
        """
        young, none, old = self.client("a", dialect=PROTOBUF), self.client(), self.client("a")
        self.acks.accepted("a", self.write(), young)
        self.acks.refused("a", self.write(), young, "MESSAGE_DENIED")
        self.acks.accepted("a", self.write(), none)
        self.acks.accepted("a", self.write(version=-1), old)
        self.acks.refused("a", self.write(), old, "why", before=True)
        self.acks.refused("a", update("a", 2, {}), old, "nobody asked")
        self.assertEqual(
            [self.outcomes(client) for client in (young, none, old)],
            [[(None, None)], [(2, None)], [(-1, None), (2, "why")]],
        )

    def test_let_go(self) -> None:
        """
        A client that has let go of the record meanwhile, or is about to, is told nothing.
        """
        old = self.client("a", "b", "c")
        for name in "abc":
            self.acks.accepted(name, self.write(name), old)
        self.subscriptions.discard("a", old)
        served = self.replicas.leaves("b", old)
        self.acks.refused("b", self.write("b", 3), old, "why", before=True)
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual(len(old.take()), 1)
        self.acks.accepted("b", self.write("b", 3), old)
        again = self.replicas.leaves("b", old)
        served()
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual(old.take(), [])
        again()
        self.acks.accepted("b", self.write("b", 4), old)
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual(self.outcomes(old), [(4, None)])
        self.assertFalse(self.replicas.is_leaving("b", old, 4))

    def test_settled(self) -> None:
        """
        When the record is deleted, clients that still hold it are told at once; the client that deleted it is told
        nothing.
        """
        old, deleter = self.client("a", "b"), self.client("a")
        self.acks.deleted("a")
        for name, client in (("a", old), ("b", old), ("a", deleter)):
            self.acks.accepted(name, self.write(name), client)
        self.acks.deleted("c")
        self.assertEqual((self.outcomes(old), len(self.acks)), ([], 3))
        self.acks.deleted("a", deleter)
        self.assertEqual((self.outcomes(old), self.outcomes(deleter)), ([(2, None)], []))
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual((self.outcomes(old), self.outcomes(deleter)), ([(2, None)], []))
        self.assertEqual((len(self.acks), self.clock.getDelayedCalls()), (0, []))
        self.acks.accepted("a", self.write(), old)
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual(self.outcomes(old), [(2, None)])

    def test_too_many(self) -> None:
        """
        If there are too many, the oldest is sent at once.
        """
        clients = [self.client("a") for _ in range(MAX_HELD_ACKS // 10 + 2)]
        for client in clients:
            for version in range(10):
                self.acks.accepted("a", self.write(version=version), client)
        heard = [len(client.take()) for client in clients]
        self.assertEqual((heard[:3], sum(heard), len(self.acks)), ([10, 10, 0], 20, MAX_HELD_ACKS))
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual([len(client.take()) for client in clients], [0, 0] + [10] * (len(clients) - 2))

    def test_share(self) -> None:
        """
        A client that has too many of them is sent further ones at once; those of other clients are held.
        """
        greedy, old = self.client("a"), self.client("a")
        self.acks.accepted("a", self.write(), old)
        for version in range(MAX_HELD_ACKS + 1):
            self.acks.accepted("a", self.write(version=version), greedy)
        heard = self.outcomes(greedy)
        self.assertEqual((heard[0], len(heard)), ((MAX_HELD_ACKS_EACH, None), MAX_HELD_ACKS + 1 - MAX_HELD_ACKS_EACH))
        self.assertEqual(self.outcomes(old), [])
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual((len(self.outcomes(old)), len(self.outcomes(greedy))), (1, MAX_HELD_ACKS_EACH))

    def test_revoked(self) -> None:
        """
        A client whose subscription ends by new rules is told at once, unless it has let go of the record itself.
        """
        ann, bob = self.client("a", "b", "c"), self.client("a")
        for name in "abc":
            self.acks.accepted(name, self.write(name), ann)
        self.acks.accepted("a", self.write("a", 3), bob)
        self.acks.accepted("a", self.write("a", 4), ann)
        served = self.replicas.leaves("c", ann)
        for name in "ac":
            self.subscriptions.discard(name, ann)
            self.acks.revoked(name, ann)
        self.acks.revoked("d", ann)
        self.assertEqual((self.outcomes(ann), self.outcomes(bob)), ([(2, None), (4, None)], []))
        served()
        self.clock.advance(ACK_DELAY_SECONDS)
        self.assertEqual((self.outcomes(ann), self.outcomes(bob)), ([(2, None)], [(3, None)]))
        self.assertEqual((len(self.acks), self.clock.getDelayedCalls()), (0, []))

    def test_stop(self) -> None:
        """
        A server that stops tells all of it, and has no timer left.
        """
        old = self.client("a")
        self.acks.accepted("a", self.write(), old)
        self.acks.stop()
        self.assertEqual(self.outcomes(old), [(2, None)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
