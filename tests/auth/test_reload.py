"""
Tests for L{dstwist.auth.reload}: users and keys that are read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import jwt
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.auth.chain import ChainAuthentication
from dstwist.auth.methods import build_authentication
from dstwist.auth.reload import AuthReload
from dstwist.config.auth import AuthSettings, JwtSettings, OpenSettings
from dstwist.config.file import FileText
from dstwist.config.users import FileSettings, User
from dstwist.connections.users import UserRegistry
from dstwist.errors import ConfigError
from tests.auth.helpers import HANDSHAKE
from tests.auth.test_keys import pem
from tests.fakes import FakeConnection

SECRET = "s" * 32
OTHER = "o" * 32


def users(**passwords: str) -> FileSettings:
    return FileSettings(users={name: User(password) for name, password in passwords.items()})


def token_of(secret: str) -> str:
    return jwt.encode({"sub": "ann"}, secret, algorithm="HS256")


TOKENS = JwtSettings(algorithms=("HS256",), secret=SECRET, require_expiry=False)


class AuthReloadTests(SynchronousTestCase):
    """
    L{AuthReload}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.registry = UserRegistry()
        self.kicked: list[tuple[str, str]] = []
        self.forget: Callable[[], object] = lambda: None

    def build(self, *settings: AuthSettings) -> None:
        self.chain: ChainAuthentication = build_authentication(settings, self.clock)
        self.successResultOf(self.chain.start())
        self.reloads = AuthReload(
            self.chain,
            settings,
            self.registry.count,
            lambda user, reason: self.kicked.append((user, reason)),
            lambda: self.forget(),
            self.clock,
        )
        self.addCleanup(self.reloads.stop)

    def reload(self, *settings: AuthSettings) -> str:
        return self.reloads.reload(settings)

    def connect(self, *names: str) -> None:
        for name in names:
            self.registry.add(FakeConnection(name))

    def accepts(self, **credentials: str) -> bool:
        login = self.chain.login(HANDSHAKE, credentials)
        self.clock.advance(0)
        accepted: bool = self.successResultOf(login).accepted
        return accepted

    def test_users(self) -> None:
        """
        The new users apply from then on; the log names new and removed users.
        """
        self.build(users(ann="1", bob="2"), OpenSettings())
        self.assertEqual(
            self.reload(users(ann="3", eve="4", dan="5"), OpenSettings()), "3 users; new: eve, dan; removed: bob"
        )
        self.assertTrue(self.accepts(username="eve", password="4"))
        self.assertEqual(self.reload(users(ann="3", eve="4", dan="5"), OpenSettings()), "3 users")

    def test_more_changed(self) -> None:
        """
        If more of C{auth} has changed, nothing does.
        """
        old = (users(ann="1"), TOKENS)
        self.build(*old)
        new = users(ann="2", bob="3")
        for settings in (
            (new,),
            (new, TOKENS, TOKENS),
            (TOKENS, new),
            (replace(new, hash="sha512", iterations=1, key_length=32), TOKENS),
            (new, replace(TOKENS, algorithms=("HS512",))),
            (new, replace(TOKENS, secret=None, public_key=pem("P-256"))),
        ):
            error = self.assertRaises(ConfigError, self.reload, *settings)
            self.assertIn("options other than users and keys have changed; that needs a restart", str(error))
            self.assertTrue(self.accepts(username="ann", password="1"))

    def test_remembered_logins(self) -> None:
        """
        Remembered logins are forgotten when the new users apply already, and not if nothing changes.
        """
        accepted: list[bool] = []
        self.forget = lambda: accepted.append(self.accepts(username="ann", password="1"))
        self.build(users(ann="1"))
        with self.assertRaises(ConfigError):
            self.reload(users(ann="2"), OpenSettings())
        self.assertEqual(accepted, [])
        self.reload(users(ann="2"))
        self.assertEqual(accepted, [False])

    def test_bad_key(self) -> None:
        """
        A key that cannot be used keeps the users from being taken as well.
        """
        keys = JwtSettings(algorithms=("ES256",), public_key=pem("P-256"))
        self.build(users(ann="1"), keys)
        with self.assertRaises(ConfigError):
            self.reload(users(ann="2"), replace(keys, public_key=pem("RSA2048")))
        self.assertTrue(self.accepts(username="ann", password="1"))

    def test_keys(self) -> None:
        """
        A changed secret applies from then on.
        """
        self.build(TOKENS)
        self.assertTrue(self.accepts(token=token_of(SECRET)))
        self.assertEqual(self.reload(replace(TOKENS, secret=OTHER)), "1 of 1 keys of tokens changed")
        self.assertTrue(self.accepts(token=token_of(OTHER)))
        self.assertFalse(self.accepts(token=token_of(SECRET)))
        self.assertEqual(self.reload(replace(TOKENS, secret=OTHER)), "0 of 1 keys of tokens changed")

    def test_nothing(self) -> None:
        """
        If there is nothing to read again, the log says so.
        """
        self.build(OpenSettings())
        self.assertIn("no users", self.reload(OpenSettings()))

    def test_connections_stay(self) -> None:
        """
        Connections of users who are gone stay, and the log says how many.
        """
        self.build(users(ann="1", bob="2"))
        self.connect("ann", "bob", "bob")
        self.assertEqual(
            self.reload(users(ann="1")),
            "1 users; removed: bob, 2 connections stay open (closeRemovedUsers is false)",
        )
        self.assertEqual(self.kicked, [])

    def test_connections_are_closed(self) -> None:
        """
        With C{closeRemovedUsers} they are closed, and no others.
        """
        old = replace(users(ann="1", bob="2", eve="3"), close_removed_users=True)
        self.build(old)
        self.connect("ann", "bob", "bob", "dan")
        said = self.reload(replace(old, users={"ann": User("4")}))
        self.clock.advance(0)
        self.assertEqual(said, "1 users; removed: bob, eve, 2 connections are closed")
        self.assertEqual(self.kicked, [("bob", "user removed")])

    def test_moved(self) -> None:
        """
        A user who is in another file now is not gone.
        """
        first, second = (replace(users(**{name: "1"}), close_removed_users=True) for name in ("ann", "bob"))
        self.build(first, second)
        self.connect("ann")
        said = self.reload(replace(first, users=users(eve="1").users), replace(second, users=users(ann="1").users))
        self.clock.advance(0)
        self.assertEqual((said, self.kicked), ("2 users; new: eve; removed: bob", []))

    def test_many(self) -> None:
        """
        If very many users are removed, the log names some of them, and their connections are closed in several turns.
        """
        names = [f"user{number}" for number in range(1000)]
        old = replace(users(ann="1", **dict.fromkeys(names, "1")), close_removed_users=True)
        self.build(old)
        self.connect(*names)
        said = self.reload(replace(old, users={"ann": User("1")}))
        self.assertIn("user19 and 980 more, 1000 connections are closed", said)
        self.assertNotIn("user20", said)
        for _ in range(1000):
            self.clock.advance(0)
        self.assertEqual(len(self.kicked), 1000)

    def test_late_login(self) -> None:
        """
        With C{closeRemovedUsers} a user who is removed while the password is checked does not get in.
        """
        for closes in (False, True):
            settings = replace(users(bob="2"), close_removed_users=closes)
            self.build(settings)
            part: Any = self.chain.authenticators[0]
            checked: Deferred[bool] = Deferred()
            self.patch(part._passwords, "is_slow", lambda stored: True)
            self.patch(part._pool, "run", Mock(return_value=checked))
            login = self.chain.login(HANDSHAKE, {"username": "bob", "password": "2"})
            self.reload(replace(settings, users={"ann": User("1")}))
            checked.callback(True)
            self.assertEqual(self.successResultOf(login).accepted, not closes)


