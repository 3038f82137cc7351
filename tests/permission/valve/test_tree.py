"""
Tests for L{dstwist.permission.valve.tree}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.compiler import nodes_of
from dstwist.permission.valve.parser import parse
from dstwist.permission.valve.tree import Name


class NodeTests(SynchronousTestCase):
    """
    Nodes and their parts.
    """

    def test_parts(self) -> None:
        """
        Every name in a rule is found through the parts of its nodes, in whatever construct it is.
        """
        for text in (
            "a && b || c",
            "a + b - c",
            "a ? b : c",
            "`${a}${b}${c}`",
            "[a, b, c]",
            "{[a]: b, d: c}",
            "{a, b, d: c}",
            "a[b].trim(c)",
            "a?.[b]?.startsWith(c)",
            "_(a + b, c)",
            "!a, -b, typeof c",
            "a in b instanceof c",
        ):
            names = {node.name for node in nodes_of(parse(text)) if isinstance(node, Name)}
            self.assertEqual(names, {"a", "b", "c"}, text)

    def test_depth(self) -> None:
        """
        Operands in a row do not make a tree deeper; nesting does.
        """
        for text, depth in (
            ("a", 1),
            ("a && b && c && d", 2),
            ("a + b - c + d", 2),
            ("a.b.c.d", 2),
            ("a && (b || (c && d))", 4),
            ("[[[a]]]", 4),
        ):
            self.assertEqual(parse(text).depth, depth, text)
