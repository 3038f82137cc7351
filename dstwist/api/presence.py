"""
Presence: C{api.presence}.

The users who are online are those with a connection. A handle of the API is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.api.failing import failing
from dstwist.api.feeds import Feed, Feeds
from dstwist.api.handle import Handle
from dstwist.api.subscription import Subscription
from dstwist.api.values import check_name, from_data
from dstwist.api.wire import message_bytes
from dstwist.protocol.constants import EVERYONE, PresenceAction, Topic
from dstwist.protocol.message import Message

_PRESENCE = Topic.PRESENCE

_JOINS = frozenset((PresenceAction.PRESENCE_JOIN, PresenceAction.PRESENCE_JOIN_ALL))


@dataclass(frozen=True)
class PresenceChange:
    """
    A user has come or gone.

    @ivar online: whether the user is online now.
    """

    user: str
    online: bool


class UserFeed(Feed[PresenceChange]):
    """
    The comings and goings of one user.
    """

    def subscribing(self) -> Message:
        return Message(_PRESENCE, PresenceAction.SUBSCRIBE, names=(self.name,))

    def unsubscribing(self) -> Message:
        return Message(_PRESENCE, PresenceAction.UNSUBSCRIBE, names=(self.name,))

    def take(self, message: Message) -> None:
        change = PresenceChange(message.name or "", message.action in _JOINS)
        self.put(partial(_same, change), message_bytes(message))


class EveryoneFeed(UserFeed):
    """
    The comings and goings of all users. There is one such feed, of the name L{EVERYONE}.
    """

    def subscribing(self) -> Message:
        return Message(_PRESENCE, PresenceAction.SUBSCRIBE_ALL)

    def unsubscribing(self) -> Message:
        return Message(_PRESENCE, PresenceAction.UNSUBSCRIBE_ALL)


class Presence:
    """
    Tells which users are online.
    """

    def __init__(self, handle: Handle) -> None:
        self._asking = handle.asking
        self._users = users = Feeds(UserFeed, handle)
        self._everyone = everyone = Feeds(EveryoneFeed, handle)
        for action in (PresenceAction.PRESENCE_JOIN, PresenceAction.PRESENCE_LEAVE):
            handle.news[_PRESENCE, action] = users.received
        for action in (PresenceAction.PRESENCE_JOIN_ALL, PresenceAction.PRESENCE_LEAVE_ALL):
            handle.news[_PRESENCE, action] = self._received_by_all
        handle.denied[_PRESENCE, PresenceAction.SUBSCRIBE] = users.received
        handle.denied[_PRESENCE, PresenceAction.SUBSCRIBE_ALL] = self._received_by_all
        handle.on_close += (users.close, everyone.close)

    def _received_by_all(self, message: Message) -> None:
        self._everyone.received(message, EVERYONE)

    def online(self) -> Deferred[list[str]]:
        """
        The users who are online, without the user of this handle.
        """
        asked = Message(_PRESENCE, PresenceAction.QUERY_ALL)
        return self._asking.ask(asked).addCallback(lambda answer: list(answer.names))

    @failing
    def are_online(self, users: Iterable[str]) -> Deferred[dict[str, bool]]:
        """
        Whether each of C{users} is online.
        """
        names = tuple(dict.fromkeys(users))
        for user in names:
            check_name(user, "user")
        asked = Message(_PRESENCE, PresenceAction.QUERY, names=names)
        return self._asking.ask(asked).addCallback(lambda answer: from_data(answer.data))

    def is_online(self, user: str) -> Deferred[bool]:
        """
        Whether C{user} is online.
        """
        return self.are_online((user,)).addCallback(lambda online: bool(online.get(user)))

    @failing
    def subscribe(
        self, callback: Callable[[PresenceChange], object] | None = None, user: str | None = None
    ) -> Deferred[Subscription[PresenceChange]]:
        """
        Subscribe to the comings and goings of users.

        @param callback: is called with each L{PresenceChange}. It may return a coroutine, which is run. If it is
            C{None}, iterate over the subscription.
        @param user: the user; C{None}: all users.
        """
        if user is None:
            return self._everyone.join(EVERYONE, callback)
        check_name(user, "user")
        return self._users.join(user, callback)


def _same(change: Any) -> Any:
    return change
