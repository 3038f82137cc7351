"""
Tests for L{dstwist.cluster.other_stores}. L{tests.cluster.test_joining} has nodes that start.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.other_stores import ANSWER_PAUSE
from dstwist.protocol.jsontext import dumps, loads
from tests.cluster.stage import Stage
from tests.logs import Lines


class OtherStoreTests(SynchronousTestCase):
    """
    The notices of a node, as another program on the bus sees them.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.stage = stage = Stage(self, 1)
        stage.start()
        self.node = stage.nodes[0].membership
        self.bus = stage.network.bus()
        self.bus.start()
        self.heard: list[Any] = []
        self.bus.subscribe("n", lambda payload: self.heard.append(loads(payload[16:])))
        stage.turn()

    def tell(self, *notice: Any) -> list[Any]:
        """
        What the node answers.
        """
        self.bus.publish("n", b"another sender!!" + dumps(notice))
        self.stage.turn()
        # The bus gives back what it has published.
        heard, self.heard = self.heard[1:], []
        return heard

    def test_other(self) -> None:
        """
        A node that asks, and has another store, is answered, and the log names it.
        """
        self.assertEqual(self.tell("1f", "eve#1", True), [[self.node.table.store, self.node.node, False]])
        self.assertIn("node eve#1 has another store than this node, and the same bus", self.lines.last("warn"))

    def test_same(self) -> None:
        """
        A node with the same store is not answered; nor is one that does not know its store, or does not ask.
        """
        for store, asks in ((self.node.table.store, True), ("", True), ("1f", False)):
            self.assertEqual(self.tell(store, "eve#1", asks), [])
        self.assertEqual(len(self.lines.of("warn")), 1)

    def test_pause(self) -> None:
        """
        However often nodes ask, few answers are sent; the last one that asks is answered as well.
        """
        answers = [self.tell("1f", f"eve#{number}", True) for number in range(5)]
        self.assertEqual([len(answer) for answer in answers], [1, 0, 0, 0, 0])
        self.stage.advance(ANSWER_PAUSE)
        self.assertEqual(len(self.heard), 1)
        self.stage.advance(1)
        self.assertEqual(len(self.heard), 1)
        self.heard.clear()
        self.assertEqual(len(self.tell("1f", "eve#1", True)), 1)

    def test_stop(self) -> None:
        """
        A node that stops answers no more.
        """
        self.tell("1f", "eve#1", True)
        self.tell("1f", "eve#1", True)
        self.stage.nodes[0]._stores.stop()
        self.stage.advance(1)
        self.assertEqual(self.heard, [])

    def test_asked_after_stop(self) -> None:
        """
        Nor does it if it is asked while it leaves the cluster.
        """
        self.stage.nodes[0]._stores.stop()
        self.assertEqual(self.tell("1f", "eve#1", True), [])

    def test_unreadable(self) -> None:
        """
        What is no notice is logged, and does no harm.
        """
        for notice in ([], ["1f", "eve#1"], ["1f", 1, True], [1, "eve#1", True], ["1f", "eve#1", 1]):
            self.assertEqual(self.tell(*notice), [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 5)
