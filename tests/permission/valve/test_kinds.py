"""
Tests for L{dstwist.permission.valve.kinds}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.kinds import key_of, kinds_of
from dstwist.permission.valve.parser import parse
from dstwist.permission.valve.tree import Chain


class KindTests(SynchronousTestCase):
    """
    L{kinds_of}.
    """

    def kinds(self, text: str) -> str | None:
        found = kinds_of(parse(text), {"$id": 0})
        return None if found is None else " ".join(sorted(found))

    def test_known(self) -> None:
        """
        The kinds of values that an expression can have, whatever the data is.
        """
        for text, kinds in (
            ("'a'", "text"),
            ("5", "number"),
            ("true", "boolean"),
            ("null", "nothing"),
            ("`a${data}`", "text"),
            ("[1]", "new"),
            ("/a/", "new"),
            ("$id", "nothing text"),
            ("now", "number"),
            ("action", "number text"),
            ("user.id", "nothing text"),
            ("user['isAuthenticated']", "boolean"),
            ("data.a.startsWith('x')", "boolean"),
            ("data?.a.trim()", "nothing text"),
            ("!data", "boolean"),
            ("-data", "number"),
            ("data > 1", "boolean"),
            ("data * 2", "number"),
            ("data + 1", "number text"),
            ("data ? 1 : 'a'", "number text"),
            ("data, 5", "number"),
        ):
            self.assertEqual(self.kinds(text), kinds, text)

    def test_open(self) -> None:
        """
        The kind of data is open, and so is every value that may be data.
        """
        for text in (
            "data",
            "user.data",
            "oldData.a",
            "data || 5",
            "data ? data : 1",
            "_('a')",
            "$other",
            "user[name]",
        ):
            self.assertIsNone(self.kinds(text), text)

    def test_key(self) -> None:
        """
        A constant in brackets names a member like the name behind a point.
        """
        for text, key in (("user.id", "id"), ("user['id']", "id"), ("user[name]", None), ("user[5]", None)):
            tree = parse(text)
            assert isinstance(tree, Chain)
            self.assertEqual(key_of(tree.links[0]), key, text)
