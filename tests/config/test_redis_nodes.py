"""
Tests for L{dstwist.config.redis_nodes}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.file import Reading
from dstwist.config.redis_nodes import RedisAddress, RedisNode, nodes_reader


class NodesTests(SynchronousTestCase):
    """
    Lists of servers.
    """

    def setUp(self) -> None:
        self.reading = Reading(".", {})

    def read(self, value: Any) -> Any:
        return nodes_reader(7)(value, "nodes", self.reading)

    def test_entries(self) -> None:
        """
        An entry is a section, an address or a URL; the port may be missing.
        """
        found = self.read([{"host": "a", "port": 1, "username": "u", "password": "p"}, "b:2", "c", "redis://:q@d", {}])
        self.assertEqual(
            (
                RedisNode(RedisAddress("a", 1), "u", "p"),
                RedisNode(RedisAddress("b", 2), None, None),
                RedisNode(RedisAddress("c", 7), None, None),
                RedisNode(RedisAddress("d", 7), None, "q"),
                RedisNode(RedisAddress("127.0.0.1", 7), None, None),
            ),
            found,
        )
        self.assertEqual((), self.read(None))

    def test_text(self) -> None:
        """
        An address is shown as it is written in a URL.
        """
        self.assertEqual(("a:1", "[::1]:2"), (str(RedisAddress("a", 1)), str(RedisAddress("::1", 2))))

    def test_problems(self) -> None:
        """
        Each wrong entry is told; options of a library are noted.
        """
        self.read([{"host": "a", "lazyConnect": True}, {"hots": "b"}, 5, {"port": 0}])
        self.assertEqual(1, len(self.reading.notes))
        self.assertEqual(
            ["nodes[1].hots", "nodes[2]", "nodes[3].port"], [problem.path for problem in self.reading.problems]
        )
