"""
Listening, whatever clients do: a model of what they may believe, against random deeds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.interfaces import IIdentity, IPermission
from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT
from dstwist.protocol.message import Message
from dstwist.scheduling.turns import TIME_SLICE
from tests.fakes import BusyClock, FakeConnection
from tests.routing.stage import Stage

NAMES = ("a", "b", "ab")
PATTERNS = ("a", "b", ".*")
DEEDS = (
    "subscribe",
    "unsubscribe",
    "listen",
    "unlisten",
    "accept",
    "reject",
    "answer",
    "answer",
    "close",
    "wait",
    "turn",
)


@implementer(IPermission)
class Rule:
    """
    A permission that refuses some names to some users, and may take a while for it.
    """

    def __init__(self, refused: set[tuple[int, str]], delay: float, clock: BusyClock) -> None:
        self.refused = refused
        self.delay = delay
        self.clock = clock
        self.undecided = 0

    def allows(self, message: Message, identity: IIdentity, *others: Any) -> bool | Deferred[bool]:
        decision = (int(identity.user or ""), message.name) not in self.refused
        if not self.delay:
            return decision
        self.undecided += 1
        return deferLater(self.clock, self.delay, self._decided, decision)

    def _decided(self, decision: bool) -> bool:
        self.undecided -= 1
        return decision


class Model:
    """
    What clients may believe of a server, from its messages; fails when the server contradicts itself.
    """

    def __init__(self, test: SynchronousTestCase, stage: Stage, rule: Rule) -> None:
        self.test = test
        self.stage = stage
        self.rule = rule
        self.connections = [FakeConnection(str(who), dialect=(TEXT, PROTOBUF)[who % 2]) for who in range(4)]
        self.listening: set[tuple[int, str]] = set()
        # By name: who was asked last, and has neither answered nor been timed out.
        self.asked: dict[str, tuple[int, str]] = {}
        # What was offered since it is wanted, and since they listen.
        self.offered: set[tuple[int, str, str]] = set()
        # By name: who accepted, and was not told to stop.
        self.providers: dict[str, tuple[int, str]] = {}

    def step(self, action: str, who: int, pattern: str, name: str, seconds: float) -> None:
        stage, connection = self.stage, self.connections[who]
        if action == "wait":
            stage.clock.advance(seconds)
        elif action == "turn":
            stage.clock.advance(0)
        elif action == "close":
            self._forget(lambda asked: asked[0] == who)
            self.listening = {key for key in self.listening if key[0] != who}
            self.offered = {key for key in self.offered if key[0] != who}
            connection.close()
            self.connections[who] = FakeConnection(str(who), dialect=connection.dialect)
        elif action in ("subscribe", "unsubscribe"):
            getattr(stage, action)(connection, name)
            if name not in stage.subscriptions:
                self.asked.pop(name, None)
        elif action == "listen":
            self.listening.add((who, pattern))
            stage.listen(connection, pattern)
        elif action == "unlisten":
            self._forget(lambda asked: asked == (who, pattern))
            self.listening.discard((who, pattern))
            self.offered = {key for key in self.offered if key[:2] != (who, pattern)}
            stage.unlisten(connection, pattern)
        else:
            if action == "answer" and name in self.asked:
                who, pattern = self.asked[name]
                action = "accept" if seconds > 0.3 else "reject"
            self._answer(action, who, pattern, name)
        self.hear()

    def _answer(self, action: str, who: int, pattern: str, name: str) -> None:
        key, before = (who, pattern), self.providers.get(name)
        right = self.asked.get(name) == key
        if right:
            del self.asked[name]
        if action == "reject":
            self.stage.reject(self.connections[who], pattern, name)
            return
        self.stage.accept(self.connections[who], pattern, name)
        sent = self.connections[who].take()
        for message in sent:
            self.connections[who].write(message)
        refused = any(
            message.action.name in ("SUBSCRIPTION_FOR_PATTERN_REMOVED", "INVALID_MESSAGE") for message in sent
        )
        self.test.assertFalse(right and refused, "refused though asked")
        if not refused:
            self.test.assertIn(before, (None, key), "two provide at once")
            self.providers[name] = key

    def _forget(self, leaves: Callable[[tuple[int, str]], bool]) -> None:
        for table in (self.asked, self.providers):
            for name in [name for name, key in table.items() if leaves(key)]:
                del table[name]

    def hear(self) -> None:
        """
        Timeouts first: with the same turn of the clock the next one is asked.
        """
        heard = [(who, message) for who, connection in enumerate(self.connections) for message in connection.take()]
        for who, message in heard:
            if message.action.name == "LISTEN_RESPONSE_TIMEOUT":
                name = message.subscription or ""
                if name in self.asked and self.asked[name][0] == who:
                    del self.asked[name]
            elif message.action.name == "SUBSCRIPTION_FOR_PATTERN_REMOVED":
                if self.providers.get(message.subscription or "") == (who, message.name):
                    del self.providers[message.subscription or ""]
        for name in [name for name in self.asked if name not in self.stage.subscriptions]:
            del self.asked[name]
        # It is waited for no longer if only the one that is asked is left.
        for name in [name for name, (who, _) in self.asked.items() if self._wants_alone(who, name)]:
            del self.asked[name]
        self.offered = {key for key in self.offered if key[2] in self.stage.subscriptions}
        for who, message in heard:
            if message.action.name == "SUBSCRIPTION_FOR_PATTERN_FOUND":
                name, key = message.subscription or "", (who, message.name or "")
                self.test.assertIn(key, self.listening, "asked after it stopped listening")
                self.test.assertNotIn((who, name), self.rule.refused, "told a name that it must not hear of")
                self.test.assertNotIn(name, self.asked, "two are asked at once")
                self.test.assertFalse(self._wants_alone(who, name), "asked although it alone wants the name")
                self.test.assertFalse(self.stage.listeners.provided(name), "offered although provided")
                self.asked[name] = key
                self.offered.add((*key, name))
        for name in NAMES:
            # Where a provider has gone that is replaced in a later turn, the name still counts as provided.
            if not self._is_behind() or name in self.providers:
                self.test.assertEqual(self.stage.listeners.provided(name), name in self.providers)
        for name, (who, _) in self.providers.items():
            self.test.assertFalse(self._wants_alone(who, name), "provides what it alone wants")

    def _wants_alone(self, who: int, name: str) -> bool:
        """
        Whether a client that does not count its own subscription is the only subscriber.
        """
        connection = self.connections[who]
        return connection.dialect is TEXT and self.stage.subscriptions.subscribers(name) == [connection]

    def _is_behind(self) -> bool:
        return bool(len(self.stage.listeners._assignment.time_slices))

    def _await_decisions(self) -> None:
        """
        Wait until all registrations can have been tried once. With rematches there may always be a decision under way.
        """
        for _ in range(60):
            if not self.rule.undecided:
                break
            self.stage.clock.advance(self.rule.delay)
            self.hear()

    def finish(self) -> None:
        self._await_decisions()
        for _ in range(1000):
            if self._is_behind():
                self.stage.clock.advance(0)
                self.hear()
        for name in self.stage.subscriptions.names():
            if name not in self.asked and name not in self.providers:
                if any(self._wants_alone(who, name) for who, _ in self.listening):
                    continue
                for who, pattern in self.listening:
                    if re.search(pattern, name) and (who, name) not in self.rule.refused:
                        self.test.assertIn((who, pattern, name), self.offered, "left out")
        for connection in self.connections:
            connection.close()
        self._await_decisions()
        for _ in range(1000):
            if self._is_behind():
                self.stage.clock.advance(0)
        # A turn that took long has its end noticed.
        for _ in range(3):
            self.stage.clock.advance(0)
        self.test.assertEqual(self.stage.clock.getDelayedCalls(), [])
        for name in NAMES:
            self.test.assertFalse(self.stage.listeners.provided(name))


STEP = st.tuples(
    st.sampled_from(DEEDS),
    st.integers(0, 3),
    st.sampled_from(PATTERNS),
    st.sampled_from(NAMES),
    st.sampled_from([0.1, 0.4, 0.5]),
)


class RandomTests(SynchronousTestCase):
    """
    L{ListenerRegistry}, whatever clients do.
    """

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(
        st.lists(STEP, max_size=80),
        st.booleans(),
        st.sampled_from([Topic.EVENT, Topic.RECORD]),
        st.sampled_from([0, TIME_SLICE / 4]),
        st.sets(st.tuples(st.integers(0, 3), st.sampled_from(NAMES)), max_size=6),
        st.sampled_from([0, 0.2]),
    )
    def test_anything(
        self,
        steps: list[tuple[str, int, str, str, float]],
        shuffle: bool,
        topic: Topic,
        tick: float,
        refused: set[tuple[int, str]],
        delay: float,
    ) -> None:
        """
        A name is offered to one listener at a time, never to a connection that does not listen or may not be told the
        name, and never while it is provided. When all clients have left, nothing remains. This also holds where
        everything takes so long that little is done in one turn, and where rules take their time.
        """
        clock = BusyClock()
        clock.tick = tick
        # Either the clock or the rules take their time.
        rule = Rule(refused, 0 if tick else delay, clock)
        stage = Stage(
            topic,
            choose=(lambda registrations: registrations[-1]) if shuffle else None,
            clock=clock,
            permission=rule,
            rematch_interval=1.3,
            match_cooldown=1.0,
        )
        model = Model(self, stage, rule)
        for step in steps:
            model.step(*step)
        model.finish()
