"""
Presence in the chaos test: users that come and go, and clients that watch them.

Per watcher and user, joins and leaves alternate. At rest they are true, and so is the answer to a query.
"""

from __future__ import annotations

import json
from typing import Any

from dstwist.protocol.constants import PresenceAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import to_json
from tests.e2e.chaos.client import Actor

_JOINS = (PresenceAction.PRESENCE_JOIN, PresenceAction.PRESENCE_JOIN_ALL)
_LEAVES = (PresenceAction.PRESENCE_LEAVE, PresenceAction.PRESENCE_LEAVE_ALL)

#: The users that come and go. Each may have several connections.
VISITORS = tuple(f"visitor{number}" for number in range(4))


class Visitor(Actor):
    """
    A connection of a user that logs out and in again, often at another node.
    """

    def __init__(self, *actor: Any) -> None:
        super().__init__(*actor)
        self.user = self.random.choice(VISITORS)

    def act(self) -> None:
        if self.random.random() < 0.05 and self.wire is not None:
            self.leave()
            self.book.count("logouts")

    def logged_out(self) -> None:
        self.user = self.random.choice(VISITORS)
        self.node = self.random.choice(self.cluster.names)


class Watcher(Actor):
    """
    Is told of all users.
    """

    def logged_in(self) -> None:
        # By user: what it was told last by a join or a leave, and what it believes.
        self._told: dict[str, bool] = {}
        self._believed: set[str] = set()
        self._was_answered = False
        self._found: set[str] | None = None
        self.say(Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE_ALL))
        self.ask()

    def ask(self) -> None:
        self.say(Message(Topic.PRESENCE, PresenceAction.QUERY_ALL))

    def heard(self, message: Message) -> None:
        if message.topic is not Topic.PRESENCE:
            return
        if message.action is PresenceAction.QUERY_ALL_RESPONSE:
            self._found = {*message.names, self.user}
            if not self._was_answered:
                self._was_answered = True
                self._believed |= {user for user in self._found if user not in self._told}
        elif message.action in _JOINS or message.action in _LEAVES:
            self._is_told(str(message.name), message.action in _JOINS)

    def _is_told(self, user: str, is_online: bool) -> None:
        what = "joins" if is_online else "leaves"
        self.book.count(what)
        if self._told.get(user) is is_online:
            self.book.complain(f"{self.name} at {self.node} is told twice that {user} {what}")
        self._told[user] = is_online
        (self._believed.add if is_online else self._believed.discard)(user)
        if not is_online and not self.book.may_leave(user):
            self.book.complain(f"{self.name} at {self.node} is told that {user} leaves, who has not gone")

    def begin_rest(self) -> None:
        self._found = None

    def wrong(self) -> list[str]:
        if self.wire is None:
            return []
        users = self.book.users
        problems = []
        for what, known in (("was told", self._believed), ("asks and hears", self._found)):
            if known is not None and known != users:
                lacks, more = sorted(users - known), sorted(known - users)
                problems.append(f"{self.name} at {self.node} {what} without {lacks}, with {more} who are not online")
        if self._found is None:
            problems.append(f"{self.name} at {self.node} is not answered who is online")
        return problems


class NamedWatcher(Actor):
    """
    Is told of the users that come and go.
    """

    def logged_in(self) -> None:
        self._told: dict[str, bool] = {}
        self._found: dict[str, bool] | None = None
        self._number = 0
        request = Message(Topic.PRESENCE, PresenceAction.SUBSCRIBE, names=VISITORS, correlation_id="s")
        self.say(request)
        self.ask()

    def ask(self) -> None:
        self._number += 1
        self.say(Message(Topic.PRESENCE, PresenceAction.QUERY, names=VISITORS, correlation_id=f"q{self._number}"))

    def heard(self, message: Message) -> None:
        if message.topic is not Topic.PRESENCE:
            return
        if message.action is PresenceAction.QUERY_RESPONSE:
            self._found = answers_of(message)
        elif message.action in _JOINS or message.action in _LEAVES:
            user, is_online = str(message.name), message.action in _JOINS
            if self._told.get(user) is is_online:
                what = "joins" if is_online else "leaves"
                self.book.complain(f"{self.name} at {self.node} is told twice that {user} {what}")
            self._told[user] = is_online

    def begin_rest(self) -> None:
        self._found = None

    def wrong(self) -> list[str]:
        if self.wire is None:
            return []
        if self._found is None:
            return [f"{self.name} at {self.node} is not answered which users are online"]
        users = self.book.users
        return [
            f"{self.name} at {self.node} {what} of {user}: {is_online}"
            for what, known in (("was told", self._told), ("asks and hears", self._found))
            for user, is_online in known.items()
            if is_online != (user in users)
        ]


def answers_of(message: Message) -> dict[str, bool]:
    """
    The users of the answer to a query, and whether they are online.
    """
    return dict(json.loads(to_json(message.data) or b"{}"))
