"""
Tests for L{dstwist.redis.scripts}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.redis.scripts import Script


class ScriptTests(SynchronousTestCase):
    """
    A script.
    """

    def test_digest(self) -> None:
        """
        Redis knows a script by the SHA-1 of its text.
        """
        self.assertEqual(Script("one", "return 1").sha, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")

    def test_load(self) -> None:
        """
        A script is loaded from the folder of its package.
        """
        script = Script.load("dstwist.store", "table_renew")
        self.assertEqual(script.name, "table_renew")
        self.assertIn("HGETALL", script.text)
