"""
Tests for L{dstwist.services.record.node_news}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.record_news import UNKNOWN, Change, News
from dstwist.services.record import node_news
from tests.services.record.stage import A, ask, patch, update


class NodeNewsTests(SynchronousTestCase):
    """
    L{node_news}.
    """

    def test_written(self) -> None:
        """
        The receiver gets the message that subscribers are sent. Typed values of text clients become JSON.
        """
        erased = ask(A.PATCH, "a", version=2, path="x")
        typed = ask(A.PATCH, "a", "Sx", version=2, path="x")
        for message, received in (
            (update("a", 2, {"x": "line\nbreak"}), None),
            (update("a", 2, []), None),
            (patch("a", 2, "x.y[1]", None), None),
            (erased, None),
            (typed, patch("a", 2, "x", "x")),
        ):
            news = node_news.decode("a", node_news.written(message, 2))
            self.assertEqual(news, News("a", Change.WRITTEN, 2, received or message))

    def test_look(self) -> None:
        """
        Of large news, and of that of several paths, the receiver gets the version only.
        """
        large = update("a", 2, {"x": "x" * node_news.MAX_DATA_LENGTH})
        many = ask(A.PATCH_MULTI, "a", b'[{"path":"x"}]', version=2)
        for message in (large, many):
            self.assertEqual(node_news.decode("a", node_news.written(message, 2)), News("a", Change.LOOK, 2))
        self.assertEqual(node_news.decode("a", node_news.look()), News("a", Change.LOOK, UNKNOWN))

    def test_deleted(self) -> None:
        """
        A deletion has the version that was deleted, or that of a missing record.
        """
        for version in (7, -1):
            news = node_news.decode("a", node_news.deleted(version))
            self.assertEqual(news, News("a", Change.DELETED, version, ask(A.DELETED, "a")))

    def test_malformed(self) -> None:
        """
        Anything else is refused.
        """
        for payload in (
            b"",
            b"x",
            b"{}",
            b"[]",
            b'[2,"l",1,null]',
            b'[1,"l",1]',
            b'[1,"l",-3,null]',
            b'[1,"l",true,null]',
            b'[1,"l","1",null]',
            b'[1,"d",-2,null]',
            b'[1,"x",1,null]',
            b'[1,"u",1,null]',
            b'[1,"u",-1,null]\n{}',
            b'[1,"u",1,"x"]\n{}',
            b'[1,"u",1,null]\n1',
            b'[1,"u",1,null]\n{',
            b'[1,"p",1,null]\n1',
            b'[1,"p",1,1]\n1',
            b'[1,"p",1,""]\n1',
            b'[1,"p",1,"__proto__"]\n1',
            b'[1,"p",1,"x"]\n',
            b'[1,"p",1,"x"]\n1 2',
            b'[1,"p",1,"x"]\n\xff',
        ):
            with self.assertRaises(ValueError, msg=payload):
                node_news.decode("a", payload)
