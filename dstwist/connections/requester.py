"""
The part of a requester that is the same for all kinds: a WebSocket client, a single HTTP request, the application that
embeds the node.

::

    request(messages) --> rate limit --> name limit --> work queue --> router --> permission --> service
                                                                          answers <-- send(message) --+

L{Requester} is the base class. It has the identity, the order of the requests, their limits, and the end. A kind of
requester adds where requests come from, and where answers go to (C{send}). L{dstwist.connections.connection} reads its
requests from payloads, and does the first steps in its own, faster way.

Always true: no request of a closed requester is served. When L{Requester.close} returns, all callbacks for its end have
been called.
Source: C{design.md} section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.interfaces import IRequester, Work
from dstwist.limits.rates import RateLimit, RateLimits
from dstwist.log import LoggedClient, Logger, about
from dstwist.protocol.dialect import Dialect
from dstwist.protocol.message import Malformed, Message
from dstwist.routing.router import Router
from dstwist.scheduling.work_queue import Source, WorkQueue

#: The numbers of the connections and streams of this process, for the log and for operators. Each is given once.
NUMBERS = count(1)


@implementer(IRequester)
class Requester:
    """
    One party that makes requests. The class of a kind of requester adds C{send}.

    @param origin: the facts about the party for logs and limits.
    @param source: is stopped while the server takes no requests; C{None} if there is nothing to stop.
    @param rates: C{None} if there is no limit of rates.
    """

    __slots__ = (
        "_callbacks",
        "_fitting",
        "_queue",
        "_rate_limit",
        "_route",
        "_router",
        "address",
        "client_data",
        "closed",
        "dialect",
        "node",
        "number",
        "path",
        "server_data",
        "user",
    )

    #: No rule applies to the requests of the server itself.
    is_server = False

    _log = Logger()

    def __init__(
        self,
        origin: LoggedClient,
        dialect: Dialect,
        router: Router,
        clock: IReactorTime,
        source: Source | None = None,
        rates: RateLimits | None = None,
    ) -> None:
        self.user: str | None = origin.user
        self.client_data: bytes | None = None
        self.server_data: Any = None
        self.address = origin.address
        self.path = origin.path
        self.number = origin.number
        self.node = origin.node
        self.dialect = dialect
        self.closed = False
        self._router = router
        self._route = router.route
        self._fitting = router.name_limit.fitting
        self._queue: WorkQueue[Any] = WorkQueue(clock, self, router.route, source)
        self._rate_limit: RateLimit | None = None if rates is None else rates.start(self)
        self._callbacks: list[Callable[[IRequester], None]] = []

    # -- requests

    def request(self, messages: Sequence[Message | Malformed]) -> bool:
        """
        Take requests that did not come in a payload.

        @return: whether some of them have to wait for a later turn.
        """
        if self.closed:
            return False
        if self._rate_limit is not None:
            self._rate_limit.count_messages(len(messages))
        try:
            return self._queue.serve(self._fitting(messages, self.dialect.is_refused_once))
        except Exception:
            self._log.failure("serving {client} failed", contained=True, **about(self))
            self.serving_failed()
            return False

    def serve_own(self, request: Any) -> None:
        """
        Serve a request from the queue that is not for the router.
        """
        if isinstance(request, Malformed):
            self.refuse(request)
        else:
            self._route(request, self)

    def refuse(self, request: Malformed) -> None:
        """
        Tell the party that C{request} is none.
        """
        if request.answer is not None:
            self.send(request.answer)
            if request.request is not None and not self.closed:
                self._router.malformed(request.request, self)

    def serving_failed(self) -> None:
        self.close("internal error")

    def do(self, work: Work) -> None:
        self._queue.do(work)

    def pause(self) -> None:
        self._queue.pause()

    def resume(self) -> None:
        self._queue.resume()

    # -- answers

    def send(self, message: Message) -> None:
        raise NotImplementedError

    # -- the end

    def on_close(self, callback: Callable[[IRequester], None]) -> None:
        self._callbacks.append(callback)

    def close(self, reason: str) -> None:
        """
        End it.

        @param reason: for the log, and for the party if it can be told.
        """
        if not self.closed:
            self._end_requests()

    def _end_requests(self) -> None:
        """
        Serve no more requests, and call all callbacks for the end.
        """
        self.closed = True
        self._queue.end()
        if self._rate_limit is not None:
            self._rate_limit.stop()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                # The other callbacks have to be called as well.
                self._log.failure("a callback for the end of {client} failed", **about(self))
