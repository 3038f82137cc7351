"""
The subscription of an application, with a callback or for iteration.

::

    subscription = await api.events.subscribe("news", print)      # print is called with each event
    await subscription.close()

    async with await api.events.subscribe("news") as news:        # the events wait for the loop
        async for event in news:
            ...

A subscription ends when the application closes it, or by an error: new rules deny it (L{MessageDenied
<dstwist.api.errors.MessageDenied>}), the application is too slow (L{SlowConsumer <dstwist.api.errors.SlowConsumer>}),
or the handle is closed (L{HandleClosed <dstwist.api.errors.HandleClosed>}). An error ends the iteration with that
exception, when all items before it have been taken.

Always true: C{callback} is never called after L{Subscription.close}. Items come in their order, each once. The items
that wait for an iteration are limited in number and in bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from dstwist.api.errors import ApiError, SlowConsumer
from dstwist.api.ongoing import Endings, Ongoing
from dstwist.log import Logger, shown

#: How many items may wait for the application, in one subscription.
MAX_WAITING_ITEMS = 10_000

#: How many bytes they may have.
MAX_WAITING_ITEM_BYTES = 16 << 20

Item = TypeVar("Item")

_log = Logger()


def run(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """
    Call a function of the application, which may return a value, a Deferred or a coroutine.
    """
    try:
        result = function(*arguments)
    except BaseException:
        # As in a coroutine: a SystemExit ends neither the reactor nor other calls.
        return fail()
    if isinstance(result, Coroutine):
        return Deferred.fromCoroutine(result)
    return result if isinstance(result, Deferred) else succeed(result)


class Subscription(Ongoing, Generic[Item]):
    """
    One subscription. An iteration over it ends when the application closes it.

    @param callback: is called with each item, if it is not C{None}.
    @param leave: called once, when the application closes the subscription.
    @param convert: makes the item for the application; C{None}: it gets the items as they are.
    """

    _kind = "subscription to"

    def __init__(
        self,
        name: str,
        callback: Callable[[Item], object] | None,
        leave: Callable[[Subscription[Any]], Deferred[None]],
        endings: Endings,
        convert: Callable[[Any], Item] | None = None,
    ) -> None:
        super().__init__(name, endings)
        self._callback = callback
        self._feed_left = leave
        self._convert = convert
        self._items: deque[tuple[Callable[[], Item], int]] = deque()
        self._bytes = 0
        self._reader: Deferred[None] | None = None

    def __aiter__(self) -> Subscription[Item]:
        return self

    async def __anext__(self) -> Item:
        """
        The next item. One coroutine at a time may wait for it.
        """
        if self._callback is not None:
            raise TypeError("a subscription with a callback cannot be iterated over")
        while not self._items:
            if self.error is not None:
                raise self.error
            if self.closed:
                raise StopAsyncIteration
            if self._reader is not None:
                raise RuntimeError("two coroutines iterate over the same subscription")
            self._reader = Deferred(self._reader_gone)
            await self._reader
        make, size = self._items.popleft()
        self._bytes -= size
        return self._made(make)

    def _made(self, make: Callable[[], Any]) -> Item:
        item: Item = make() if self._convert is None else self._convert(make())
        return item

    def _reader_gone(self, reader: Deferred[None]) -> None:
        self._reader = None

    def _put(self, make: Callable[[], Item], size: int) -> None:
        """
        Give the application an item. Called by the feed, only in a delivery.

        @param make: makes the item. Each subscriber gets one of its own.
        """
        if self.closed:
            return
        if self._callback is not None:
            self._call(self._callback, make)
        elif len(self._items) >= MAX_WAITING_ITEMS or (self._items and self._bytes + size > MAX_WAITING_ITEM_BYTES):
            self._end(SlowConsumer(self.name))
            self._feed_left(self)
        else:
            self._items.append((make, size))
            self._bytes += size
            self._wake()

    def _call(self, callback: Callable[[Item], object], make: Callable[[], Item]) -> None:
        run(lambda: callback(self._made(make))).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        _log.failure("the callback for {name} failed", failure, name=shown(self.name), contained=True)

    def _is_unattended(self) -> bool:
        # An iteration raises the error.
        return self._callback is not None

    def _leave(self) -> Deferred[None]:
        return self._feed_left(self)

    def _finish(self, error: ApiError | None) -> None:
        if error is None:
            self._items.clear()
        elif isinstance(error, SlowConsumer):
            _log.warn(
                "SLOW_CONSUMER | the application does not keep up with {name}, its subscription is ended",
                name=shown(self.name),
                event="SLOW_CONSUMER",
            )
        super()._finish(error)
        self._wake()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.callback(None)
