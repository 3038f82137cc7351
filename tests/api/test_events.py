"""
Tests for L{dstwist.api.events}.
"""

from __future__ import annotations

from typing import Any

from dstwist.api.errors import InvalidValue, MessageDenied
from dstwist.protocol.constants import EventAction
from dstwist.protocol.jsontext import loads
from dstwist.protocol.typed import to_json
from tests.api.stage import ApiTestCase, collect, ignore, rules
from tests.nodes.client import GENERATIONS

VALUES: list[Any] = [{"a": [1, None, {"b": "c"}]}, [], "x", "", 1.5, 0, True, False]


class EventTests(ApiTestCase):
    """
    Events between the application and clients of both generations.
    """

    def test_emit(self) -> None:
        """
        An event of the application reaches clients of both generations, with each kind of value.
        """
        for generation in GENERATIONS:
            client = self.client(generation)
            client.subscribe("news")
            self.turn()
            client.heard()
            for value in VALUES:
                self.done(self.api.events.emit("news", value))
                (event,) = client.heard()
                self.assertEqual((event.action, event.name), (EventAction.EMIT, "news"))
                self.assertEqual(loads(to_json(event.data) or b""), value)

    def test_subscribe(self) -> None:
        """
        An event of a client reaches the application, in a later turn.
        """
        taken: list[Any] = []
        self.done(self.api.events.subscribe("news", taken.append))
        for generation, data in (("v3", 'O{"a":1}'), ("v4", b'{"a":1}')):
            client = self.client(generation)
            client.emit("news", data)
            self.assertEqual(taken, [])
            self.turn()
            self.assertEqual(taken, [{"a": 1}])
            taken.clear()

    def test_own_events(self) -> None:
        """
        A subscription gets the events of its own handle as well.
        """
        taken: list[Any] = []
        self.done(self.api.events.subscribe("news", collect(taken)))
        self.done(self.api.events.emit("news", 1))
        self.done(self.api.events.emit("news"))
        self.assertEqual(taken, [1, None])

    def test_iteration(self) -> None:
        """
        Events wait for an iteration, which ends when the subscription is closed.
        """
        taken: list[Any] = []

        async def read() -> None:
            async with await self.api.events.subscribe("news") as news:
                async for event in news:
                    taken.append(event)
                    if event == 3:
                        await news.close()

        reading = self.started(read())
        for number in range(5):
            self.done(self.api.events.emit("news", number))
        self.assertEqual(taken, [0, 1, 2, 3])
        self.assertIsNone(self.successResultOf(reading))

    def test_invalid(self) -> None:
        """
        A value that is no JSON, and a name that is none, are refused with the reason.
        """
        error = self.refused(self.api.events.emit("news", {"a": [1, object()]}), InvalidValue)
        self.assertEqual(str(error), "INVALID_MESSAGE_DATA: value['a'][1]: of type object is no JSON")
        self.refused(self.api.events.emit(""), InvalidValue)
        self.refused(self.api.events.subscribe(3, ignore), InvalidValue)  # type: ignore[arg-type]


class UserEventTests(ApiTestCase):
    """
    Events in the name of a user.
    """

    settings = rules(
        {"event": {"*": {"subscribe": "name !== 'secret'", "publish": "user.data.level > 1 && name !== 'secret'"}}}
    )

    def test_rules(self) -> None:
        """
        The rules apply to a user, with the data that the application gives, and not to the server.
        """
        ann = self.api.as_user("ann", server_data={"level": 2})
        bob = self.api.as_user("bob", server_data={"level": 1})
        taken: list[Any] = []
        self.done(ann.events.subscribe("news", taken.append))
        self.done(ann.events.emit("news", 1))
        error = self.refused(bob.events.emit("news", 2), MessageDenied)
        self.assertEqual((error.event, error.name), ("MESSAGE_DENIED", "news"))
        self.refused(bob.events.subscribe("secret", taken.append), MessageDenied)
        self.done(self.api.events.subscribe("secret", taken.append))
        self.done(self.api.events.emit("secret", 3))
        self.assertEqual(taken, [1, 3])
