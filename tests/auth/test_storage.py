"""
Users who are kept as records.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from dstwist.auth import storage
from dstwist.auth.hashing import Passwords, hash_pbkdf2
from dstwist.auth.storage import StorageAuthentication
from dstwist.config.users import StorageSettings
from dstwist.errors import StoreError
from dstwist.interfaces import IAuthenticator, ILifecycle, IStore, Login, Record
from tests.auth.helpers import HANDSHAKE, AuthCase, DirectPool, FakeStore

HASHED = {"hash": "md5", "iterations": 10, "key_length": 16}
NOT_MINE = Login(False, final=False)
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def hashed(password: str) -> str:
    return hash_pbkdf2(password, "md5", 10, 16)


class StorageCase(AuthCase):
    """
    A storage with one user.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1700000000)
        self.pool = DirectPool()
        self.store = FakeStore()
        self.keep(
            "ann", password=hashed("secret"), clientData={"id": "id-of-ann", "x": 1}, serverData={"role": "admin"}
        )
        self.make()

    def make(self, **settings: Any) -> None:
        self.settings = StorageSettings(**{"table": "users", **HASHED, **settings})
        self.authenticator = StorageAuthentication(
            self.settings,
            self.store,
            self.pool,  # type: ignore[arg-type]
            self.clock,
        )

    def keep(self, name: str, **data: Any) -> None:
        self.store.records[f"users/{name}"] = Record(1, {"username": name, **data})

    def start_login(self, name: str, password: str) -> Deferred[Login]:
        result: Deferred[Login] = self.authenticator.login(HANDSHAKE, {"username": name, "password": password})
        return result


