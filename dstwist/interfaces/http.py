"""
Handlers of HTTP requests, as L{dstwist.transports.http} calls them. Nothing here depends on a library for HTTP.

::

    request --> Root: origins, methods --> Route --> IHttpHandler.handle --> HttpAnswer, whole
                                                                         --> HttpStream, without an end
                                                                         --> a Deferred of one of these
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from dstwist.interfaces.authentication import HandshakeData


@dataclass(frozen=True)
class HttpRequest:
    """
    A request that has been received whole.

    @ivar method: as the client sent it: C{GET}.
    @ivar target: path and query, as the client sent them.
    @ivar path: the target without its query, not decoded.
    @ivar query: the part of the target behind the first C{?}, not decoded; empty if there is none.
    @ivar headers: with names in lower case. The values of a repeated header are joined by commas.
    @ivar client: the facts about the client for logins and log lines.
    """

    method: str
    target: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    client: HandshakeData


@dataclass(frozen=True)
class HttpAnswer:
    """
    A whole answer.

    @ivar headers: more headers.
    @ivar sent: called once when the client has taken nearly all of the answer, or has gone.
    """

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: Callable[[], object] | None = None

    #: The Node server sends two line breaks behind each text and each JSON value.
    END: ClassVar[bytes] = b"\r\n\r\n"

    @classmethod
    def text(cls, status: int, text: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """
        An answer with a text for people, as the Node server sends it.
        """
        return cls(status, text.encode("utf-8", "replace") + cls.END, headers=headers or {})

    @classmethod
    def json(cls, status: int, json: bytes, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """
        An answer with a JSON text, as the Node server sends it.
        """
        return cls(status, json + cls.END, "application/json; charset=utf-8", headers or {})


class IStreamWriter(Interface):
    """
    The client of an answer without an end.

    A client that takes nothing for a long time is dropped. Until then its data wait in memory: the handler looks at
    C{waiting}, and drops data or closes the stream.
    """

    waiting: int = Attribute(
        "How many bytes wait because the client does not take them. A few kilobytes more may be on their way."
    )

    def write(data: bytes) -> None:
        """
        Send C{data}. Does nothing once the stream has ended. Never calls back.
        """

    def close(keeps_connection: bool = True) -> None:
        """
        End the answer when everything has been sent.

        @param keeps_connection: whether the client may send further requests on this connection.
        """

    def discard() -> bool:
        """
        Drop the data that wait.

        @return: whether a part of the dropped data of one L{write} had left already, so that what is written next would
            not make sense to the client.
        """

    def on_taken(callback: Callable[[], object]) -> None:
        """
        Call C{callback} whenever the client has taken some of the data that waited. It may write.
        """

    def abort() -> None:
        """
        Drop the connection.
        """

    def on_gone(callback: Callable[[], object]) -> None:
        """
        Call C{callback} once, when the client has gone, or the server stops. It is called at once if that has happened
        already. It is not called after L{close}.
        """


@dataclass(frozen=True)
class HttpStream:
    """
    The head of an answer without an end.

    @ivar begin: called once, with an L{IStreamWriter}, when the head has been sent.
    @ivar headers: more headers.
    """

    status: int
    content_type: str
    begin: Callable[[IStreamWriter], object]
    headers: Mapping[str, str] = field(default_factory=dict)


#: The result of a handler.
HttpOutcome = HttpAnswer | HttpStream


class IHttpHandler(Interface):
    """
    Answers the requests of some routes.
    """

    def handle(request: HttpRequest) -> HttpOutcome | Deferred[HttpOutcome]:
        """
        Answer C{request}. If the client goes before the answer, the Deferred is cancelled. An exception is a mistake of
        ours: it is logged, and the client gets status 500.
        """


@dataclass(frozen=True)
class Route:
    """
    The requests that a handler answers.

    @ivar methods: C{GET} and so on. HEAD is answered only if it is among them; its answer has no body.
    @ivar path: starts with a slash.
    @ivar is_prefix: the route has all targets that start with C{path}, as paths of the Node server do; otherwise only
        this path, with or without a slash at its end, and any query.
    @ivar checks_origin: with a list of origins, the request needs one of them (C{allowAllOrigins}). Programs that watch
        the server have none.
    @ivar while_stopping: the requests are answered while the server stops, too; otherwise they are refused then.
    """

    methods: frozenset[str]
    path: str
    handler: IHttpHandler
    is_prefix: bool = False
    checks_origin: bool = True
    while_stopping: bool = False
