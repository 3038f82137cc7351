"""
Tests for L{dstwist.store.redis_servers}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import StoreError
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.slots import slot_of
from dstwist.store.redis_layout import layout_of
from dstwist.store.redis_servers import NameScan, servers_of, together
from tests.store.recorder import RecordingRedis


class ServerTests(SynchronousTestCase):
    """
    The servers that have keys.
    """

    def test_one(self) -> None:
        """
        Without a Redis Cluster there is one.
        """
        self.assertEqual([b""], self.successResultOf(Deferred.fromCoroutine(servers_of(RecordingRedis(), False))))

    def test_cluster(self) -> None:
        """
        Each primary of a Redis Cluster has a key that it owns, however many ranges of slots it has.
        """
        a, b = [b"127.0.0.1", 1, b"x"], [b"127.0.0.1", 2, b"y"]
        redis = RecordingRedis({"CLUSTER SLOTS": [[0, 10, a], [11, 100, b, a], [101, 16383, a]]})
        found = self.successResultOf(Deferred.fromCoroutine(servers_of(redis, True)))
        self.assertEqual([0, 11], [slot_of(key) for key in found])

    def test_no_cluster(self) -> None:
        """
        A Redis Cluster that has no servers cannot be used.
        """
        redis = RecordingRedis({"CLUSTER SLOTS": []})
        self.failureResultOf(Deferred.fromCoroutine(servers_of(redis, True)), StoreError)


class TogetherTests(SynchronousTestCase):
    """
    Several calls at once.
    """

    def test_together(self) -> None:
        """
        All answers are waited for. The first failure is the failure of all, and no other failure is lost in the log.
        """
        self.assertEqual([1, 2], self.successResultOf(together([succeed(1), succeed(2)])))
        failed = together([succeed(1), fail(RedisReplyError("ERR a")), fail(RedisReplyError("ERR b"))])
        self.assertEqual("ERR a", str(self.failureResultOf(failed, RedisReplyError).value))


class ScanTests(SynchronousTestCase):
    """
    The names of all records.
    """

    def test_pages(self) -> None:
        """
        One server after the other is asked until it has no more names. Pages may be empty, and repeat keys.
        """
        redis = RecordingRedis(
            {
                "SCAN 0 MATCH *_v COUNT 2": [b"7", [b"a_v", b"b_v", b"a_v", b"\xff_v"]],
                "SCAN 7 MATCH *_v COUNT 2": [b"0", []],
            }
        )
        layout = layout_of("", False, False)
        scan: NameScan | None = NameScan([b"1", b"2"])
        pages = []
        while scan is not None:
            names, scan = self.successResultOf(Deferred.fromCoroutine(scan.next(redis, layout, 2)))
            pages.append(names)
        self.assertEqual([["a", "b"], [], ["a", "b"], []], pages)
