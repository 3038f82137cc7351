"""
Tests for L{dstwist.redis.errors}.
"""

from __future__ import annotations

from twisted.internet.address import HostnameAddress
from twisted.internet.error import ConnectingCancelledError, ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from dstwist.redis.errors import TOO_LARGE, RedisReplyError, reason_of


class CodeTests(SynchronousTestCase):
    """
    The code of an error.
    """

    def test_first_word(self) -> None:
        """
        The first word of the answer is the code.
        """
        self.assertEqual(RedisReplyError("READONLY You can't write").code, "READONLY")

    def test_in_script(self) -> None:
        """
        Redis 6 says in the middle of its text why a command of a script was refused.
        """
        text = "ERR Error running script (call to f_1a2b): @user_script:1: @user_script: 1: -OOM command not allowed"
        self.assertEqual(RedisReplyError(text).code, "OOM")
        self.assertEqual(RedisReplyError("OOM command not allowed. script: 1a2b, on @user_script:1.").code, "OOM")


class ReasonTests(SynchronousTestCase):
    """
    The reason why a connection has ended.
    """

    def test_no_full_stop(self) -> None:
        """
        The reason can stand inside a sentence.
        """
        self.assertEqual(reason_of(ConnectionDone()), "Connection was closed cleanly")

    def test_too_late(self) -> None:
        """
        An attempt that was ended because it took too long has had no answer. The text of that error is an address.
        """
        ended = ConnectingCancelledError(HostnameAddress(b"redis.example", 6379))
        self.assertEqual(reason_of(ended), "it did not answer in time")


class RefusedTests(SynchronousTestCase):
    """
    Whether a call that failed may have had an effect.
    """

    def test_refused(self) -> None:
        """
        Redis checks these conditions before a script begins.
        """
        for code in ("NOSCRIPT", "MOVED", "OOM", "READONLY"):
            self.assertTrue(RedisReplyError(f"{code} anything").refused, code)

    def test_doubtful(self) -> None:
        """
        An answer that is too large may be that of a script that has written. A script may fail after a write.
        """
        for code in (TOO_LARGE, "ERR", "NOPERM", "WRONGTYPE"):
            self.assertFalse(RedisReplyError(f"{code} anything").refused, code)
