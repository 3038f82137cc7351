"""
Tests for L{dstwist.redis.slots}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis_nodes import RedisAddress
from dstwist.redis.errors import InvalidAnswer
from dstwist.redis.slots import read_address, read_slots, slot_of

OK = b"cluster_enabled:1\r\ncluster_state:ok\r\n"


class SlotTests(SynchronousTestCase):
    """
    The slot of a key.
    """

    def test_known(self) -> None:
        """
        The slots are those that C{CLUSTER KEYSLOT} of Redis 7.0 says.
        """
        for key, slot in (
            ("123456789", 12739),
            ("foo", 12182),
            (b"foo", 12182),
            ("{foo}bar", 12182),
            ("x{foo}_v", 12182),
            ("foo{}{bar}", 8363),
            ("{}foo", 9500),
            ("foo{{bar}}zap", 4015),
            ("foo{bar}{zap}", 5061),
            ("\xe4", 13929),
            ("{a", 10276),
            (12, 8373),
        ):
            self.assertEqual(slot_of(key), slot, key)


class MapTests(SynchronousTestCase):
    """
    The answers of a node about the others.
    """

    def test_ranges(self) -> None:
        """
        Each range has its first and last slot and its primary; replicas and more facts do not matter.
        """
        found = read_slots(
            [
                [0, 99, [b"10.0.0.1", 7000, b"id", []], [b"10.0.0.2", 7000, b"id", []]],
                [100, 16383, [b"10.0.0.3", 7001]],
            ],
            OK,
            "host",
        )
        self.assertEqual(
            found.ranges, [(0, 99, RedisAddress("10.0.0.1", 7000)), (100, 16383, RedisAddress("10.0.0.3", 7001))]
        )
        self.assertTrue(found.works)

    def test_unknown_host(self) -> None:
        """
        A node that does not know its host means the one that was asked.
        """
        for unknown in (None, b"", b"?"):
            found = read_slots([[0, 9, [unknown, 7000]]], OK, "host")
            self.assertEqual(found.ranges[0].address, RedisAddress("host", 7000))

    def test_does_not_work(self) -> None:
        """
        A node says whether its cluster works.
        """
        self.assertFalse(read_slots([], b"cluster_state:fail\r\n", "host").works)

    def test_nonsense(self) -> None:
        """
        Other answers are no map.
        """
        answers: tuple[Any, ...] = (None, 5, b"x", [5], [[1, 2]], [[1, 2, 3]])
        for answer in answers:
            self.assertRaises(InvalidAnswer, read_slots, answer, OK, "host")

    def test_redirections(self) -> None:
        """
        The address in a redirection.
        """
        self.assertEqual(read_address("MOVED 3999 127.0.0.1:6381", "host"), RedisAddress("127.0.0.1", 6381))
        self.assertEqual(read_address("ASK 3999 ::1:6381", "host"), RedisAddress("::1", 6381))
        self.assertEqual(read_address("MOVED 3999 redis.example:6381", "host"), RedisAddress("redis.example", 6381))
        self.assertEqual(read_address("MOVED 3999 :6381", "host"), RedisAddress("host", 6381))
        self.assertEqual(read_address("MOVED 3999 ?:6381", "host"), RedisAddress("host", 6381))
        self.assertIsNone(read_address("MOVED", "host"))
