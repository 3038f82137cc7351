"""
The users of users.yml.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from dstwist.auth.file import FileAuthentication
from dstwist.auth.hashing import Passwords, hash_pbkdf2
from dstwist.config.users import FileSettings, User
from dstwist.errors import AuthError
from dstwist.interfaces import IAuthenticator, ILifecycle, Login
from tests.auth.helpers import HANDSHAKE, AuthCase, DirectPool

HASHED = {"hash": "md5", "iterations": 10, "key_length": 16}
MISSING = {"error": "missing authentication parameter: username or/and password"}


def hashed(password: str) -> str:
    return hash_pbkdf2(password, "md5", 10, 16)


class CountingPasswords(Passwords):
    """
    Remembers what it was to compare with.
    """

    def __init__(self, settings: FileSettings) -> None:
        super().__init__(settings)
        self.compared: list[str] = []

    def matches(self, password: str, stored: str) -> bool:
        self.compared.append(stored)
        return super().matches(password, stored)


class FileCase(AuthCase):
    """
    Some users, in clear or hashed.
    """

    def setUp(self) -> None:
        self.users = {
            "ann": User(hashed("secret"), {"colour": "red"}, {"role": "admin"}),
            "bob": User(hashed("hidden")),
        }
        self.make(users=self.users, **HASHED)

    def make(self, **settings: Any) -> None:
        self.settings = FileSettings(**settings)
        self.pool = DirectPool()
        self.passwords = CountingPasswords(self.settings)
        self.authenticator = FileAuthentication(self.settings, self.pool, self.passwords)  # type: ignore[arg-type]


class FileAuthenticationTests(FileCase):
    """
    L{FileAuthentication}.
    """

    def test_interface(self) -> None:
        """
        L{FileAuthentication} provides L{IAuthenticator} and L{ILifecycle}; its life is that of its threads.
        """
        verifyObject(IAuthenticator, self.authenticator)
        verifyObject(ILifecycle, self.authenticator)
        self.successResultOf(self.authenticator.start())
        self.successResultOf(self.authenticator.stop())
        self.assertEqual(self.pool.calls, ["start", "stop"])

    def test_accepted(self) -> None:
        """
        With the right password a user is accepted, with what the file has for the client and for the rules.
        """
        login = self.login(username="ann", password="secret")
        self.assertEqual(login, Login(True, "ann", b'{"colour":"red"}', {"role": "admin"}))

    def test_no_data(self) -> None:
        """
        A user without data has null for the client, as in the Node server.
        """
        self.assertEqual(self.login(username="bob", password="hidden"), Login(True, "bob", b"null"))

    def test_wrong_password(self) -> None:
        """
        With a wrong password a user is refused without data; or, if not reported, left to the next authenticator.
        """
        self.assertEqual(self.login(username="ann", password="hidden"), Login(False))
        self.make(users=self.users, report_invalid_parameters=False, **HASHED)
        self.assertEqual(self.login(username="ann", password="hidden"), Login(False, final=False))

    def test_unknown(self) -> None:
        """
        An unknown user is always left to the next authenticator.
        """
        self.assertEqual(self.login(username="cat", password="secret"), Login(False, final=False))

    def test_missing(self) -> None:
        """
        Names and passwords that are no texts are refused with a reason; or, if not reported, left to the next.
        """
        cases: list[Any] = [{}, [], {"username": "ann"}, {"password": "secret"}, {"username": "ann", "password": 5}]
        cases += [{"username": ["ann"], "password": "secret"}, {"username": {"a": 1}, "password": None}]
        for credentials in cases:
            login = self.successResultOf(self.authenticator.login(HANDSHAKE, credentials))
            self.assertEqual((login.accepted, login.final, self.told(login)), (False, True, MISSING))
        self.make(users=self.users, report_invalid_parameters=False, **HASHED)
        for credentials in cases:
            login = self.successResultOf(self.authenticator.login(HANDSHAKE, credentials))
            self.assertEqual(login, Login(False, final=False))

    def test_w5_names_of_the_language(self) -> None:
        """
        W5: names that mean something to the language are unknown users like others.
        """
        for name in ("constructor", "__proto__", "toString", "__class__", "keys", ""):
            self.assertEqual(self.login(username=name, password="x"), Login(False, final=False))

    def test_long_password(self) -> None:
        """
        A longer password than C{maxPasswordLength} is wrong for every user, and is not hashed.
        """
        self.make(users=self.users, max_password_length=10, **HASHED)
        for name in ("ann", "cat"):
            self.assertEqual(self.login(username=name, password="x" * 11), Login(False))
        self.assertEqual(self.passwords.compared, [])
        self.assertFalse(self.login(username="ann", password="x" * 10).accepted)
        self.assertEqual(len(self.passwords.compared), 1)

    def test_clear(self) -> None:
        """
        Without C{hash} the passwords are in clear, and no thread is needed; entries of argon2 are taken as well.
        """
        self.make(users={"ann": User("secret"), "bob": User(Passwords(FileSettings()).make("hidden"))})
        self.assertTrue(self.login(username="ann", password="secret").accepted)
        self.assertEqual(self.pool.asked, [])
        self.assertTrue(self.login(username="bob", password="hidden").accepted)
        self.assertEqual(len(self.pool.asked), 1)
        self.assertFalse(self.login(username="bob", password=self.settings.users["bob"].password).accepted)

    def test_too_many(self) -> None:
        """
        If too many passwords wait to be checked there is no decision, rather than a wrong one.
        """

        def full(*args: Any) -> Any:
            raise AuthError("full")

        self.patch(self.pool, "run", full)
        with self.assertRaises(AuthError):
            self.authenticator.login(HANDSHAKE, {"username": "ann", "password": "secret"})


class TimingTests(FileCase):
    """
    Clients cannot find out which users exist.
    """

    def test_unknown_user_costs_the_same(self) -> None:
        """
        A password is checked once for a known and once for an unknown user: each against an entry of the file, in a
        thread.
        """
        entries = {user.password for user in self.users.values()}
        for name in ("ann", "bob", "cat", "dog", ""):
            self.login(username=name, password="wrong")
            self.assertEqual(len(self.passwords.compared), 1, name)
            self.assertIn(self.passwords.compared.pop(), entries)
            self.assertEqual(len(self.pool.asked), 1, name)
            self.pool.asked.clear()

    def test_decoy_never_fits(self) -> None:
        """
        An unknown user is not let in, even with the password of the entry that is taken in its place.
        """
        self.make(users={"ann": User(hashed("secret"))}, **HASHED)
        self.assertEqual(self.login(username="cat", password="secret"), Login(False, final=False))

    def test_decoy_is_always_the_same(self) -> None:
        """
        Entries may differ in cost. For one name it is always the same one, for others it is others: like real users.
        """
        for _ in range(5):
            self.login(username="cat", password="wrong")
        self.assertEqual(len(set(self.passwords.compared)), 1)
        for number in range(100):
            self.login(username=f"cat{number}", password="wrong")
        self.assertEqual(len(set(self.passwords.compared)), 2)

    def test_no_users(self) -> None:
        """
        The same with no users at all.
        """
        self.make(users={}, **HASHED)
        self.login(username="cat", password="wrong")
        self.assertEqual(len(self.pool.asked), 1)


class ReplaceTests(FileCase):
    """
    The file is read again.
    """

    def test_replace(self) -> None:
        """
        From then on the new users hold: old ones are gone, new ones there, changed ones changed.
        """
        self.authenticator.replace({"ann": User(hashed("other"), None, 5), "eve": User(hashed("new"))})
        self.assertEqual(self.login(username="ann", password="other"), Login(True, "ann", b"null", 5))
        self.assertFalse(self.login(username="ann", password="secret").accepted)
        self.assertFalse(self.login(username="bob", password="hidden").accepted)
        self.assertTrue(self.login(username="eve", password="new").accepted)

    def test_own_copy(self) -> None:
        """
        Later changes of the given dict have no effect.
        """
        users = {"eve": User(hashed("new"))}
        self.authenticator.replace(users)
        users.clear()
        self.assertTrue(self.login(username="eve", password="new").accepted)


class LogTests(FileCase):
    """
    W19: credentials are never logged.
    """

    def test_nothing(self) -> None:
        """
        W19: neither names nor passwords, right or wrong, reach the log.
        """
        log = self.log()
        for name, password in (("ann", "secret"), ("ann", "h1dden"), ("cat", "h1dden")):
            self.login(username=name, password=password)
        self.login(username="ann", password=["h1dden"])
        for text in ("secret", "h1dden"):
            self.assertFalse(log.holds(text))

    def test_settings(self) -> None:
        """
        W19: settings can be logged without giving passwords away.
        """
        self.assertNotIn("secret", repr(FileSettings(users={"ann": User("secret")})))