class StorageAuthenticationTests(StorageCase):
    """
    Users who are there.
    """

    def test_interfaces(self) -> None:
        """
        L{StorageAuthentication} provides L{IAuthenticator} and L{ILifecycle}, the fake L{IStore}.
        """
        verifyObject(IAuthenticator, self.authenticator)
        verifyObject(ILifecycle, self.authenticator)
        verifyObject(IStore, self.store)
        self.successResultOf(self.authenticator.start())
        self.successResultOf(self.authenticator.stop())
        self.assertEqual(self.pool.calls, ["start", "stop"])

    def test_accepted(self) -> None:
        """
        With the right password a user is accepted, under the id in clientData.
        """
        login = self.login(username="ann", password="secret")
        self.assertEqual(login, Login(True, "id-of-ann", b'{"id":"id-of-ann","x":1}', {"role": "admin"}))

    def test_no_id(self) -> None:
        """
        A user without such an id has the user name; without any data, the client gets null.
        """
        for client_data in (None, {}, {"id": ""}, {"id": ["x"]}, {"id": "a\nb"}, "text"):
            self.keep("bob", password=hashed("hidden"), clientData=client_data)
            self.assertEqual(self.login(username="bob", password="hidden").user, "bob")
        self.keep("bob", password=hashed("hidden"), clientData={"id": 7})
        self.assertEqual(self.login(username="bob", password="hidden").user, "7")
        self.keep("bob", password=hashed("hidden"))
        self.assertEqual(self.login(username="bob", password="hidden"), Login(True, "bob", b"null"))

    def test_unusable_id(self) -> None:
        """
        An id that cannot be one is told in the log, and what the user is called instead; a missing one is not.
        """
        for client_data, kind in (
            (None, None),
            ({"id": None}, None),
            ({"id": True}, "true"),
            ({"id": ["hidden"]}, "a list"),
            ({"id": {"hidden": 1}}, "an object"),
            ({"id": ""}, "a text"),
            ({"id": "x" * 257}, "a text"),
        ):
            log = self.log()
            self.keep("bob", password=hashed("secret"), clientData=client_data)
            self.login(username="bob", password="secret")
            line = f"AUTH_ERROR | clientData.id of users/bob is {kind}, which is no user id: accepted as bob"
            self.assertEqual(log.lines, [line] if kind else [])
            self.assertFalse(log.holds("hidden"))

    def test_refused(self) -> None:
        """
        With a wrong password a user is refused; or, if not reported, left to the next authenticator.
        """
        self.assertEqual(self.login(username="ann", password="hidden"), Login(False))
        self.make(report_invalid_parameters=False)
        self.assertEqual(self.login(username="ann", password="hidden"), NOT_MINE)

    def test_unknown(self) -> None:
        """
        An unknown user is left to the next authenticator, after as much work as for a known one.
        """
        self.assertEqual(self.login(username="cat", password="secret"), NOT_MINE)
        self.login(username="ann", password="wrong")
        self.assertEqual([password for password, _ in self.pool.asked], ["secret", "wrong"])
        self.assertEqual(len({len(stored) >= 24 for _, stored in self.pool.asked}), 1)

    def test_missing(self) -> None:
        """
        The error names the missing parameter with the Node server's text; if errors are not reported, the next
        authenticator is asked.
        """
        for credentials, words in (
            ({}, "username password"),
            ({"username": "ann"}, "false password"),
            ({"password": "secret"}, "username false"),
            ({"username": 5, "password": None}, "username password"),
        ):
            self.make()
            login = self.login(**credentials)
            self.assertEqual(self.told(login), {"error": f"missing authentication parameters: {words}"})
            self.make(report_invalid_parameters=False)
            self.assertEqual(self.login(**credentials), NOT_MINE)

    def test_names_that_lead_elsewhere(self) -> None:
        """
        A name that could lead to another record is no user name, and the storage is not asked.
        """
        self.store.error = StoreError("asked")
        for name in ("", "ann/x", "/", "../ann", "a\x1fb", "a\nb", "\ud800"):
            self.assertEqual(self.login(username=name, password="secret"), NOT_MINE)

    def test_long_password(self) -> None:
        """
        A longer password than C{maxPasswordLength} is a wrong one.
        """
        self.make(max_password_length=5)
        self.assertEqual(self.login(username="ann", password="secret"), Login(False))
        self.assertEqual(self.pool.asked, [])

    def test_unusable_records(self) -> None:
        """
        A record without a hashed password accepts no login, not even with the password in clear or without one.
        """
        for data in ({"password": None}, {"password": 5}, {}, {"password": ""}, {"password": "secret"}):
            for hash_settings in (HASHED, {"hash": None}):
                self.make(**hash_settings)
                self.keep("bob", **data)
                for password in ("secret", ""):
                    self.assertEqual(self.login(username="bob", password=password), Login(False), data)
        log = self.log()
        for content in (["secret"], "secret", None, True):
            self.store.records["users/bob"] = Record(1, content)
            self.assertEqual(self.login(username="bob", password="secret"), Login(False))
        self.assertEqual(log.lines, ["AUTH_ERROR | the record users/bob has no hashed password: refused"] * 4)

    def test_argon2(self) -> None:
        """
        Without C{hash} passwords are in argon2's format.
        """
        self.make(hash=None)
        self.keep("bob", password=Passwords(self.settings).make("hidden"))
        self.assertTrue(self.login(username="bob", password="hidden").accepted)
        self.assertFalse(self.login(username="bob", password="secret").accepted)


class FailureTests(StorageCase):
    """
    The storage does not do what it should.
    """

    def test_error(self) -> None:
        """
        An error of the storage refuses the login for good, also among several: the next authenticator must not take
        the user for somebody else.
        """
        self.store.error = StoreError("gone")
        for report in (True, False):
            self.make(report_invalid_parameters=report)
            log = self.log()
            login = self.login(username="ann", password="secret")
            self.assertEqual((login.accepted, login.final), (False, True))
            self.assertEqual(self.told(login), {"error": "Error retrieving user from storage"})
            self.assertEqual(log.lines, ["AUTH_ERROR | Error retrieving user from storage: gone"])
            self.assertFalse(log.holds("secret"))

    def test_silence(self) -> None:
        """
        A storage that does not answer within C{storageTimeout} counts as failed.
        """
        self.make(storage_timeout=3.0)
        self.store.holding = True
        result = self.start_login("ann", "secret")
        self.clock.advance(2.9)
        self.assertNoResult(result)
        self.clock.advance(0.1)
        self.assertEqual(self.told(self.successResultOf(result)), {"error": "Error retrieving user from storage"})


