"""
Tests for L{dstwist.services.record.nodes}.
"""

from __future__ import annotations

from tests.services.record.nodes_stage import NodesTestCase
from tests.services.record.stage import A, ask, patch, read_response, update, wanting_ack, written


class NewsTests(NodesTestCase):
    """
    Clients of one node hear what clients of another one do.
    """

    def setUp(self) -> None:
        self.serve()
        self.have("a", 5, {"x": 5})

    def test_written(self) -> None:
        """
        A write on one node reaches the subscribers of the other.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        self.assertEqual(self.here.say(ann, wanting_ack(update("a", 6, {"x": 6}))), [written("a")])
        self.turn()
        self.assertEqual(bob.take(), [update("a", 6, {"x": 6})])
        self.there.say(bob, patch("a", 7, "x", 7))
        self.turn()
        self.assertEqual((ann.take(), bob.take()), ([patch("a", 7, "x", 7)], []))
        self.assert_kept("a", 7, {"x": 7})

    def test_erased(self) -> None:
        """
        So does the end of a path.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        erase = ask(A.ERASE, "a", version=6, path="x")
        self.here.say(ann, erase)
        self.turn()
        self.assertEqual(bob.take(), [ask(A.PATCH, "a", version=6, path="x")])

    def test_deleted(self) -> None:
        """
        A deletion ends the subscriptions on all nodes.
        """
        ann, bob = self.here.young("a"), self.there.young("a")
        self.assertEqual(self.here.say(ann, ask(A.DELETE, "a")), [ask(A.DELETE_SUCCESS, "a")])
        self.turn()
        self.assertEqual(bob.take(), [ask(A.DELETED, "a")])
        self.assertNotIn("a", self.there.subscriptions)

    def test_created(self) -> None:
        """
        Clients that are subscribed to a record that does not exist hear of its creation, and then of writes.
        """
        bob = self.there.young("b")
        ann = self.here.young()
        self.here.say(ann, ask(A.SUBSCRIBECREATEANDREAD, names=("b",), correlation_id="1"))
        self.turn()
        self.assertEqual(ann.take()[-1], read_response("b", 0, {}))
        self.here.say(ann, patch("b", 1, "x", 1))
        self.turn()
        self.assertEqual(bob.take(), [update("b", 0, {}), patch("b", 1, "x", 1)])
