"""
The parts of one handle share two requesters with one identity, and the calls of the application.

::

    api.records.set(...)  --> asking       --> server           no news: it subscribes to nothing
    api.records.subscribe --> subscribing  --> server --> news  no writes, no events of its own

The server sends no client the news of its own writes and events. The application has one handle for all of its parts,
and one part wants to hear of another. So what a handle subscribes to, provides and listens to belongs to one requester,
and all else to another. Besides, the copies of records that the feeds have are never changed by writes of the same
requester, so they are never wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from twisted.internet.interfaces import IReactorTime

from dstwist.api.calls import Calls
from dstwist.api.deliveries import Deliveries
from dstwist.api.errors import HandleClosed
from dstwist.api.ongoing import Endings
from dstwist.api.requester import Identity, InProcessRequester
from dstwist.interfaces import IRequester
from dstwist.limits.rates import RateLimits
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from dstwist.routing.router import Router

#: Takes the news of one kind.
TakeNews = Callable[[Message], None]


class Handle:
    """
    One handle.

    @ivar asking: makes the requests that have one answer.
    @ivar subscribing: makes the requests that are followed by news.
    @ivar endings: logs the ends that the application does not wait for.
    @ivar news: the functions that take the news, by topic and action.
    @ivar denied: the functions that are called if new rules end a subscription, a provision or a listener, by topic
        and action of the request that began it.
    @ivar on_close: called once, with the reason, in a later turn after the handle has closed.
    @param refusal: the error of all requests, until L{start} is called; C{None}: requests can be made at once.
    """

    def __init__(
        self,
        identity: Identity,
        router: Router,
        clock: IReactorTime,
        rates: RateLimits | None,
        refusal: HandleClosed | None = None,
    ) -> None:
        self.identity = identity
        self.clock = clock
        self.deliveries = Deliveries(clock, identity.node)
        self.endings = Endings(identity)
        self.news: dict[tuple[Topic, IntEnum], TakeNews] = {}
        self.denied: dict[tuple[Topic, IntEnum], TakeNews] = {}
        self.on_close: list[Callable[[HandleClosed], None]] = []
        self._asks = InProcessRequester(identity, router, clock, self._answered, rates)
        self._subscribes = InProcessRequester(identity, router, clock, self._received, rates)
        self.asking = Calls(self._asks, self.deliveries, clock, refusal)
        self.subscribing = Calls(self._subscribes, self.deliveries, clock, refusal)
        self._asks.on_close(self._requester_closed)
        self._subscribes.on_close(self._requester_closed)
        self.closed = False

    @property
    def requester(self) -> IRequester:
        """
        Stands for the handle: the handle ends with it.
        """
        return self._subscribes

    def start(self) -> None:
        """
        Make requests from now on.
        """
        self.asking.start()
        self.subscribing.start()

    def check_open(self) -> None:
        """
        Make sure that the handle is open.

        @raise HandleClosed: it is not.
        """
        if self.closed:
            raise HandleClosed(self._subscribes.reason)

    def close(self, reason: str) -> None:
        """
        End all requests, subscriptions and so on. The application is told in a later turn.
        """
        if self.closed:
            return
        self.closed = True
        error = HandleClosed(reason)
        self.asking.close(error)
        self.subscribing.close(error)
        self._asks.close(reason)
        self._subscribes.close(reason)
        for callback in self.on_close:
            self.deliveries.add(callback, error)

    def _requester_closed(self, requester: IRequester) -> None:
        # The server has closed it, not the application.
        self.close(self._subscribes.reason or self._asks.reason)

    def _answered(self, message: Message) -> None:
        self.asking.received(message)

    def _received(self, message: Message) -> None:
        kind = (message.topic, message.action)
        if message.is_error:
            if message.correlation_id is None and message.original_action is not None:
                take = self.denied.get((message.topic, message.original_action))
                if take is not None:
                    take(message)
                    return
        elif not message.is_ack:
            take = self.news.get(kind)
            if take is not None:
                take(message)
                return
        self.subscribing.received(message)
