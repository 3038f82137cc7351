"""
Tests for L{dstwist.api.logins}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock

from dstwist.api.errors import ApiError, HandleClosed, InvalidValue, LoginRefused, LoginUndecided
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import Settings
from dstwist.config.users import FileSettings, User
from dstwist.errors import BusyError
from dstwist.interfaces import Login
from dstwist.node import Node
from tests.api.stage import ApiTestCase, ignore
from tests.fakes import FakeAuthenticator
from tests.logs import Lines


class LoginTests(ApiTestCase):
    """
    Handles of users who log in.
    """

    settings = Settings(limits=LimitSettings(request_login_cache_time=0.0, max_failed_logins_per_address=20))

    def setUp(self) -> None:
        super().setUp()
        self.authenticator = FakeAuthenticator()
        self.patch(self.node.request_logins._logins, "authenticator", self.authenticator)

    def decide(self, *decisions: Any) -> None:
        self.authenticator.decisions += decisions

    def test_accepted(self) -> None:
        """
        The handle has the user and the data that the authenticator gives.
        """
        self.decide(Login(True, "ann", b'{"x":1}', {"role": "admin"}))
        ann = self.done(self.api.login({"username": "a", "password": "p"}, address="192.0.2.7"))
        self.assertEqual(ann.user, "ann")
        self.assertEqual(self.authenticator.asked, [{"username": "a", "password": "p"}])
        identity = ann._handle.identity
        self.assertEqual(
            (identity.user, identity.server_data, identity.client_data, identity.address, identity.is_server),
            ("ann", {"role": "admin"}, b'{"x":1}', "192.0.2.7", False),
        )
        self.done(ann.records.set("a", {}))
        self.assertEqual(self.done(self.api.presence.online()), [])
        self.assertEqual(self.api.figures().handles, 2)

    def test_refused(self) -> None:
        """
        The authenticator refuses; the data of the refusal are in the error.
        """
        self.decide(Login(False, client_data=b'"wrong"'), Login(False))
        error = self.refused(self.api.login({"username": "a"}), LoginRefused)
        self.assertEqual((error.event, error.client_data), ("AUTH_UNSUCCESSFUL", "wrong"))
        self.assertIsNone(self.refused(self.api.login({"username": "a"}), LoginRefused).client_data)
        self.refused(self.api.login("a"), InvalidValue)  # type: ignore[arg-type]
        self.refused(self.api.login({"a": {1}}), InvalidValue)

    def test_undecided(self) -> None:
        """
        The authenticator cannot decide.
        """
        decision: Deferred[Login] = Deferred()
        self.decide(decision)
        asked = self.api.login({"username": "a"})
        decision.errback(BusyError("too many logins"))
        self.assertEqual(self.refused(asked, LoginUndecided).event, "AUTH_ERROR")

    def test_exceeded(self) -> None:
        """
        After too many failed logins of one client, no more are tried.
        """
        self.decide(*[Login(False)] * 100)
        events = [
            self.refused(self.api.login({"username": "a"}, address="192.0.2.7"), LoginRefused).event for _ in range(50)
        ]
        self.assertEqual((events[0], events[-1]), ("AUTH_UNSUCCESSFUL", "TOO_MANY_AUTH_ATTEMPTS"))

    def test_late(self) -> None:
        """
        A decision that takes its time; a caller that gives up cancels it.
        """
        cancelled: list[Any] = []
        decision: Deferred[Login] = Deferred()
        other: Deferred[Login] = Deferred(cancelled.append)
        self.decide(decision, other)
        asked = self.api.login({"username": "a"})
        given_up = self.api.login({"username": "b"})
        self.assertNoResult(asked)
        decision.callback(Login(True, "ann"))
        self.assertEqual(self.done(asked).user, "ann")
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.assertEqual(cancelled, [other])

    def test_cancelled_too_late(self) -> None:
        """
        A login that is cancelled when it has been accepted leaves no handle behind.
        """
        decision: Deferred[Login] = Deferred()
        self.decide(decision)
        asked = self.api.login({"username": "a"})
        decision.callback(Login(True, "ann"))
        asked.cancel()
        self.refused(asked, CancelledError)
        self.assertEqual(self.api.figures().handles, 1)

    def test_stop(self) -> None:
        """
        A stop cancels the logins that are under way.
        """
        cancelled: list[Any] = []
        self.decide(Deferred(cancelled.append))
        asked = self.api.login({"username": "a"})
        self.done(self.node.stop())
        self.refused(asked, HandleClosed)
        self.assertEqual(len(cancelled), 1)

    def test_expiry(self) -> None:
        """
        The handle is closed when the login expires.
        """
        self.decide(Login(True, "ann", expires_at=self.reactor.seconds() + 10))
        ann = self.done(self.api.login({"username": "a"}))
        subscription = self.done(ann.events.subscribe("news", ignore))
        self.reactor.advance(9)
        self.assertFalse(ann.closed)
        self.reactor.advance(1)
        self.assertTrue(ann.closed)
        self.turn()
        self.assertEqual(str(subscription.error), "IS_CLOSED: login expired")
        self.assertEqual(str(self.refused(ann.records.get("a"), ApiError)), "IS_CLOSED: login expired")

    def test_kick(self) -> None:
        """
        A kick closes the handles of the user that have logged in, and not those of the application.
        """
        self.decide(Login(True, "ann"), Login(True, "bob"))
        ann, bob = (self.done(self.api.login({"username": name})) for name in "ab")
        own = self.api.as_user("ann")
        lines = Lines(self)
        self.assertEqual(self.api.kick("ann", "go"), 1)
        self.assertEqual(lines.of("info"), ["KICKED | ann (api): go"])
        self.assertEqual((ann.closed, bob.closed, own.closed), (True, False, False))
        self.assertEqual(str(self.refused(ann.records.get("a"), HandleClosed)), "IS_CLOSED: go")


class RemovedUserTests(ApiTestCase):
    """
    Users who are removed while the node runs.
    """

    def of_users(self, **passwords: str) -> Settings:
        users = {name: User(password) for name, password in passwords.items()}
        return Settings(auth=(FileSettings(users=users, close_removed_users=True),))

    def make_node(self, settings: Settings) -> Node:
        self.reactor = MemoryReactorClock()
        self.settings = Settings(
            auth=(FileSettings(users={"ann": User("x"), "bob": User("y")}, close_removed_users=True),)
        )
        return Node(self.settings, [], self.reactor, reread=lambda: self.settings)

    def test_removed(self) -> None:
        """
        The handle of a user who is removed is closed, even if the user has no connection.
        """
        ann = self.done(self.api.login({"username": "ann", "password": "x"}))
        bob = self.done(self.api.login({"username": "bob", "password": "y"}))
        self.settings = self.of_users(bob="y")
        self.assertTrue(self.node.reload())
        self.turn()
        self.assertEqual((ann.closed, bob.closed), (True, False))
        self.refused(self.api.login({"username": "ann", "password": "x"}), LoginRefused)
