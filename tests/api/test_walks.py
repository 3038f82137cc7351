"""
Random walks: requests to the API in any order, with slow and changing permissions, cancelled and closed at any moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail

from dstwist.api.api import Api
from dstwist.api.errors import ApiError
from dstwist.api.ongoing import Ongoing
from dstwist.errors import RuleError
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from tests.api.stage import ApiTestCase

NAMES = "abc"

#: The steps of one walk.
STEPS = 80

#: No rule decides about the end of something, or about answers to the server.
FREE = ("UN", "LISTEN_", "ACCEPT", "RESPONSE", "REJECT", "REQUEST_ERROR")


class WalkTests(ApiTestCase):
    """
    Always true: each request ends, each thing that goes on ends once, and nothing is left of a closed one.
    """

    def begin(self, seed: int) -> None:
        """
        A new node, with three handles.
        """
        self.random = random.Random(seed)
        self.slow = True
        self.undecided: list[Deferred[bool]] = []
        self.patch(OpenPermission, "allows", lambda permission, message, *rest: self.decide(message))
        self.node = self.make_node(self.settings)
        self.node.startService()
        self.turn()
        self.api = self.node.api
        self.handles = [self.api, self.api.as_user("ann"), self.api.as_user("bob")]
        self.asked: list[Deferred[Any]] = []
        self.outcomes: list[Any] = []
        self.ongoing: list[Ongoing] = []
        self.ends: list[Any] = []
        self.depth = 0

    def decide(self, message: Message) -> bool | Deferred[bool]:
        if not self.slow or message.action.name.startswith(FREE):
            return True
        kind = self.random.randrange(20)
        if kind < 10:
            return True
        if kind < 12:
            return False
        if kind < 13:
            return fail(RuleError("no"))
        self.undecided.append(Deferred(lambda decision: None))
        return self.undecided[-1]

    def decide_one(self) -> None:
        decision = self.undecided.pop(self.random.randrange(len(self.undecided)))
        if not decision.called:
            decision.callback(self.random.random() < 0.6)

    def called(self, *arguments: Any) -> Any:
        """
        A function of the application, which may do anything.
        """
        if self.depth < 4:
            self.depth += 1
            kind = self.random.random()
            if kind < 0.2:
                self.ask()
            elif kind < 0.3 and self.ongoing:
                self.follow(self.random.choice(self.ongoing).close())
            self.depth -= 1
        return self.random.choice([None, True, 1, self.called])

    def ask(self) -> None:
        api: Api = self.random.choice(self.handles)
        name, called = self.random.choice(NAMES), self.called
        requests: list[Callable[[], Deferred[Any]]] = [
            lambda: api.events.emit(name, 1),
            lambda: api.events.subscribe(name, called),
            lambda: api.events.listen(name, called),
            lambda: api.records.get(name),
            lambda: api.records.set(name, {"x": 1}),
            lambda: api.records.patch(name, "y", 2),
            lambda: api.records.delete(name),
            lambda: api.records.update(name, lambda data: {"z": called() is None}),
            lambda: api.records.subscribe(name, called),
            lambda: api.records.listen(name, called),
            lambda: api.rpc.provide(name, lambda request: called() is None),
            lambda: api.rpc.call(name, timeout=self.random.choice([None, 5.0])),
            lambda: api.presence.online(),
            lambda: api.presence.subscribe(called),
            lambda: api.presence.subscribe(called, user=name),
        ]
        self.follow(self.random.choice(requests)())

    def follow(self, asked: Deferred[Any]) -> None:
        self.asked.append(asked)
        asked.addCallbacks(self.succeeded, self.failed).addErrback(self.outcomes.append)

    def succeeded(self, result: Any) -> None:
        self.outcomes.append(None)
        if isinstance(result, Ongoing):
            self.ongoing.append(result)
            result.ended().addBoth(self.ends.append)

    def failed(self, failure: Any) -> None:
        failure.trap(ApiError, CancelledError)
        self.outcomes.append(None)

    def step(self) -> None:
        kind = self.random.random()
        if kind < 0.6:
            self.ask()
        elif kind < 0.68 and self.asked:
            self.random.choice(self.asked).cancel()
        elif kind < 0.76 and self.ongoing:
            self.follow(self.random.choice(self.ongoing).close())
        elif kind < 0.78:
            self.random.choice(self.handles[1:]).close()
        elif kind < 0.86 and self.undecided:
            self.decide_one()
        elif kind < 0.88:
            self.reactor.advance(self.random.choice([1, 35, 61]))
        else:
            self.turn()

    def decide_all(self) -> None:
        self.slow = False
        for _ in range(5):
            while self.undecided:
                self.decide_one()
            self.reactor.advance(1)
        self.reactor.pump([61, 0, 61, 0])

    def check_ends(self) -> None:
        """
        All requests and all that went on have ended.
        """
        self.assertEqual(self.outcomes, [None] * len(self.asked))
        self.assertEqual(len(self.ends), len(self.ongoing))
        self.successResultOf(self.node.stop())
        self.turn()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_close(self) -> None:
        """
        Nothing is left at the server when the application has closed all that went on.
        """
        for seed in range(60):
            self.begin(seed)
            for _ in range(STEPS):
                self.step()
            self.decide_all()
            for each in self.ongoing:
                each.close()
            self.turn()
            for api in self.handles:
                self.assertEqual((len(api._handle.asking), len(api._handle.subscribing)), (0, 0), seed)
            topics = self.node._client_side._topics
            presence: Any = topics.by_topic[Topic.PRESENCE]
            for registry in (
                *topics.subscriptions.values(),
                *topics.listeners.values(),
                presence.single_users,
                presence.all_users,
            ):
                left = [registry.names_of(connection) for connection in registry.connections()]
                self.assertFalse(any(left), (seed, left))
            self.check_ends()

    def test_stop(self) -> None:
        """
        The node stops in the middle of all that.
        """
        for seed in range(60):
            self.begin(seed)
            for _ in range(STEPS):
                self.step()
            stopped = self.node.stop()
            self.decide_all()
            self.successResultOf(stopped)
            self.check_ends()
