"""
Tests for L{dstwist.store.redis_cache}, with a real Redis server.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dstwist.errors import StoreError, StoreFull
from dstwist.record import Record
from dstwist.store.redis_cache import Claim, RedisCache
from dstwist.store.redis_connection import connect
from tests.store.redis_stage import RedisTestCase

OLD, NEW = Record(1, {"a": 1}), Record(2, {"a": 2})


class TokenTests(RedisTestCase):
    """
    Two servers fill one cache.
    """

    def setUp(self) -> None:
        super().setUp()
        self.ann, self.bob = self.started(self.make_cache()), self.started(self.make_cache())

    def make_cache(self, token_lifetime: float = 60) -> RedisCache:
        settings = self.settings()
        return RedisCache(connect(settings, self.reactor), settings, self.reactor, token_lifetime, arbiter=False)

    def do(self, coroutine: Any) -> Any:
        return self.result(Deferred.fromCoroutine(coroutine))

    def test_write(self) -> None:
        """
        A writer takes the record out before its write, and puts the new one afterwards.
        """
        self.result(self.ann.write("a", OLD))
        token = self.do(self.ann.take("a"))
        self.assertIsNone(self.result(self.bob.get("a")))
        self.assertTrue(self.do(self.ann.put("a", token, NEW)))
        self.assertEqual(NEW, self.result(self.bob.get("a")))
        # The token has served.
        self.assertFalse(self.do(self.ann.promote("a", token, OLD)))

    def test_two_writers(self) -> None:
        """
        Only the later of two writers may fill in its record. The earlier one leaves nothing behind.
        """
        earlier = self.do(self.ann.take("a"))
        later = self.do(self.bob.take("a"))
        self.assertFalse(self.do(self.ann.put("a", earlier, OLD)))
        # The earlier writer has ended the token: the cache cannot know which of the two the storage has.
        self.assertFalse(self.do(self.bob.put("a", later, NEW)))
        self.assertIsNone(self.result(self.bob.get("a")))

    def test_reader(self) -> None:
        """
        A reader that finds nothing may fill in what the storage has, unless another one does already.
        """
        claim = self.do(self.ann.claim("a"))
        self.assertIsNone(claim.record)
        self.assertEqual(Claim(None, None), self.do(self.bob.claim("a")))
        self.assertTrue(self.do(self.ann.promote("a", claim.token, OLD)))
        self.assertEqual(Claim(OLD, None), self.do(self.bob.claim("a")))

    def test_slow_reader(self) -> None:
        """
        A reader does not fill in a record that was written meanwhile.
        """
        for write in (self.bob.take, self.bob.drop):
            claim = self.do(self.ann.claim("a"))
            self.do(write("a"))
            self.assertFalse(self.do(self.ann.promote("a", claim.token, OLD)))
            self.assertIsNone(self.result(self.ann.get("a")))
            self.do(self.bob.drop("a"))

    def test_reader_during_write(self) -> None:
        """
        While a writer has the token, a reader gets none.
        """
        token = self.do(self.ann.take("a"))
        self.assertEqual(Claim(None, None), self.do(self.bob.claim("a")))
        self.assertTrue(self.do(self.ann.put("a", token, NEW)))

    def test_drop(self) -> None:
        """
        A drop leaves nothing, and no token.
        """
        self.result(self.ann.write("a", OLD))
        token = self.do(self.ann.take("a"))
        self.do(self.bob.drop("a"))
        self.assertFalse(self.do(self.ann.put("a", token, NEW)))
        self.assertEqual({"!store"}, set(self.server.contents()))

    def test_token_expires(self) -> None:
        """
        A token expires, so that a server that ended leaves none for ever.
        """
        self.do(self.ann.take("a"))
        (key,) = set(self.server.contents()) - {"!store"}
        self.assertLessEqual(self.server.command("PTTL", key), 60_000)
        self.assertGreater(self.server.command("PTTL", key), 0)

    def test_other_keys(self) -> None:
        """
        Keys that are no records are not touched.
        """
        self.server.command("RPUSH", "a_d", "x")
        for coroutine in (self.ann.take("a"), self.ann.drop("a"), self.ann.claim("a"), self.ann.put("a", "t", NEW)):
            self.assertIn("WRONGTYPE", self.failure(Deferred.fromCoroutine(coroutine)))
        self.assertEqual([b"x"], self.server.command("LRANGE", "a_d", 0, -1))

    def test_full(self) -> None:
        """
        A full Redis takes no record, but a writer can still take an old one out.
        """
        self.result(self.ann.write("a", OLD))
        self.addCleanup(self.server.command, "CONFIG", "SET", "maxmemory", "0")
        self.server.command("CONFIG", "SET", "maxmemory", "1")
        token = self.do(self.ann.take("a"))
        put = Deferred.fromCoroutine(self.ann.put("a", token, NEW))
        self._wait(put)
        self.failureResultOf(put, StoreFull)
        self.do(self.ann.drop("a"))
        self.assertIsNone(self.result(self.ann.get("a")))

    def test_names(self) -> None:
        """
        A name that cannot be stored fails.
        """
        failed = Deferred.fromCoroutine(self.ann.take("no\ud800name"))
        self.failureResultOf(failed, StoreError)


class LegacyTokenTests(TokenTests):
    """
    The same with one key for each record.
    """

    options = {"legacy_layout": True}

    def test_drop(self) -> None:
        """
        A drop leaves nothing, and no token.
        """
        self.do(self.ann.take("a"))
        self.do(self.bob.drop("a"))
        self.assertEqual({"!dstwist/store"}, set(self.server.contents()))

    def test_token_expires(self) -> None:
        """
        A token is a key that no record can have.
        """
        self.do(self.ann.take("a"))
        self.assertIn("!dstwist/k/a", self.server.contents())

    def test_other_keys(self) -> None:
        """
        Keys that are no records are not touched.
        """
        self.server.command("RPUSH", "a", "x")
        for coroutine in (self.ann.take("a"), self.ann.drop("a"), self.ann.claim("a"), self.ann.put("a", "t", NEW)):
            self.assertIn("WRONGTYPE", self.failure(Deferred.fromCoroutine(coroutine)))


class ForgetfulTests(TokenTests):
    """
    Two keys for each record, of which Redis may forget one.
    """

    def test_half_forgotten(self) -> None:
        """
        A record of which Redis has forgotten one key is none.
        """
        self.result(self.ann.write("a", OLD))
        for key in ("a_d", "a_v"):
            self.server.command("DEL", key)
            self.assertIsNone(self.result(self.ann.get("a")))
            self.assertIsNotNone(self.do(self.ann.claim("a")).token)
            self.do(self.ann.drop("a"))
            self.result(self.ann.write("a", OLD))
