"""
Feeds: the names that a handle is subscribed to, and the subscriptions of the application behind them.

A handle has one subscription to a name at the server, however many subscriptions the application has::

    server --news--> feed of a name --item--> subscription (callback)
                                    --item--> subscription (iteration)

    asking  --- the server has subscribed the handle -------------------------> open
    asking  --- the server refuses --------------------------------------------> over: all who wait get the error
    open    --- the last subscription is closed: UNSUBSCRIBE ------------------> over
    open    --- the server ends it, or too much waits for the application -----> over: all subscriptions get the error

News come while the server is at work, so they wait for a delivery (L{dstwist.api.deliveries}), in their order with the
answers. All changes of a feed are made in deliveries, or by calls of the application.

Always true: a feed that is over is not in L{Feeds}. A name that is subscribed to again gets a new feed, whose SUBSCRIBE
the server gets behind the UNSUBSCRIBE of the old one; news of the old subscription are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from dstwist.api import subscription
from dstwist.api.calls import Calls
from dstwist.api.deliveries import Deliveries
from dstwist.api.errors import ApiError, SlowConsumer, error_of
from dstwist.api.handle import Handle
from dstwist.api.ongoing import ignore
from dstwist.api.subscription import Item, Subscription
from dstwist.api.values import check_function
from dstwist.api.wire import message_bytes
from dstwist.log import Logger
from dstwist.protocol.message import Message

_log = Logger()

Convert = Callable[[Any], Any]


class Feed(Generic[Item]):
    """
    One name.

    @param feeds: contains this feed until it is over.
    """

    def __init__(self, name: str, feeds: Feeds[Any], calls: Calls, deliveries: Deliveries) -> None:
        self.name = name
        self._feeds = feeds
        self._calls = calls
        self._deliveries = deliveries
        self._is_open = False
        self._is_over = False
        self._subscriptions: dict[Subscription[Item], None] = {}
        self._joining: dict[Deferred[Subscription[Any]], tuple[Callable[[Any], object] | None, Convert | None]] = {}
        # The news that were not delivered.
        self._waiting = 0
        self._waiting_bytes = 0
        self._overflowed = False

    # -- the kind of the feed

    def subscribing(self) -> Message:
        """
        The request that subscribes.
        """
        raise NotImplementedError

    def unsubscribing(self) -> Message:
        """
        The request that ends the subscription.
        """
        raise NotImplementedError

    def opened(self, answer: Message) -> None:
        """
        The server has subscribed the handle.
        """

    def joined(self, subscription: Subscription[Item]) -> None:
        """
        A subscription begins.
        """

    def take(self, message: Message) -> None:
        """
        Give the subscriptions the item of C{message}.
        """
        raise NotImplementedError

    # -- the subscriptions

    def ask(self) -> None:
        """
        Have the server subscribe the handle.
        """
        self._calls.ask(self.subscribing()).addCallbacks(self._subscribed, self._refused).addErrback(_broke)

    def join(
        self, callback: Callable[[Any], object] | None, convert: Convert | None = None
    ) -> Deferred[Subscription[Any]]:
        """
        A new subscription.

        @param convert: makes another item of each; C{None}: it gets the items as they are.
        """
        if self._is_open:
            return succeed(self._begin(callback, convert))
        joining: Deferred[Subscription[Any]] = Deferred(self._cancelled)
        self._joining[joining] = (callback, convert)
        return joining

    def put(self, make: Callable[[], Item], size: int) -> None:
        """
        Give all subscriptions an item.
        """
        for each in list(self._subscriptions):
            each._put(make, size)

    def _begin(self, callback: Callable[[Any], object] | None, convert: Convert | None) -> Subscription[Any]:
        begun: Subscription[Any] = Subscription(self.name, callback, self._leave, self._feeds.endings, convert)
        self._subscriptions[begun] = None
        self.joined(begun)
        return begun

    def _leave(self, subscription: Subscription[Item]) -> Deferred[None]:
        if subscription not in self._subscriptions:
            return succeed(None)
        del self._subscriptions[subscription]
        return self._end_if_unused()

    def _cancelled(self, joining: Deferred[Subscription[Any]]) -> None:
        del self._joining[joining]
        self._end_if_unused()

    def _end_if_unused(self) -> Deferred[None]:
        if self._subscriptions or self._joining or self._is_over:
            return succeed(None)
        self._is_over = True
        self._feeds.remove(self)
        return self._calls.ask(self.unsubscribing(), always=True).addCallbacks(lambda _: None, ignore)

    def end(self, error: ApiError) -> None:
        """
        The server has ended the subscription, or will end it.
        """
        if self._is_over:
            return
        self._is_over = True
        self._feeds.remove(self)
        while self._joining:
            # One by one: the application may cancel others.
            joining = next(iter(self._joining))
            del self._joining[joining]
            joining.errback(error)
        subscriptions, self._subscriptions = self._subscriptions, {}
        for ended in subscriptions:
            ended._end(error)

    # -- news

    def _subscribed(self, answer: Message) -> None:
        if self._is_over:
            return
        self._is_open = True
        self.opened(answer)
        while self._joining:
            # One by one: the application may cancel others.
            joining, (callback, convert) = next(iter(self._joining.items()))
            del self._joining[joining]
            joining.callback(self._begin(callback, convert))

    def _refused(self, failure: Failure) -> None:
        failure.trap(ApiError)
        error: Any = failure.value
        if not self._is_over:
            # It may be subscribed all the same: from before, or because the answer comes too late.
            self._calls.ask(self.unsubscribing(), always=True).addErrback(ignore)
            self.end(error)

    def received(self, message: Message) -> None:
        """
        News have come. Called while the server is at work.
        """
        if self._overflowed:
            return
        size = message_bytes(message)
        if self._waiting >= subscription.MAX_WAITING_ITEMS or (
            self._waiting and self._waiting_bytes + size > subscription.MAX_WAITING_ITEM_BYTES
        ):
            self._overflowed = True
            self._deliveries.add(self._overflow, None)
            return
        self._waiting += 1
        self._waiting_bytes += size
        self._deliveries.add(self._deliver, (message, size))

    def _deliver(self, news: tuple[Message, int]) -> None:
        message, size = news
        self._waiting -= 1
        self._waiting_bytes -= size
        if self._is_over or self._calls.closed:
            return
        if message.is_error:
            self.end(error_of(message, self.name))
        elif self._is_open:
            self.take(message)

    def _overflow(self, _: None) -> None:
        if not self._is_over:
            self._calls.ask(self.unsubscribing(), always=True).addErrback(ignore)
            self.end(SlowConsumer(self.name))


F = TypeVar("F", bound=Feed[Any])


class Feeds(Generic[F]):
    """
    The feeds of one kind, by name.

    @ivar endings: of the handle.
    """

    def __init__(self, kind: type[F], handle: Handle) -> None:
        self._kind = kind
        self._calls = handle.subscribing
        self._deliveries = handle.deliveries
        self.endings = handle.endings
        self._feeds: dict[str, F] = {}

    def __len__(self) -> int:
        return len(self._feeds)

    def join(
        self, name: str, callback: Callable[[Any], object] | None, convert: Convert | None = None
    ) -> Deferred[Subscription[Any]]:
        """
        A new subscription to C{name}.

        @param convert: makes another item of each; C{None}: it gets the items as they are.
        @raise InvalidValue: the callback cannot be called.
        """
        if callback is not None:
            check_function(callback, "callback")
        feed = self._feeds.get(name)
        if feed is not None:
            return feed.join(callback, convert)
        feed = self._feeds[name] = self._kind(name, self, self._calls, self._deliveries)
        joining = feed.join(callback, convert)
        feed.ask()
        return joining

    def remove(self, feed: F) -> None:
        """
        The feed is over.
        """
        if self._feeds.get(feed.name) is feed:
            del self._feeds[feed.name]

    def received(self, message: Message, name: str | None = None) -> None:
        """
        News have come. Called while the server is at work.

        @param name: the name of the feed, if it is not that of the message.
        """
        feed = self._feeds.get(name or message.name or "")
        if feed is not None:
            feed.received(message)

    def close(self, error: ApiError) -> None:
        """
        End all of them.
        """
        for feed in list(self._feeds.values()):
            feed.end(error)


def _broke(failure: Failure) -> None:
    _log.failure("a subscription of the API broke", failure)