class WatchTests(SynchronousTestCase):
    """
    Files that change.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.read = 0

    def start(self, *settings: AuthSettings) -> AuthReload:
        chain = build_authentication(settings, self.clock)
        reloads = AuthReload(chain, settings, UserRegistry().count, lambda user, reason: None, lambda: None, self.clock)
        reloads.start(self.read_again)
        self.addCleanup(reloads.stop)
        return reloads

    def read_again(self) -> None:
        self.read += 1

    def file(self, content: str) -> str:
        path: str = os.path.abspath(self.mktemp())
        with open(path, "w") as file:
            file.write(content)
        return path

    def test_changed(self) -> None:
        """
        When a file with users or with a key has changed, they are read again; each at the shortest of the intervals.
        """
        ann, secret = self.file("ann"), self.file("secret")
        tokens = replace(TOKENS, secret=FileText(SECRET, secret), reload_interval=5.0)
        self.start(replace(users(ann="1"), files=(ann,), reload_interval=20.0), tokens)
        self.clock.pump([5.0] * 4)
        self.assertEqual(self.read, 0)
        for number, path in enumerate((ann, secret), 1):
            with open(path, "a") as file:
                file.write("changed")
            self.clock.pump([5.0] * 2)
            self.assertEqual(self.read, number)

    def test_not_watched(self) -> None:
        """
        Nothing is looked at that is not in a file, or only read again on SIGHUP.
        """
        self.start(
            users(ann="1"),
            replace(users(bob="1"), files=(self.file("x"),), reload_interval=None),
            TOKENS,
            OpenSettings(),
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        Stopped, it leaves nothing behind.
        """
        self.start(replace(users(ann="1"), files=(self.file("x"),))).stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
