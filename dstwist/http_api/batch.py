"""
The items of one request, from their messages to their results.

The items begin in their order, and run concurrently. Each has its result by the first answer that says how it ended;
later answers are ignored::

    item                  answer                                   belongs to the item
    event                 none, or an error                        by the id. Without an error, the event is published
                                                                   when the queue has got past it
    read, head, delete    READ_RESPONSE, HEAD_RESPONSE,            that is the oldest of its kind and name without a
                          DELETE_SUCCESS                           result
    all users             QUERY_ALL_RESPONSE                       that is the oldest of its kind
    all others            various                                  by the correlation id
    any                   an error                                 by the correlation id

Always true: when L{Batch.end} returns, no item begins any more. The Deferred of L{Batch.wait} fires in a turn of its
own: services send answers in the middle of their work, when no other request may begin.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.connections.requester import Requester
from dstwist.http_api.charges import Charge
from dstwist.http_api.items import Item
from dstwist.http_api.results import FAILED, SUCCESS, TOO_LARGE, Results, closed, whole_answer
from dstwist.interfaces import IRequester
from dstwist.log import LoggedClient
from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import HTTP
from dstwist.protocol.message import Message
from dstwist.routing.router import Router
from dstwist.scheduling.clocks import wall_time
from dstwist.scheduling.turns import Turns

#: How many messages are handed to the router at a time, unless the turn is over.
_STEP = 200

_EVENT = Topic.EVENT

#: What a result takes besides its text, in bytes.
_RESULT_WEIGHT = 100


@implementer(IRequester)
class BatchRequester(Requester):
    """
    The requester of one request of the API.

    @param receive: takes each message that the server sends.
    @param served: takes each item that stood in the queue, when the requests before it have been served.
    """

    __slots__ = ("_receive", "_served")

    def __init__(
        self,
        client: LoggedClient,
        client_data: bytes | None,
        server_data: Any,
        router: Router,
        clock: IReactorTime,
        receive: Callable[[Message], None],
        served: Callable[[Item], None],
    ) -> None:
        super().__init__(client, HTTP, router, clock)
        self.client_data = client_data
        self.server_data = server_data
        self._receive = receive
        self._served = served

    def send(self, message: Message) -> None:
        if not self.closed:
            self._receive(message)

    def serve_own(self, request: Any) -> None:
        if request.__class__ is Item:
            self._served(request)
        else:
            super().serve_own(request)


class Batch:
    """
    The items of one request.

    @param topics: the topics that are served.
    @param most: how many bytes the results may have together.
    @param charge: counts the bytes of the results.
    @ivar open: how many items have no result yet.
    """

    def __init__(
        self, results: Results, topics: frozenset[Topic], most: int, charge: Charge, clock: IReactorTime
    ) -> None:
        self._results = results
        self._topics = topics
        self._left = most
        self._charge = charge
        self._turns = Turns.of(clock)
        self._items: list[Item] = []
        self._requests: list[Message | Item] = []
        self._begun = 0
        self._by_id: dict[str, Item] = {}
        self._by_kind: dict[tuple[Topic, IntEnum, str | None], deque[Item]] = {}
        # Providers of procedures see these ids, so that they differ from request to request.
        self._prefix = f"{int(wall_time(clock)() * 1000):x}-{random.getrandbits(48):012x}-"
        self._requester: BatchRequester | None = None
        self._waiter: Deferred[None] | None = None
        self._refusal: bytes | None = None
        self._succeeded = 0
        self.open = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> None:
        """
        Add an item, which begins with L{begin_some}.
        """
        self._items.append(item)
        self.open += 1
        message = item.message
        if message is None:
            result, item.result = item.result, None
            self._finish(item, True, result or SUCCESS)
            return
        topic = message.topic
        if topic not in self._topics:
            self._finish(item, False, self._results.unknown_topic(topic))
            return
        call_id = message.correlation_id = f"{self._prefix}{item.index}"
        self._by_id[call_id] = item
        self._requests.append(message)
        if item.awaited is not None:
            self._by_kind.setdefault((topic, item.awaited, message.name), deque()).append(item)
        elif topic is _EVENT:
            # When the queue gets here, the event has been published, or refused.
            self._requests.append(item)

    def start(self, requester: Callable[[Callable[[Message], None], Callable[[Item], None]], BatchRequester]) -> None:
        """
        Make the requester of the items, unless they are refused.
        """
        if self._refusal is not None:
            # The user was kicked while the items were read.
            self._finish_all(self._refusal)
            return
        self._requester = requester(self._received, self._event_served)
        self._requester.on_close(self._closed)

    def begin_some(self) -> bool:
        """
        Begin the next items.

        @return: whether there are more.
        """
        if self._requester is None:
            return False
        begun = self._begun
        self._begun += _STEP
        self._requester.request(self._requests[begun : self._begun])  # type: ignore[arg-type]  # serve_own takes items
        return self._begun < len(self._requests)

    def wait(self) -> Deferred[None]:
        """
        Fires when all items have a result.
        """
        self._waiter = Deferred()
        return self._waiter

    def end(self) -> None:
        """
        The results are not needed any more, or all there.
        """
        requester, self._requester = self._requester, None
        self._requests = []
        if requester is not None:
            requester.close("done")

    def refuse(self, reason: str) -> None:
        """
        The user is kicked: the items that have no result are refused. If they have begun, they may take effect all the
        same.
        """
        self._refusal = closed(reason)
        self._finish_all(self._refusal)
        self.end()

    def time_out(self) -> None:
        """
        The time of the request is over: give all items a result.
        """
        self._finish_all(self._results.timed_out)
        self.end()
        self._fire()

    def answer(self) -> bytes:
        """
        The answer to the request, when all items have a result.
        """
        return whole_answer([item.result or FAILED for item in self._items], self._succeeded)

    # -- answers

    def _received(self, message: Message) -> None:
        call_id = message.correlation_id
        item: Item | None
        if call_id is not None:
            item = self._by_id.get(call_id)
        else:
            waiting = self._by_kind.get((message.topic, message.action, message.name))
            item = None
            while waiting and item is None:
                # An item that was answered by an error is still in here.
                item = waiting.popleft()
                if item.result is not None:
                    item = None
        if item is None or item.result is not None or item.message is None:
            return
        outcome = self._results.of(item.message, message)
        if outcome is not None:
            self._finish(item, *outcome)

    def _event_served(self, item: Item) -> None:
        if item.result is None:
            self._finish(item, True, SUCCESS)

    def _finish(self, item: Item, succeeded: bool, result: bytes) -> None:
        size = len(result) + _RESULT_WEIGHT
        if result is not SUCCESS and (size > self._left or not self._charge.take(size)):
            succeeded, result, size = False, TOO_LARGE, 0
        self._left -= size
        item.result = result
        self._succeeded += succeeded
        self.open -= 1
        if not self.open and self._waiter is not None:
            self._turns.later(self._fire)

    def _fire(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.called:
            waiter.callback(None)

    def _finish_all(self, result: bytes) -> None:
        for item in self._items:
            if item.result is None:
                self._finish(item, False, result)

    def _closed(self, requester: IRequester) -> None:
        """
        The server has ended the requester, by a mistake of ours. The log has the reason.
        """
        if self._requester is not None:
            self._requester = None
            self._requests = []
            self._finish_all(FAILED)
