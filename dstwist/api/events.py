"""
Events: C{api.events}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.api.failing import failing
from dstwist.api.feeds import Feed, Feeds
from dstwist.api.handle import Handle
from dstwist.api.listening import Listeners, Listening, Wanted
from dstwist.api.subscription import Subscription
from dstwist.api.values import check_name, from_data, to_json
from dstwist.api.wire import message_bytes
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message

_EVENT = Topic.EVENT


class EventFeed(Feed[Any]):
    """
    The events of one name.
    """

    def subscribing(self) -> Message:
        return Message(_EVENT, EventAction.SUBSCRIBE, names=(self.name,))

    def unsubscribing(self) -> Message:
        return Message(_EVENT, EventAction.UNSUBSCRIBE, names=(self.name,))

    def take(self, message: Message) -> None:
        self.put(partial(from_data, message.data), message_bytes(message))


class Events:
    """
    Emits events, and subscribes to them.
    """

    def __init__(self, handle: Handle) -> None:
        self._asking = handle.asking
        self._feeds = feeds = Feeds(EventFeed, handle)
        handle.news[_EVENT, EventAction.EMIT] = feeds.received
        handle.denied[_EVENT, EventAction.SUBSCRIBE] = feeds.received
        handle.on_close.append(feeds.close)
        self._listeners = Listeners(handle, _EVENT)

    @failing
    def emit(self, name: str, data: Any = None) -> Deferred[None]:
        """
        Emit an event to all subscribers of C{name}, those of this handle included.

        @param data: any JSON value.
        @return: fires when the server has sent the event.
        """
        check_name(name)
        message = Message(_EVENT, EventAction.EMIT, name, None if data is None else to_json(data))
        return self._asking.tell(message).addCallback(lambda _: None)

    @failing
    def subscribe(self, name: str, callback: Callable[[Any], object] | None = None) -> Deferred[Subscription[Any]]:
        """
        Subscribe to the events of C{name}.

        @param callback: is called with the data of each event. It may return a coroutine, which is run. If it is
            C{None}, iterate over the subscription: C{async for data in subscription}.
        @return: gives the subscription once the server has it: it gets all events from then on.
        """
        check_name(name)
        return self._feeds.join(name, callback)

    @failing
    def listen(self, pattern: str, wanted: Wanted) -> Deferred[Listening]:
        """
        Provide the events whose names match C{pattern}, a regular expression, while clients subscribe to them.

        @param wanted: is called with each name that gets its first subscriber. It returns a function, which is called
            when the last subscriber has left, or C{True}. It returns C{None} or C{False} if it does not provide the
            event. It may return a coroutine or a Deferred.
        """
        return self._listeners.listen(pattern, wanted)
