"""
Listeners in the chaos test, and clients that want names on and off.

At rest each name that clients want has exactly one provider, and no other name has one. Those who want a record know
whether it has a provider.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from typing import Any

from dstwist.protocol.constants import ACTIONS, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.chaos.client import Actor
from tests.e2e.chaos.records import DELETIONS, REFUSALS

PATTERN = "wanted/.*"
NAMES = tuple(f"wanted/{number}" for number in range(6))

#: The topics that have listeners.
TOPICS = (Topic.EVENT, Topic.RECORD)

#: How often a client changes what it wants, when it may.
_CHANGED = 0.2

Wanted = tuple[Topic, str]


class Listener(Actor):
    """
    Accepts most names, always the same ones.

    @ivar provides: the names that it provides, as far as it knows.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self.provides: set[Wanted] = set()

    def accepts(self, name: str) -> bool:
        """
        Whether it accepts a name.
        """
        return zlib.crc32(f"{self.name} {name}".encode()) % 4 != 0

    def logged_in(self) -> None:
        for topic in TOPICS:
            self.say(Message(topic, ACTIONS[topic]["LISTEN"], PATTERN, correlation_id="0"))

    def logged_out(self) -> None:
        self.provides.clear()

    def heard(self, message: Message) -> None:
        topic = message.topic
        if topic not in TOPICS or message.subscription is None:
            return
        wanted = topic, message.subscription
        if message.action.name == "SUBSCRIPTION_FOR_PATTERN_FOUND":
            accepts = self.accepts(message.subscription)
            action = ACTIONS[topic]["LISTEN_ACCEPT" if accepts else "LISTEN_REJECT"]
            self.say(Message(topic, action, message.name, subscription=message.subscription))
            self.book.count("names accepted" if accepts else "names rejected")
            if accepts:
                self.provides.add(wanted)
        elif message.action.name in ("SUBSCRIPTION_FOR_PATTERN_REMOVED", "LISTEN_RESPONSE_TIMEOUT"):
            self.provides.discard(wanted)


class Wanter(Actor):
    """
    Wants names, and does not want them any more.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self.wants: set[Wanted] = set()
        # The names whose UNSUBSCRIBE was not acknowledged.
        self._leaving: set[Wanted] = set()
        self._has_provider: dict[str, bool] = {}
        self._is_refused = False

    def logged_out(self) -> None:
        self.wants.clear()
        self._leaving.clear()
        self._has_provider.clear()
        self._is_refused = False

    def act(self) -> None:
        if self.random.random() < _CHANGED:
            wanted = self.random.choice(TOPICS), self.random.choice(NAMES)
            if wanted not in self._leaving:
                self._change(wanted)

    def _change(self, wanted: Wanted) -> None:
        topic, name = wanted
        action: IntEnum
        if wanted in self.wants:
            self.wants.discard(wanted)
            self._leaving.add(wanted)
            if topic is Topic.RECORD:
                self._has_provider.pop(name, None)
            action = ACTIONS[topic]["UNSUBSCRIBE"]
        else:
            self.wants.add(wanted)
            action = RecordAction.SUBSCRIBECREATEANDREAD if topic is Topic.RECORD else ACTIONS[topic]["SUBSCRIBE"]
        self.say(Message(topic, action, names=(name,), correlation_id=name))

    def heard(self, message: Message) -> None:
        topic, action = message.topic, message.action
        if message.is_ack and action.name == "UNSUBSCRIBE":
            names = (message.correlation_id, message.name, *message.names)
            self._leaving -= {(topic, str(name)) for name in names}
        elif topic is Topic.RECORD and action in REFUSALS:
            # It does not know whether it is subscribed. To text clients, errors of stores have no name.
            self._is_refused = True
        elif topic is Topic.RECORD and (topic, message.name) in self.wants:
            if action is RecordAction.SUBSCRIPTION_HAS_PROVIDER:
                self._has_provider[str(message.name)] = True
            elif action is RecordAction.SUBSCRIPTION_HAS_NO_PROVIDER:
                self._has_provider[str(message.name)] = False
            elif action in DELETIONS:
                # With the record, its subscriptions have ended.
                self.wants.discard((topic, str(message.name)))
                self._has_provider.pop(str(message.name), None)

    def ask(self) -> None:
        if self._is_refused:
            self._is_refused = False
            self.leave()

    def wrong(self) -> list[str]:
        provided = {wanted for listener in self.others(Listener) for wanted in listener.provides}
        waiting = [f"{self.name} at {self.node} gets no answer to UNSUBSCRIBE {wanted[1]}" for wanted in self._leaving]
        return waiting + [
            f"{self.name} at {self.node} is told that {name} has {'a' if told else 'no'} provider"
            for topic, name in sorted(self.wants)
            if topic is Topic.RECORD and (told := self._has_provider.get(name, False)) != ((topic, name) in provided)
        ]


def wrong_providers(actors: list[Actor]) -> list[str]:
    """
    The names that do not have the providers that they must have.
    """
    wanted = {each for actor in actors if isinstance(actor, Wanter) for each in actor.wants}
    listeners = [actor for actor in actors if isinstance(actor, Listener) and actor.wire is not None]
    problems = []
    for topic in TOPICS:
        for name in NAMES:
            providers = [listener.name for listener in listeners if (topic, name) in listener.provides]
            accepting = any(listener.accepts(name) for listener in listeners)
            is_wanted = (topic, name) in wanted
            if len(providers) != (1 if is_wanted and accepting else 0):
                problems.append(
                    f"{topic.name} {name} is {'' if is_wanted else 'not '}wanted, and has the providers {providers}"
                )
    return problems
