"""
Tests for L{dstwist.api.listening}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dstwist.api.api import Api
from dstwist.api.errors import ApiError, HandleClosed, MessageDenied
from dstwist.api.listening import Listening
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.api.stage import ApiTestCase, ignore, rules
from tests.nodes.client import GENERATIONS, MemoryClient


class ListeningTests(ApiTestCase):
    """
    The application is told which names clients want.
    """

    def setUp(self) -> None:
        super().setUp()
        self.calls: list[str] = []

    def provide(self, name: str) -> Any:
        self.calls.append(f"+{name}")
        return lambda: self.calls.append(f"-{name}")

    def take(self) -> list[str]:
        self.turn()
        calls, self.calls = self.calls, []
        return calls

    def leave(self, client: MemoryClient, name: str) -> None:
        client.say(Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=(name,), correlation_id="9"))

    def test_events(self) -> None:
        """
        A name is wanted from its first subscriber to its last one.
        """
        self.done(self.api.events.listen("^news/", self.provide))
        for generation in GENERATIONS:
            client, other = self.client(generation), self.client(generation)
            for each in (client, other):
                each.subscribe("news/a")
                each.subscribe("other")
            self.assertEqual(self.take(), ["+news/a"])
            self.leave(client, "news/a")
            self.assertEqual(self.take(), [])
            other.transport.loseConnection()
            self.assertEqual(self.take(), ["-news/a"])

    def test_records(self) -> None:
        """
        A provider of a record writes it; its subscribers are told that there is a provider.
        """

        async def provide(name: str) -> Any:
            self.calls.append(name)
            await self.api.records.set(name, {"x": 1})
            return True

        listening = self.done(self.api.records.listen("^price/", provide))
        client = self.client("v4")
        client.say(Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("price/oil",), correlation_id="1"))
        self.assertEqual(self.take(), ["price/oil"])
        self.assertEqual(listening.provided, ["price/oil"])
        actions = [message.action for message in client.heard()]
        self.assertIn(RecordAction.SUBSCRIPTION_HAS_PROVIDER, actions)
        self.assertIn(RecordAction.UPDATE, actions)

    def test_declined(self) -> None:
        """
        A name that is declined goes to another listener. A listener that fails declines.
        """
        ann, bob = self.api.as_user("ann"), self.api.as_user("bob")
        self.done(ann.events.listen("^news/", lambda name: None))
        self.done(bob.events.listen("^news/", lambda name: 1 // 0))
        self.client().subscribe("news/a")
        self.turn()
        self.done(self.api.events.listen("^news/", self.provide))
        self.assertEqual(self.take(), ["+news/a"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_late(self) -> None:
        """
        If the name is not wanted any more when the application has decided, it is told to stop at once.
        """
        decision: Deferred[Any] = Deferred()
        self.done(self.api.events.listen("^news/", lambda name: decision))
        client = self.client()
        client.subscribe("news/a")
        self.turn()
        self.leave(client, "news/a")
        self.turn()
        decision.callback(lambda: self.calls.append("stop"))
        self.assertEqual(self.take(), ["stop"])

    def test_close(self) -> None:
        """
        A listener that ends stops providing, and the names go to others.
        """
        listening = self.done(self.api.events.listen("^news/", self.provide))
        error = self.refused(self.api.events.listen("^news/", ignore), ApiError)
        self.assertEqual(error.event, "MULTIPLE_SUBSCRIPTIONS")
        self.client().subscribe("news/a")
        self.assertEqual(self.take(), ["+news/a"])
        self.done(listening.close())
        self.assertEqual(self.take(), ["-news/a"])
        self.done(self.api.events.listen("^news/", self.provide))
        self.assertEqual(self.take(), ["+news/a"])

    def test_closed_while_deciding(self) -> None:
        """
        If the listening has ended when the application has decided, it is told to stop at once.
        """
        decision: Deferred[Any] = Deferred()
        listening = self.done(self.api.events.listen("^news/", lambda name: decision))
        self.client().subscribe("news/a")
        self.turn()
        self.done(listening.close())
        decision.callback(lambda: self.calls.append("stop"))
        self.assertEqual(self.take(), ["stop"])

    def test_closed_while_asked(self) -> None:
        """
        The application ends the listening while it is asked, and is told to stop at once.
        """
        listenings: list[Listening] = []

        def close(name: str) -> Any:
            listenings[0].close()
            return lambda: self.calls.append("stop")

        listenings.append(self.done(self.api.events.listen("^news/", close)))
        self.client().subscribe("news/a")
        self.assertEqual(self.take(), ["stop"])
        self.assertEqual(listenings[0].provided, [])

    def test_handle_closed(self) -> None:
        """
        When the handle closes, everything that is provided is stopped.
        """
        bob: Api = self.api.as_user("bob")
        listening = self.done(bob.events.listen("^news/", self.provide))
        ended = listening.ended()
        self.client().subscribe("news/a")
        self.turn()
        bob.close()
        self.assertEqual(self.take(), ["+news/a", "-news/a"])
        self.refused(ended, HandleClosed)

    def test_stop_fails(self) -> None:
        """
        A function that fails to stop is logged.
        """
        listening = self.done(self.api.events.listen("^news/", lambda name: lambda: 1 // 0))
        self.client().subscribe("news/a")
        self.turn()
        self.done(listening.close())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_invalid_pattern(self) -> None:
        """
        A pattern that is none is refused.
        """
        self.assertEqual(self.refused(self.api.events.listen("(", ignore), ApiError).event, "INVALID_LISTEN_REGEX")
        self.assertEqual(self.refused(self.api.events.listen("(", ignore), ApiError).event, "INVALID_LISTEN_REGEX")


class RuleTests(ApiTestCase):
    """
    Listening in the name of a user.
    """

    settings = rules(
        {"event": {"*": {"subscribe": True, "listen": "user.id === 'ann' && name.indexOf('secret') === -1"}}}
    )

    def test_rules(self) -> None:
        """
        The rules decide about a user: about the pattern, and about each name.
        """
        taken: list[str] = []
        self.refused(self.api.as_user("bob").events.listen("news", ignore), MessageDenied)
        self.done(self.api.as_user("ann").events.listen(".*", taken.append))
        for name in ("news/1", "secret/1"):
            self.client().subscribe(name)
        self.turn()
        self.assertEqual(taken, ["news/1"])
