"""
Who is logged in, and through which connections.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.connections.users import UserRegistry
from dstwist.protocol.constants import OPEN_USER, UNNAMED_USER
from tests.fakes import FakeConnection


class UserRegistryTests(SynchronousTestCase):
    """
    L{UserRegistry}, with C{services.md} section 6.1 beside it.
    """

    def setUp(self) -> None:
        self.users = UserRegistry()
        self.seen: list[tuple[str, str]] = []
        self.users.observe(
            lambda user: self.seen.append(("first", user)), lambda user: self.seen.append(("last", user))
        )

    def log_in(self, user: str) -> FakeConnection:
        connection = FakeConnection(user)
        self.users.add(connection)
        return connection

    def test_several_connections(self) -> None:
        """
        A user with several connections came with the first of them and is gone with the last.
        """
        one, two = self.log_in("ann"), self.log_in("ann")
        self.assertEqual(self.users.connections("ann"), [one, two])
        self.assertEqual((self.users.count("ann"), self.users.count("bob")), (2, 0))
        self.users.remove(one)
        self.assertEqual(self.seen, [("first", "ann")])
        self.assertIn("ann", self.users)
        self.users.remove(two)
        self.assertEqual(self.seen, [("first", "ann"), ("last", "ann")])
        self.assertNotIn("ann", self.users)
        self.assertEqual(self.users.connections("ann"), [])

    def test_one_stays(self) -> None:
        """
        Connections of a user may end in any order, and more of them may come.
        """
        one, two, three = (self.log_in("ann") for _ in range(3))
        self.users.remove(one)
        self.users.remove(three)
        self.assertEqual((self.users.connections("ann"), self.users.count("ann")), ([two], 1))
        four = self.log_in("ann")
        self.users.remove(two)
        self.assertEqual((self.users.connections("ann"), self.seen), ([four], [("first", "ann")]))

    def test_names(self) -> None:
        """
        The users are listed in the order in which they came, each once.
        """
        for user in ("bob", "ann", "bob"):
            self.log_in(user)
        self.assertEqual(list(self.users.names()), ["bob", "ann"])

    def test_back_again(self) -> None:
        """
        A user who comes back is told as one who comes.
        """
        self.users.remove(self.log_in("ann"))
        self.log_in("ann")
        self.assertEqual(self.seen, [("first", "ann"), ("last", "ann"), ("first", "ann")])

    def test_w60_unnamed(self) -> None:
        """
        W60: connections without a user id, and those that gave no name to the open authentication, are nobody's: not
        one user called "OPEN" or "open", however often they come.
        """
        self.assertEqual((UNNAMED_USER, OPEN_USER), ("OPEN", "open"))
        for nameless in (UNNAMED_USER, OPEN_USER):
            self.users.remove(self.log_in(nameless))
            self.log_in(nameless)
            self.assertEqual(self.users.connections(nameless), [])
        self.assertEqual(self.seen, [])

    def test_connections(self) -> None:
        """
        Observers of connections are told of each connection, with the name of a user or without.
        """
        seen: list[tuple[str, object]] = []
        self.users.observe_connections(
            lambda connection: seen.append(("login", connection)), lambda connection: seen.append(("end", connection))
        )
        one, two, nameless = self.log_in("ann"), self.log_in("ann"), self.log_in(OPEN_USER)
        for connection in (two, nameless, one):
            self.users.remove(connection)
        self.assertEqual(
            seen,
            [("login", one), ("login", two), ("login", nameless), ("end", two), ("end", nameless), ("end", one)],
        )
