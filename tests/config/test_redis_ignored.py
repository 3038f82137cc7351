"""
Tests for L{dstwist.config.redis_ignored}.
"""

from __future__ import annotations

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.fields import key_of
from dstwist.config.redis import RedisSettings
from dstwist.config.redis_ignored import IGNORED, RENAMED, ignored, renamed


class IgnoredTests(SynchronousTestCase):
    """
    Options of ioredis and node_redis.
    """

    def test_no_option(self) -> None:
        """
        No option that has an effect is among those without.
        """
        known = {key_of(field) for field in fields(RedisSettings) if "read" in field.metadata}
        self.assertEqual(set(), known & set(IGNORED))
        self.assertEqual(set(), known & set(RENAMED))
        self.assertEqual(set(), set(RENAMED.values()) - known)

    def test_look_up(self) -> None:
        """
        Each has its reason; others have none, and keep their names.
        """
        self.assertEqual("the connection is made at the start", ignored("lazyConnect"))
        self.assertIsNone(ignored("host"))
        self.assertEqual(("prefix", "host"), (renamed("keyPrefix"), renamed("host")))
