"""
Tests for L{dstwist.store.redis_refusals}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import ConnectionBroken, StoreError, StoreFull, StoreRefusal, StoreUnreachable
from dstwist.redis.errors import RedisReplyError
from dstwist.store.redis_refusals import NO_EFFECT, explained


class ExplainedTests(SynchronousTestCase):
    """
    Errors of Redis.
    """

    def test_kinds(self) -> None:
        """
        An error tells whether the operation had an effect.
        """
        for text, expected in (
            ("OOM command not allowed when used memory > 'maxmemory'.", StoreFull),
            ("READONLY You can't write against a read only replica.", StoreRefusal),
            ("TOOLARGE an answer has more than 1000 bytes (maxReplyBytes)", RedisReplyError),
            ("NOPERM this user has no permissions to run the 'set' command", RedisReplyError),
            ("ERR anything", RedisReplyError),
            *((f"{code} anything", StoreRefusal) for code in NO_EFFECT),
        ):
            found = explained(RedisReplyError(text))
            self.assertIs(expected, type(found), text)
            self.assertIsInstance(found, StoreError)
            self.assertIn(text, str(found))

    def test_others(self) -> None:
        """
        Errors of the connection stay as they are.
        """
        for error in (ConnectionBroken("a"), StoreUnreachable("b")):
            self.assertIs(error, explained(error))