class CreateUserTests(StorageCase):
    """
    Users who are made.
    """

    def setUp(self) -> None:
        super().setUp()
        self.make(create_user=True)

    def test_created(self) -> None:
        """
        An unknown user is created: version 1, a random id, the password hashed as configured. Later logins need the
        password.
        """
        log = self.log()
        login = self.login(username="cat", password="first")
        record = self.store.records["users/cat"]
        self.assertEqual(record.version, 1)
        self.assertEqual(list(record.data), ["username", "password", "clientData", "serverData"])
        self.assertRegex(record.data["clientData"]["id"], f"^{UUID}$")
        self.assertEqual(record.data["serverData"], {"created": 1700000000000})
        self.assertEqual(
            login,
            Login(True, record.data["clientData"]["id"], login.client_data, {"created": 1700000000000}),
        )
        self.assertEqual(self.told(login), record.data["clientData"])
        self.assertEqual(log.lines, ["STORAGE_AUTH | REGISTERING_USER | Adding new user cat (192.0.2.1)"])
        self.assertFalse(log.holds("first"))
        self.assertEqual(self.login(username="cat", password="first"), login)
        self.assertEqual(self.login(username="cat", password="second"), Login(False))
        self.assertEqual(self.store.writes, ["users/cat"])

    def test_w18_two_at_once(self) -> None:
        """
        W18: two first logins under one name make one user; the password of the first counts for both.
        """
        self.store.holding = True
        first, same, other = (self.start_login("cat", word) for word in ("first", "first", "second"))
        while self.store.pending:
            self.store.answer()
        self.assertEqual(self.store.writes, ["users/cat"])
        user = self.store.records["users/cat"].data["clientData"]["id"]
        self.assertEqual(self.successResultOf(first).user, user)
        self.assertEqual(self.successResultOf(same).user, user)
        self.assertEqual(self.successResultOf(other), Login(False))

    def test_one_does_not_wait_for_another(self) -> None:
        """
        Making one user does not keep another waiting.
        """
        self.store.holding = True
        self.start_login("cat", "first")
        self.start_login("dog", "second")
        for _ in range(4):
            self.store.answer()
        self.assertEqual(self.store.writes, ["users/cat", "users/dog"])

    def test_time_of_day(self) -> None:
        """
        The time at which a user is created is a time of day, which need not be that of the timers.
        """
        self.patch(storage, "wall_time", lambda clock: lambda: 1.8e9)
        self.make(create_user=True)
        login = self.login(username="bob", password="secret")
        self.assertEqual(login.server_data, {"created": 1800000000000})

    def test_not_created(self) -> None:
        """
        If the user cannot be written the login is refused, and the next one may try again.
        """
        self.store.holding = True
        result = self.start_login("cat", "first")
        self.store.answer()
        self.store.answer()
        self.store.pending.pop()[0].errback(StoreError("full"))
        self.assertEqual(self.told(self.successResultOf(result)), {"error": "Error creating user"})
        self.store.holding = False
        self.assertTrue(self.login(username="cat", password="other").accepted)

    def test_bad_names(self) -> None:
        """
        No user is created under a name that could lead to another record.
        """
        for name in ("", "a/b", "a\x1eb"):
            self.assertEqual(self.login(username=name, password="x"), NOT_MINE)
        self.assertEqual(self.store.writes, [])
