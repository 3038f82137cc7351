"""
A requester in the process of the node.

::

    request(messages) --> kept while the requester is paused --> Requester: limits, order, permission, service
                                         receive(message) <-- answers and news

Messages go both ways as they are: nothing is encoded, and the wire (L{dstwist.api.wire}) only puts a message into a
frame.

The server pauses a requester that sends too much, or whose requests have to wait. A client on a socket is not read from
then. The requests of this requester are kept in their order instead; L{dstwist.api.calls} limits their number.

Always true: requests reach the server in the order of the calls. C{receive} is called while the server is at work, also
within a fan-out, so it must not call the application, and must not make requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.api.wire import MESSAGE_WIRE, MessageFrame, message_bytes
from dstwist.connections.requester import Requester
from dstwist.interfaces import IConnection
from dstwist.limits.rates import RateLimits
from dstwist.log import Client, about
from dstwist.protocol.dialect import IN_PROCESS
from dstwist.protocol.message import Malformed, Message
from dstwist.routing.router import Router
from dstwist.scheduling.turns import Turns

#: The path in log lines about requests that come through the API.
API_PATH = "api"


@dataclass(frozen=True)
class Identity:
    """
    The party in whose name requests are made.

    @ivar client_data: JSON text.
    @ivar is_server: no rule applies.
    @ivar node: the label of the node, for logs.
    """

    user: str | None = None
    client_data: bytes | None = None
    server_data: Any = None
    address: str = ""
    is_server: bool = False
    node: str = ""


class _Served:
    """
    Stands in the queue behind a request. When its turn comes, the request has been served.
    """

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback


def _drop(message: object) -> None:
    pass


class _Gate:
    """
    Keeps the requests while the requester is paused.
    """

    __slots__ = ("kept", "paused", "serve")

    def __init__(self, serve: Callable[[Any], None]) -> None:
        self.paused = False
        # Not a dict: to find its first key, a dict walks past all keys that were removed before it.
        self.kept: OrderedDict[int, Any] = OrderedDict()
        self.serve = serve

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        kept = self.kept
        while kept and not self.paused:
            self.serve(kept.popitem(last=False)[1])


@implementer(IConnection)
class InProcessRequester(Requester):
    """
    Makes requests of messages.

    @ivar reason: why it was closed.
    @param receive: takes each message that the server sends.
    @param rates: C{None} if there is no limit of rates.
    """

    __slots__ = ("_gate", "_receive", "_turns", "is_server", "reason", "wire")

    def __init__(
        self,
        identity: Identity,
        router: Router,
        clock: IReactorTime,
        receive: Callable[[Message], object],
        rates: RateLimits | None = None,
    ) -> None:
        self._gate = _Gate(self._serve)
        origin = Client(identity.user, identity.address, API_PATH, 0, identity.node)
        super().__init__(origin, IN_PROCESS, router, clock, self._gate, rates)
        self.is_server: bool = identity.is_server
        self.client_data = identity.client_data
        self.server_data = identity.server_data
        self.wire = MESSAGE_WIRE
        self._turns = Turns.of(clock)
        self._receive = receive
        self.reason = ""
        if self._rate_limit is not None and identity.user is not None:
            self._rate_limit.logged_in(identity.user)

    # -- requests

    def request(self, messages: Sequence[Message | Malformed]) -> bool:
        """
        Take requests: behind those that wait.

        @return: whether some requests have to wait for a later turn.
        """
        if not self._gate.paused:
            self._pass(messages)
        elif not self.closed:
            for message in messages:
                self._gate.kept[id(message)] = message
        return self._gate.paused and not self.closed

    def when_served(self, callback: Callable[[], None]) -> None:
        """
        Call C{callback} when all requests so far have been served. An answer may still be missing. The callback must
        not call the application.
        """
        served = _Served(callback)
        if self._gate.paused:
            self._gate.kept[id(served)] = served
        else:
            self._serve(served)

    def withdraw(self, message: Message) -> bool:
        """
        Do not make a request after all.

        @return: whether the server has not got it.
        """
        return self._gate.kept.pop(id(message), None) is not None

    def _serve(self, request: Message | Malformed | _Served) -> None:
        if self.closed:
            return
        if isinstance(request, _Served):
            self._queue.serve([request])
        else:
            self._pass([request])

    def _pass(self, messages: Sequence[Message | Malformed]) -> None:
        super().request(messages)
        if self._rate_limit is not None:
            self._rate_limit.count_bytes(sum(message_bytes(each) for each in messages if isinstance(each, Message)))

    def serve_own(self, request: Any) -> None:
        if isinstance(request, _Served):
            request.callback()
        else:
            super().serve_own(request)

    # -- messages of the server

    def send(self, message: Message) -> None:
        if not self.closed:
            self._router.sent.by_topic[message.topic][message.action] += 1
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        try:
            self._receive(message)
        except Exception:
            # The server sends it to others as well.
            self._log.failure("a message for {client} was lost", contained=True, **about(self))
            self._turns.later(self._message_lost)

    def write(self, frame: MessageFrame) -> None:
        if not self.closed:
            self._deliver(frame.message)

    def _message_lost(self) -> None:
        self.close("internal error")

    def close(self, reason: str) -> None:
        if self.closed:
            return
        self.reason = reason
        super().close(reason)
        self._gate.kept.clear()
        # Without the circles all of it is freed at once.
        self._gate.serve = self._receive = _drop
