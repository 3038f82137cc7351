"""
The requests of one requester: in order, in slices of time, one after the other.

The requests in a megabyte of data can take the server minutes. So a requester has one slice of each turn of the reactor
(L{dstwist.scheduling.turns}), if the turn has time left. The rest of its requests is served in later turns, when the
requester has its turn. Until then the server does not read from it.

One request may take as long. A service makes it into C{work} (L{WorkQueue.do}), which stands at the head of the queue
until it is done. Work that has to wait, as for a permission, stands there too: all requests of a requester are served
in the order in which they came.

======================  ============================================================================================
a requester             a request that comes in
======================  ============================================================================================
has nothing to do       is served at once, and never kept
is busy                 goes into the queue, which is served when its call comes, or when the awaited Deferred fires
======================  ============================================================================================

The queue also decides whether the server reads from the requester: each party that wants it to be quiet calls
L{WorkQueue.pause}, and L{WorkQueue.resume} when it is done. The server reads while there is no pause.

A request is a message for the router, or anything else that the requester serves itself: a payload that is not decoded
yet, or a message of the topic CONNECTION.

Always true: after L{WorkQueue.end} no request is served and no work is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.interfaces import Work
from dstwist.log import Client, LoggedClient, Logger, about
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.turns import Turns

# Members of enumerations are looked up at every use; this one is used for every message.
_CONNECTION = Topic.CONNECTION

Request = TypeVar("Request", contravariant=True)


def _drop(message: Message, requester: object) -> None:
    pass


class Requester(LoggedClient, Protocol[Request]):
    """
    The owner of a queue, as the queue sees it.
    """

    def serve_own(self, request: Request, /) -> None:
        """
        Serve a request that is not for the router.
        """

    def serving_failed(self) -> None:
        """
        A request, or work, has raised an exception, which is a mistake of ours and is logged: end this requester.
        """


class Source(Protocol):
    """
    The transport that the requests come from.
    """

    def pause(self) -> None:
        """
        Stop reading.
        """

    def resume(self) -> None:
        """
        Read on.
        """


class _Begun:
    """
    The rest of work whose first step is done.
    """

    __slots__ = ("work",)

    def __init__(self, work: Work) -> None:
        self.work = work


class WorkQueue(Generic[Request]):
    """
    The queue of one requester.

    @param route: serves a message for the router, which comes from the requester.
    @param source: C{None} if there is nothing to read from.
    @ivar waiting: the requests and the begun work that wait, in order; C{None} if nothing waits, as is usual. While
        the queue is served it is a deque, too.
    @ivar busy: the queue is served later: in another turn, or when the awaited Deferred fires.
    @ivar ended: the requester has gone.
    """

    __slots__ = (
        "_awaited",
        "_client",
        "_pauses",
        "_requester",
        "_route",
        "_source",
        "_turns",
        "busy",
        "ended",
        "waiting",
    )

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        requester: Requester[Request],
        route: Callable[[Message, Any], object],
        source: Source | None = None,
    ) -> None:
        self._turns = Turns.of(clock)
        self._route = route
        self._requester: Requester[Request] | None = requester
        self._client: LoggedClient = requester
        self._source = source
        self._pauses = 0
        self._awaited: Deferred[Any] | None = None
        self.waiting: deque[Any] | None = None
        self.busy = False
        self.ended = False

    # -- requests

    def serve(self, requests: Iterable[Request]) -> bool:
        """
        Take requests: behind those that wait, and as far as the time allows.

        @return: whether some of them have to wait for a later turn.
        """
        if self.waiting is None:
            self.waiting = deque(requests)
        else:
            self.waiting.extend(requests)
        if not self.busy:
            self._serve_waiting()
        return self.busy

    def keep(self, requests: Sequence[Request]) -> bool:
        """
        Take requests behind those that wait. If none wait, these are served in a later turn.

        @return: whether some of them have to wait for a later turn.
        """
        if self.waiting is None and requests and not self.ended:
            self.waiting = deque(requests)
            self._serve_later()
            return True
        return self.serve(requests)

    def serve_next(self, requests: Sequence[Request]) -> None:
        """
        Serve C{requests} before those that wait. Called while a request is served that turned out to be these, as the
        last thing that is done about it.
        """
        if self.waiting is not None:
            self.waiting.extendleft(reversed(requests))

    # -- work

    def do(self, work: Work) -> None:
        """
        Do C{work} before all requests that come later, as L{dstwist.interfaces.IRequester.do} says.
        """
        if self.ended:
            return
        for awaited in work:
            if awaited is None or self._has_to_wait(awaited):
                self._keep_rest(work, awaited)
                return

    def _has_to_wait(self, deferred: Deferred[Any]) -> bool:
        """
        Whether C{deferred} has not fired yet; the queue is served when it does.
        """
        self._awaited = deferred
        deferred.addBoth(self._arrived)
        return self.ended or self._awaited is not None

    def _keep_rest(self, work: Work, awaited: Deferred[Any] | None) -> None:
        if self.ended:
            return
        if self.waiting is not None:
            self.waiting.appendleft(_Begun(work))
        else:
            # The queue is not being served.
            self.waiting = deque((_Begun(work),))
            if awaited is None:
                self._serve_later()
        if awaited is not None:
            self.busy = True
            self.pause()

    def _arrived(self, result: object) -> None:
        if isinstance(result, Failure):
            # Work handles the failures that it expects.
            self._log.failure("a request of {client} waited for a result that failed", result, **about(self._client))
        self._awaited = None
        if not self.busy:
            return
        if self._turns.over():
            # Many requesters may have waited for the same.
            self._turns.later(self._go_on)
        else:
            self._go_on()

    # -- later turns

    def _serve_later(self) -> None:
        self.busy = True
        self._turns.later(self._go_on)
        self.pause()

    def _go_on(self) -> None:
        if self.ended:
            return
        self.busy = False
        try:
            self._serve_waiting()
        except Exception:
            self._log.failure("serving {client} failed", contained=True, **about(self._client))
            if self._requester is not None:
                self._requester.serving_failed()
        self.resume()

    def _serve_waiting(self) -> None:
        """
        Serve the queue, as far as the time allows.
        """
        waiting, requester = self.waiting, self._requester
        if requester is None:
            self.waiting = None
            return
        route = self._route
        end, now = self._turns.slice_end(), self._turns.now
        while waiting and not self.ended:
            if now() > end:
                self._serve_later()
                return
            item = waiting.popleft()
            if item.__class__ is Message and item.topic is not _CONNECTION:
                route(item, requester)
            elif isinstance(item, _Begun):
                self.do(item.work)
            else:
                requester.serve_own(item)
            if self.busy:
                return
        self.waiting = None

    # -- reading

    @property
    def paused(self) -> bool:
        """
        Whether the server does not read from the requester now.
        """
        return self._pauses > 0

    def pause(self) -> None:
        """
        Do not read from the requester.
        """
        self._pauses += 1
        if self._pauses == 1 and self._source is not None and not self.ended:
            self._source.pause()

    def resume(self) -> None:
        """
        Undo one L{pause}.
        """
        self._pauses -= 1
        if not self._pauses and self._source is not None and not self.ended:
            self._source.resume()

    def end(self) -> None:
        """
        The requester has gone: drop everything.
        """
        self.ended = True
        self.busy = False
        self.waiting = None
        # The requester refers to this queue, and the router may be part of it. Without the circle all of it is freed at
        # once.
        client = self._client
        self._client = Client(client.user, client.address, client.path, client.number, client.node)
        self._requester = None
        self._route = _drop
