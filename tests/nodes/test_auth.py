"""
A whole node whose clients have to say who they are.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from jwt import encode
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.config.auth import JwtSettings
from dstwist.config.limits import LimitSettings
from dstwist.config.plugins import PluginSettings
from dstwist.config.settings import Settings
from dstwist.config.users import FileSettings, User
from dstwist.connections.login import Outcome
from dstwist.interfaces import HandshakeData, IAuthenticator, IDepartures, ILifecycle, Login
from dstwist.node import Node
from dstwist.protocol.constants import AuthAction, ConnectionAction, EventAction, Topic
from dstwist.protocol.message import Message
from tests.logs import Lines
from tests.nodes.client import GENERATIONS, MemoryClient

SECRET = "a secret of at least thirty-two bytes"
CHALLENGE = Message(Topic.CONNECTION, ConnectionAction.CHALLENGE, url="ws://localhost")


@implementer(IAuthenticator, ILifecycle, IDepartures)
class Doorman:
    """
    The plug-in of these tests: it starts slowly, and notes all calls.
    """

    made: Doorman

    def __init__(self, options: Any, context: Any) -> None:
        self.ready: Deferred[None] = Deferred()
        self.calls: list[str] = []
        Doorman.made = self

    def start(self) -> Deferred[None]:
        return self.ready

    def stop(self) -> Deferred[None]:
        self.calls.append("stop")
        return succeed(None)

    def departed(self, user: str) -> None:
        self.calls.append(f"departed {user}")

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        return succeed(Login(credentials.get("password") == "secret", credentials.get("username")))


class AuthNodeTests(SynchronousTestCase):
    """
    From the settings to what clients hear.
    """

    def start(self, *auth: Any) -> Node:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        node = Node(Settings(auth=auth), [endpoint], self.reactor)
        node.privilegedStartService()
        node.startService()
        return node

    def attempt(self, client: MemoryClient, **credentials: Any) -> list[Any]:
        """
        The actions that a client receives after a login.
        """
        client.say(Message(Topic.AUTH, AuthAction.REQUEST, data=json.dumps(credentials).encode()))
        self.reactor.advance(0)
        return [message.action for message in client.heard()]

    def client(self, node: Node, generation: str) -> MemoryClient:
        client = MemoryClient(node, generation)
        self.reactor.advance(0)
        client.say(CHALLENGE)
        self.reactor.advance(0)
        client.heard()
        return client

    def test_file(self) -> None:
        """
        With users, a client gets in only as one of them; before that nothing it says reaches a topic.
        """
        node = self.start(FileSettings(users={"ann": User("secret")}))
        for generation in GENERATIONS:
            client = self.client(node, generation)
            self.assertEqual(self.attempt(client, username="ann", password="wrong"), [AuthAction.AUTH_UNSUCCESSFUL])
            client.subscribe("news")
            self.reactor.advance(0)
            self.assertNotIn(EventAction.SUBSCRIBE, [message.action for message in client.heard()])
            if generation != "v3":
                # The older ones are cut off for that.
                self.assertEqual(self.attempt(client, username="ann", password="secret"), [AuthAction.AUTH_SUCCESSFUL])

    def test_expiry(self) -> None:
        """
        The connection of a token is closed, with a reason, when the token expires.
        """
        node = self.start(JwtSettings(secret=SECRET, algorithms=("HS256",), leeway=0.0))
        for number, generation in enumerate(GENERATIONS, 1):
            token = encode({"sub": "ann", "exp": 20 * number}, SECRET, algorithm="HS256")
            client = self.client(node, generation)
            self.assertEqual(self.attempt(client, token=token), [AuthAction.AUTH_SUCCESSFUL])
            self.reactor.advance(19 - self.reactor.seconds() % 20)
            client.heard()
            self.assertIsNone(client.closed)
            self.reactor.advance(1)
            client.heard()
            self.assertEqual(client.closed, (1008, "login expired"))

    def test_own_class(self) -> None:
        """
        A class of the operator's own is waited for, decides, is told who leaves, and is stopped last.
        """
        node = self.start(PluginSettings("module", f"{__name__}:Doorman", {}, "auth.module"))
        doorman = Doorman.made
        self.assertFalse(node.factory.accepting)
        doorman.ready.callback(None)
        self.assertTrue(node.factory.accepting)
        ann, bob = self.client(node, "v4"), self.client(node, "v4")
        self.assertEqual(self.attempt(ann, username="ann", password="secret"), [AuthAction.AUTH_SUCCESSFUL])
        self.assertEqual(self.attempt(bob, username="bob", password="wrong"), [AuthAction.AUTH_UNSUCCESSFUL])
        for client in (ann, bob):
            client.transport.loseConnection()
        self.assertEqual(doorman.calls, ["departed ann"])
        self.successResultOf(node.stopService())
        self.assertEqual(doorman.calls, ["departed ann", "stop"])

    def test_does_not_start(self) -> None:
        """
        If an authenticator does not start, neither does the server.
        """
        lines = Lines(self)
        node = self.start(PluginSettings("module", f"{__name__}:Doorman", {}, "auth.module"))
        Doorman.made.ready.errback(ValueError("no directory"))
        self.assertFalse(node.factory.accepting)
        self.assertIn("no directory", lines.last("critical"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.successResultOf(node.stopService())


class RequestLoginTests(SynchronousTestCase):
    """
    Logins of requests: C{Node.request_logins}.
    """

    def start(self, **limits: Any) -> Node:
        self.reactor = MemoryReactorClock()
        self.settings = Settings(auth=(_users(ann="secret", bob="hidden"),), limits=LimitSettings(**limits))
        node = Node(self.settings, [], self.reactor, reread=lambda: self.settings)
        node.startService()
        self.reactor.advance(0)
        return node

    def attempt(self, node: Node, user: str, password: str) -> Outcome:
        """
        The outcome of a login for one request.
        """
        credentials = json.dumps({"username": user, "password": password}).encode()
        login = node.request_logins.login(HandshakeData("192.0.2.1"), credentials)
        outcome: Outcome = self.successResultOf(login).outcome
        return outcome

    def test_reload(self) -> None:
        """
        After a reload of the users, a login with an old password is refused, although it was accepted a moment ago.
        """
        node = self.start()
        for user, password in (("ann", "secret"), ("bob", "hidden")):
            self.assertIs(self.attempt(node, user, password), Outcome.ACCEPTED)
        self.settings = replace(self.settings, auth=(_users(bob="new"),))
        # The new users apply from the reload on.
        self.assertIs(self.attempt(node, "ann", "secret"), Outcome.ACCEPTED)
        self.assertTrue(node.reload())
        for user, password in (("ann", "secret"), ("bob", "hidden")):
            self.assertIs(self.attempt(node, user, password), Outcome.REFUSED)
        self.assertIs(self.attempt(node, "bob", "new"), Outcome.ACCEPTED)

    def test_kick(self) -> None:
        """
        The next request of a kicked user asks the authenticator again. The logins of other users stay.
        """
        node = self.start(max_failed_logins_per_address=1)
        for user, password in (("ann", "secret"), ("bob", "hidden")):
            self.assertIs(self.attempt(node, user, password), Outcome.ACCEPTED)
        self.assertIs(self.attempt(node, "ann", "wrong"), Outcome.REFUSED)
        node.kick("ann", "contract ended")
        self.assertIs(self.attempt(node, "bob", "hidden"), Outcome.ACCEPTED)
        self.assertIs(self.attempt(node, "ann", "secret"), Outcome.EXCEEDED)

    def test_time(self) -> None:
        """
        C{limits.requestLoginCacheTime} says how long a login is remembered.
        """
        for seconds, remembered in ((5.0, True), (3.0, False), (0.0, False)):
            node = self.start(max_failed_logins_per_address=1, request_login_cache_time=seconds)
            self.assertIs(self.attempt(node, "ann", "secret"), Outcome.ACCEPTED)
            self.reactor.advance(4)
            self.assertIs(self.attempt(node, "ann", "wrong"), Outcome.REFUSED)
            outcome = Outcome.ACCEPTED if remembered else Outcome.EXCEEDED
            self.assertIs(self.attempt(node, "ann", "secret"), outcome)

    def test_connections_of_user(self) -> None:
        """
        A request is no connection: a user with as many connections as possible can make requests, and these leave the
        connections to the user.
        """
        node = self.start(max_connections_per_user=1)
        self.assertIs(self.attempt(node, "ann", "secret"), Outcome.ACCEPTED)
        client = MemoryClient(node, "v4")
        client.say(CHALLENGE, Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"ann","password":"secret"}'))
        self.assertIs(client.heard()[-1].action, AuthAction.AUTH_SUCCESSFUL)
        self.reactor.advance(20)
        self.assertIs(self.attempt(node, "ann", "secret"), Outcome.ACCEPTED)

    def test_stop(self) -> None:
        """
        A node that has stopped leaves no timer of its logins in the application that embeds it.
        """
        node = self.start()
        self.assertIs(self.attempt(node, "ann", "secret"), Outcome.ACCEPTED)
        self.successResultOf(node.stopService())
        # The holders of the API are told of the end in a later turn.
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


def _users(**passwords: str) -> FileSettings:
    return FileSettings(users={name: User(password) for name, password in passwords.items()})
