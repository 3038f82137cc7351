"""
Tests for L{dstwist.api.api}: handles, their beginning and their end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock

from dstwist.api.api import Api
from dstwist.api.errors import HandleClosed, InvalidValue, MessageDenied
from dstwist.api.ongoing import Ongoing
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import Settings
from dstwist.node import Node
from tests.api.stage import ApiTestCase, ignore, rules
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
            bob.rpc.provide("add", ignore),
            bob.presence.online(),
            bob.records.listen("x", ignore),
        ):
            self.refused(asked, HandleClosed)
        self.done(self.api.events.emit("news", 1))
        self.assertEqual(taken, [])
        self.assertEqual(self.api.figures().events, 0)

    def test_shown(self) -> None:
        """
        A handle is shown with the user in whose name it makes requests.
        """
        bob = self.api.as_user("bob")
        self.assertEqual([repr(self.api), repr(bob)], ["<Api of the server>", "<Api of user 'bob'>"])
        bob.close()
        self.assertEqual(repr(bob), "<Api of user 'bob', closed>")

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

    def test_close_of_the_server(self) -> None:
        """
        The handle of the server is not closed by the application: plug-ins share it.
        """

        async def use() -> None:
            async with self.api:
                self.fail("entered")

        self.assertRaises(MessageDenied, self.api.close)
        self.assertRaises(MessageDenied, self.api.__enter__)
        self.refused(use(), MessageDenied)
        self.done(self.api.records.set("a", {}))

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

    def test_own_server_data(self) -> None:
        """
        The data for rules are those of the call: the application may change its value later.
        """
        data = {"roles": ["reader"]}
        ann = self.api.as_user("ann", data)
        data["roles"].append("writer")
        self.assertEqual(ann._handle.identity.server_data, {"roles": ["reader"]})
        self.assertRaises(InvalidValue, self.api.as_user, "ann", {1})

    def test_invalid_reason(self) -> None:
        """
        A reason that cannot be sent ends no connection.
        """
        self.client("v4", "ann")
        self.assertRaises(InvalidValue, self.api.kick, "ann", "\ud800")
        self.assertEqual(self.api.figures().connections, 1)

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

    def test_only_the_server(self) -> None:
        """
        A handle of a user cannot make handles of other users, kick users, or count, also after it has closed.
        """
        bob = self.api.as_user("bob")
        for _ in range(2):
            for method, arguments in ((bob.as_user, ("ann",)), (bob.kick, ("ann", "go")), (bob.figures, ())):
                error = self.assertRaises(MessageDenied, method, *arguments)
                self.assertIn("only the server itself may do this, with node.api", str(error))
            bob.close()
        self.refused(bob.login({"username": "ann"}), HandleClosed)
        self.assertEqual(self.api.figures().handles, 1)
        self.done(self.node.stop())
        for method, arguments in (
            (self.api.as_user, ("ann",)),
            (self.api.kick, ("ann", "go")),
            (self.api.figures, ()),
        ):
            error = self.assertRaises(HandleClosed, method, *arguments)
            self.assertEqual(str(error), "IS_CLOSED: the node has stopped")

    def test_no_function(self) -> None:
        """
        What cannot be called is refused at once, everywhere.
        """
        anything: Any = 5
        for name, asked in {
            "callback": (
                self.api.events.subscribe("a", anything),
                self.api.records.subscribe("a", anything),
                self.api.lists.subscribe("a", anything),
                self.api.presence.subscribe(anything),
                self.api.presence.subscribe(anything, user="ann"),
            ),
            "function": (
                self.api.rpc.provide("a", anything),
                self.api.records.listen("a", anything),
                self.api.events.listen("a", anything),
                self.api.records.update("a", anything),
            ),
        }.items():
            for each in asked:
                error = self.refused(each, InvalidValue)
                self.assertEqual(error.detail, f"the {name} is of type int, not a function")
        figures = self.api.figures()
        self.assertEqual((figures.events, figures.records, figures.procedures), (0, 0, 0))


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
            await api.events.subscribe("a", ignore),
            await api.records.subscribe("a"),
            await api.presence.subscribe(ignore),
            await api.presence.subscribe(ignore, user="bob"),
            await api.rpc.provide("a", ignore),
            await api.events.listen("a", lambda name: True),
            await api.records.listen("a", lambda name: True),
        ]

    def test_denied_later(self) -> None:
        """
        All that new rules deny ends with that error; the handle of the server keeps it.
        """
        ann = self.done(self.begin(self.api.as_user("ann")))
        own = self.done(self.begin(self.api))
        bob = self.done(self.begin(self.api.as_user("bob")))
        ended = [each.ended() for each in ann]
        lines = Lines(self)
        self.rules = {}
        self.assertTrue(self.node.reload())
        self.reactor.pump([0] * 10)
        self.assertEqual(
            lines.of("warn"),
            [
                f"MESSAGE_DENIED | the {what} of bob (api) has ended, and the application does not wait for its end"
                for what in ("subscription to a", "listening to a", "provision of a")
            ],
        )
        self.assertTrue(all(each.closed for each in bob))
        for each in ended:
            self.assertEqual(self.failureResultOf(each, MessageDenied).value.event, "MESSAGE_DENIED")
        self.assertEqual(
            [each.error.detail for each in ann if each.error is not None],
            ["SUBSCRIBE", "SUBSCRIBECREATEANDREAD", "SUBSCRIBE_ALL", "SUBSCRIBE", "PROVIDE", "LISTEN", "LISTEN"],
        )
        self.assertEqual([each.closed for each in ann + own], [True] * 7 + [False] * 7)
        self.done(self.api.rpc.provide("b", ignore))
