"""
Things that go on until they are closed: subscriptions, provided procedures, listeners.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from twisted.internet.defer import Deferred, fail, succeed

from dstwist.api.errors import ApiError, HandleClosed, SlowConsumer
from dstwist.api.requester import API_PATH, Identity
from dstwist.log import Client, Logger, about, shown

#: These errors have lines of their own, or are caused by the application.
_LOGGED_ELSEWHERE = (HandleClosed, SlowConsumer)


class Endings:
    """
    Logs the errors that end subscriptions and so on, if the application does not wait for their ends. A handle gets one
    line for each error of each kind of them.
    """

    _log = Logger()

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._logged: set[tuple[str, str]] = set()

    def unnoticed(self, kind: str, name: str, error: ApiError) -> None:
        """
        Something has ended by C{error}.

        @param kind: what has ended: "subscription to" and so on.
        """
        if (kind, error.event) in self._logged or isinstance(error, _LOGGED_ELSEWHERE):
            return
        self._logged.add((kind, error.event))
        identity = self._identity
        client = Client(identity.user, identity.address, API_PATH, 0, identity.node)
        self._log.warn(
            "{event} | the {kind} {name} of {owner} has ended, and the application does not wait for its end",
            kind=kind,
            name=shown(name),
            owner="the server itself" if identity.is_server else client,
            event=error.event,
            **about(client),
        )


class Ongoing:
    """
    Something that ends when the application closes it, or by an error: new rules deny it (L{MessageDenied
    <dstwist.api.errors.MessageDenied>}), or the handle is closed (L{HandleClosed<dstwist.api.errors.HandleClosed>}).
    It can be used in an C{async with} statement.

    @ivar name: the name or the pattern that it is about.
    @ivar closed: it has ended.
    @ivar error: the error that has ended it; C{None} if it has not ended, or the application has closed it.
    @param endings: of the handle.
    """

    #: What it is, for the log.
    _kind = ""

    def __init__(self, name: str, endings: Endings) -> None:
        self.name = name
        self._endings = endings
        self.closed = False
        self.error: ApiError | None = None
        self._on_end: list[Deferred[None]] = []

    def close(self) -> Deferred[None]:
        """
        End it. It has ended for the application when this returns.

        @return: fires when it has ended for the server, too.
        """
        if self.closed:
            return succeed(None)
        self._finish(None)
        return self._leave()

    def ended(self) -> Deferred[None]:
        """
        Fires when the application has closed it; fails with the error that has ended it.
        """
        if self.closed:
            return succeed(None) if self.error is None else fail(self.error)
        ended: Deferred[None] = Deferred(self._on_end.remove)
        self._on_end.append(ended)
        return ended

    def _end(self, error: ApiError) -> None:
        """
        It has ended because of C{error}. Called by the API, only in a delivery.
        """
        if self.closed:
            return
        if not self._on_end and self._is_unattended():
            self._endings.unnoticed(self._kind, self.name, error)
        self._finish(error)

    def _is_unattended(self) -> bool:
        """
        Whether only L{ended} tells the application that it has ended.
        """
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _leave(self) -> Deferred[None]:
        """
        The application has closed it: tell the server.
        """
        raise NotImplementedError

    def _finish(self, error: ApiError | None) -> None:
        self.closed = True
        self.error = error
        waiting, self._on_end = self._on_end, []
        for ended in waiting:
            if error is None:
                ended.callback(None)
            else:
                ended.errback(error)


def ignore(failure: Any) -> None:
    """
    For a request that ends something: it has ended for the application, even if the server answers with an error.
    """
    failure.trap(ApiError)
