"""
Bans of users and addresses.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.bans import Bans, BanTable


class BanTests(SynchronousTestCase):
    """
    L{BanTable}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.table = BanTable(self.clock.seconds, most=2)

    def test_time(self) -> None:
        """
        A ban with a time ends with it; one without stays.
        """
        self.table.add("a", 10)
        self.table.add("b", None)
        self.clock.advance(9.5)
        self.assertEqual(self.table.left(), {"a": 0.5, "b": None})
        self.assertIn("a", self.table)
        self.clock.advance(0.5)
        self.assertNotIn("a", self.table)
        self.assertIn("b", self.table)
        self.assertEqual(self.table.left(), {"b": None})

    def test_any(self) -> None:
        """
        It is cheap to find that there is no ban.
        """
        self.assertFalse(self.table)
        self.table.add("a", None)
        self.assertTrue(self.table)
        self.table.discard("a")
        self.assertFalse(self.table)

    def test_end(self) -> None:
        """
        A ban can be ended, once.
        """
        self.table.add("a", None)
        self.assertEqual([self.table.discard("a"), self.table.discard("a"), "a" in self.table], [True, False, False])

    def test_anew(self) -> None:
        """
        A new ban replaces an earlier one.
        """
        self.table.add("a", None)
        self.table.add("a", 5)
        self.assertEqual(self.table.left(), {"a": 5})

    def test_most(self) -> None:
        """
        There is a limit; bans that are over make room.
        """
        self.table.add("a", 5)
        self.table.add("b", 10)
        self.assertEqual([self.table.add("c", 5), self.table.add("b", 20)], [False, True])
        self.clock.advance(5)
        self.assertTrue(self.table.add("c", 5))
        self.assertEqual(set(self.table.left()), {"b", "c"})

    def test_reasons(self) -> None:
        """
        A refusal says that there is a ban.
        """
        bans = Bans(self.clock.seconds)
        bans.users.add("ann", None)
        bans.addresses.add("192.0.2.1", None)
        self.assertEqual([bans.check_user("bob"), bans.check_address("192.0.2.2")], [None, None])
        user, address = bans.check_user("ann"), bans.check_address("192.0.2.1")
        assert user is not None and address is not None
        self.assertEqual((user.text, address.text), ("This user is banned.", "This address is banned."))
