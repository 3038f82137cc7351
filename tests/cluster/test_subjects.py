"""
Tests for L{dstwist.cluster.subjects}.
"""

from __future__ import annotations

from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.node import ClusterNode
from dstwist.cluster.subjects import Subjects
from tests.cluster.stage import Stage


class SubjectsTests(SynchronousTestCase):
    """
    L{Subjects}.
    """

    def setUp(self) -> None:
        self.stage = Stage(self, 3)
        self.got: list[tuple[str, str, bytes]] = []
        self.late: list[str] = []
        self.events = [self.subjects(node, "e") for node in self.stage.nodes]
        self.records = [self.subjects(node, "r") for node in self.stage.nodes]
        self.stage.start()

    def subjects(self, node: ClusterNode, letter: str) -> Subjects:
        return node.subjects(letter, partial(self.take, node.name + letter), self.late.append)

    def take(self, where: str, name: str, payload: bytes) -> None:
        self.got.append((where, name, payload))

    def test_publish(self) -> None:
        """
        A payload reaches the other nodes that want the name, in the topic in which it was published.
        """
        for subjects in (*self.events[:2], *self.records):
            subjects.want("news")
        self.stage.turn()
        self.events[0].publish("news", b"1")
        self.events[2].publish("news", b"2")
        self.records[0].publish("old", b"3")
        self.stage.turn()
        self.assertEqual(sorted(self.got), [("anne", "news", b"2"), ("bobe", "news", b"1"), ("bobe", "news", b"2")])

    def test_want(self) -> None:
        """
        The Deferred fires when the subject is in force.
        """
        wanted = self.events[0].want("news")
        assert wanted is not None
        self.assertNoResult(wanted)
        self.stage.turn()
        self.successResultOf(wanted)
        self.events[0].unwant("news")
        self.assertIsNone(self.events[0].want("news"))

    def test_late(self) -> None:
        """
        The names under which payloads may have been missed are told when they are in force.
        """
        self.stage.bus(0).disconnect()
        self.assertIsNone(self.records[0].want("news"))
        self.assertEqual(self.late, [])
        self.stage.bus(0).reconnect()
        self.stage.advance(1.1)
        self.assertEqual(self.late, ["news"])

    def test_error(self) -> None:
        """
        A payload that cannot be handled is logged, and the next one is handled.
        """

        def fail(name: str, payload: bytes) -> None:
            self.got.append(("", name, payload))
            raise ValueError(payload)

        broken = self.stage.nodes[0].subjects("e", fail, self.late.append)
        broken.want("news")
        self.stage.turn()
        self.events[1].publish("news", b"1")
        self.events[1].publish("news", b"2")
        self.stage.turn()
        self.assertEqual([payload for _, _, payload in self.got], [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
