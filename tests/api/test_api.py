"""
Tests for L{dstwist.api.api}: handles, their beginning and their end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock

from dstwist.api.api import Api
from dstwist.api.errors import ApiError, HandleClosed, InvalidValue, LoginRefused, MessageDenied
from dstwist.api.figures import Figures
from dstwist.api.ongoing import Ongoing
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import Settings
from dstwist.interfaces import Login
from dstwist.node import Node
from dstwist.permission.open import OpenPermission
from dstwist.protocol.message import Message
from tests.api.stage import ApiTestCase, rules
from tests.fakes import FakeAuthenticator
from tests.logs import Lines


class HandleTests(ApiTestCase):
    """
    Handles as the server and as users.
    """

    def test_close(self) -> None:
        """
        A handle that is closed makes no requests, and ends its subscriptions. Other handles go on.
        """
        taken: list[Any] = []
        bob = self.api.as_user("bob")
        subscription = self.done(bob.events.subscribe("news", taken.append))
        ended = subscription.ended()
        self.assertEqual((bob.user, bob.closed, self.api.user), ("bob", False, None))
        bob.close()
        self.assertTrue(bob.closed)
        bob.close()
        error = self.refused(ended, HandleClosed)
        self.assertEqual(str(error), "IS_CLOSED: the application has closed it")
        self.assertEqual((subscription.closed, subscription.error), (True, error))
        for asked in (
            bob.events.emit("news"),
            bob.events.subscribe("news", taken.append),
            bob.records.get("a"),
            bob.records.update("a", lambda data: data),
            bob.records.subscribe("a", taken.append),
            bob.rpc.call("add"),
            bob.rpc.provide("add", print),
            bob.presence.online(),
            bob.records.listen("x", print),
        ):
            self.refused(asked, HandleClosed)
        self.done(self.api.events.emit("news", 1))
        self.assertEqual(taken, [])
        self.assertEqual(self.api.figures().events, 0)

    def test_with(self) -> None:
        """
        A handle is closed at the end of its block.
        """
        with self.api.as_user("bob") as bob:
            self.done(bob.records.set("a", {}))
        self.assertTrue(bob.closed)

        async def use() -> Api:
            async with self.api.as_user("ann") as ann:
                await ann.records.set("a", {})
            return ann

        self.assertTrue(self.done(use()).closed)

    def test_close_in_a_callback(self) -> None:
        """
        A handle may be closed by its own callback; what came behind is not delivered.
        """
        taken: list[Any] = []
        bob = self.api.as_user("bob")

        def close(event: Any) -> None:
            taken.append(event)
            bob.close()

        self.done(bob.events.subscribe("news", close))
        for number in range(3):
            self.api.events.emit("news", number)
        self.turn()
        self.assertEqual(taken, [0])

    def test_invalid_user(self) -> None:
        """
        A user has a name, and data for clients that are JSON.
        """
        self.assertRaises(InvalidValue, self.api.as_user, "")
        self.assertRaises(InvalidValue, self.api.as_user, "ann", client_data={1})

    def test_kick(self) -> None:
        """
        The connections of a user are closed, with the reason.
        """
        clients = [self.client(generation, "ann") for generation in ("v3", "v4")]
        other = self.client("v4", "bob")
        self.assertEqual(self.api.kick("ann", "go"), 2)
        self.reactor.advance(LimitSettings().close_delay)
        for client in (*clients, other):
            client.heard()
        self.assertEqual([client.closed for client in (*clients, other)], [(1008, "go"), (1008, "go"), None])
        self.assertRaises(MessageDenied, self.api.as_user("bob").kick, "ann", "go")

    def test_figures(self) -> None:
        """
        What there is at the moment.
        """
        self.assertEqual(self.api.figures(), Figures(0, 0, 1, 0, 0, 0, 0))
        for user in ("ann", "ann", "bob"):
            self.client("v4", user).subscribe("news")
        self.done(self.api.records.set("a", {}))
        bob = self.api.as_user("bob")
        self.done(bob.records.subscribe("b", print))
        self.done(bob.rpc.provide("add", print))
        self.assertEqual(self.api.figures(), Figures(3, 2, 2, 1, 1, 1, 1))
        self.assertRaises(MessageDenied, bob.figures)
        bob.close()
        self.assertEqual(self.api.figures(), Figures(3, 2, 1, 1, 0, 0, 1))


class StartAndStopTests(ApiTestCase):
    """
    The API of a node that does not run yet, or any more.
    """

    def test_not_started(self) -> None:
        """
        No requests are made before the start.
        """
        node = self.make_node(Settings())
        error = self.refused(node.api.records.get("a"), HandleClosed)
        self.assertEqual(str(error), "IS_CLOSED: the node has not started")
        self.assertRaises(HandleClosed, node.api.as_user, "ann")
        self.refused(node.api.login({}), HandleClosed)
        node.startService()
        self.done(node.api.records.set("a", {}))

    def test_stop(self) -> None:
        """
        A stop ends all that waits, with the reason.
        """
        waiting: Deferred[Any] = Deferred()
        ann = self.api.as_user("ann")
        self.done(self.api.rpc.provide("slow", lambda request: waiting))
        asked = [self.api.rpc.call("slow"), ann.rpc.call("slow")]
        subscription = self.done(self.api.events.subscribe("news"))

        async def read() -> None:
            async for _ in subscription:
                pass

        reading = self.started(read())
        self.done(self.node.stop())
        for each in (*asked, reading, self.api.records.get("a"), ann.records.get("a")):
            self.assertEqual(str(self.refused(each, HandleClosed)), "IS_CLOSED: the node has stopped")
        self.assertRaises(HandleClosed, self.api.as_user, "ann")
        self.assertTrue(ann.closed)
        self.turn()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class LoginTests(ApiTestCase):
    """
    Handles of users who log in.
    """

    settings = Settings(limits=LimitSettings(request_login_cache_time=0.0))

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
        asked: list[Any] = []

        def allows(permission: object, message: Message, identity: Any, change: Any = None) -> bool:
            asked.append((identity.user, identity.server_data, identity.client_data, identity.address))
            return True

        self.patch(OpenPermission, "allows", allows)
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
        subscription = self.done(ann.events.subscribe("news", print))
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
        self.assertEqual(self.api.kick("ann", "go"), 1)
        self.assertEqual((ann.closed, bob.closed, own.closed), (True, False, False))
        self.assertEqual(str(self.refused(ann.records.get("a"), HandleClosed)), "IS_CLOSED: go")


class LimitTests(ApiTestCase):
    """
    Limits of users.
    """

    settings = Settings(limits=LimitSettings(max_message_rate_per_user=8))

    def test_rate(self) -> None:
        """
        The requests of a user above the rate wait, in their order; those of the server do not.
        """
        lines = Lines(self)
        taken: list[Any] = []
        self.done(self.api.events.subscribe("news", taken.append))
        ann = self.api.as_user("ann")
        emitting = [ann.events.emit("news", number) for number in range(20)]
        self.turn()
        self.assertEqual(taken, list(range(9)))
        for number in range(100, 130):
            self.done(self.api.events.emit("news", number))
        self.assertNoResult(emitting[-1])
        self.reactor.pump([0.125] * 20)
        self.assertEqual([number for number in taken if number < 100], list(range(20)))
        for each in emitting:
            self.successResultOf(each)
        self.assertIn("maxMessageRatePerUser: ann (api) sends more", lines.last("warn"))


RULES = {
    "event": {"*": {"subscribe": True, "listen": True}},
    "record": {"*": {"create": True, "read": True, "write": True, "listen": True}},
    "rpc": {"*": {"provide": True}},
    "presence": {"*": {"allow": True}},
}


class ReloadTests(ApiTestCase):
    """
    Rules that are replaced while the node runs.
    """

    def make_node(self, settings: Settings) -> Node:
        self.reactor = MemoryReactorClock()
        endpoint = TCP4ServerEndpoint(self.reactor, 6020, interface="127.0.0.1")
        self.rules: dict[str, Any] = RULES
        return Node(rules(RULES), [endpoint], self.reactor, reread=lambda: rules(self.rules))

    async def begin(self, api: Api) -> list[Ongoing]:
        return [
            await api.events.subscribe("a", print),
            await api.records.subscribe("a"),
            await api.presence.subscribe(print),
            await api.presence.subscribe(print, user="bob"),
            await api.rpc.provide("a", print),
            await api.events.listen("a", lambda name: True),
            await api.records.listen("a", lambda name: True),
        ]

    def test_denied_later(self) -> None:
        """
        All that new rules deny ends with that error; the handle of the server keeps it.
        """
        ann = self.done(self.begin(self.api.as_user("ann")))
        own = self.done(self.begin(self.api))
        ended = [each.ended() for each in ann]
        self.rules = {}
        self.assertTrue(self.node.reload())
        self.reactor.pump([0] * 10)
        for each in ended:
            self.assertEqual(self.failureResultOf(each, MessageDenied).value.event, "MESSAGE_DENIED")
        self.assertEqual([each.closed for each in ann + own], [True] * 7 + [False] * 7)
        self.done(self.api.rpc.provide("b", print))
