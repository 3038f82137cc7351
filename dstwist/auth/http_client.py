"""
An HTTP client with bounds: one time-out for the head of a response, one for its body, and a largest body.

Redirects are not followed and cookies are not kept: the response to one login must not influence the next one. TLS
certificates are verified against the authorities that the system trusts.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple

from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, _HTTP11ClientFactory
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from dstwist.errors import AuthError

# The most idle connections that are kept per host for later requests.
_MAX_IDLE_CONNECTIONS = 16

# How long an idle connection is kept, in seconds. Node.js closes one after five seconds, and a request that is sent
# while the connection closes would be lost.
_IDLE_SECONDS = 4.0

#: The longest error text, in characters.
MAX_ERROR_CHARACTERS = 300


class Response(NamedTuple):
    """
    A response.

    @ivar kind: the media type, in lower case and without parameters; empty if the response has none.
    """

    status: int
    kind: str
    body: bytes


@implementer(IBodyProducer)
class _Body:
    """
    The body of a request, sent in one piece.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class _Collector(Protocol):
    """
    Collects the body of a response, up to C{limit} bytes.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._parts: list[bytes] = []
        self.done: Deferred[bytes] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left >= 0:
            self._parts.append(data)
        elif not self.done.called:
            self.done.errback(AuthError("the answer is too large"))
            self._abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(reason)

    def _abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            # Not every transport of a response can be aborted, but each can be closed.
            getattr(transport, "abortConnection", transport.loseConnection)()


class HttpClient:
    """
    Makes requests, all with the same bounds.
    """

    def __init__(self, agent: IAgent, clock: Any, timeout: float, limit: int, pool: HTTPConnectionPool | None) -> None:
        """
        @param timeout: the longest time for connecting and the head of the response, and again for its body; in
            seconds.
        @param limit: the largest body, in bytes.
        @param pool: the connections of the agent, which L{stop} closes.
        """
        jar = IndexableCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self._client = HTTPClient(agent, jar, data_to_body_producer=_Body)
        self._clock = clock
        self._timeout = timeout
        self._limit = limit
        self._pool = pool

    async def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """
        The response, whatever its status.

        @raise AuthError: there is no response, or it is late or too large. The text contains nothing of the request.
        """
        fields = Headers()
        for name, value in (headers or {}).items():
            fields.addRawHeader(name.encode("ascii"), value.encode("latin-1"))
        asked = maybeDeferred(
            self._client.request,
            method,
            url,
            headers=fields,
            data=body,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._clock,
        )
        response: IResponse = await self._in_time(asked, "no answer")
        collector = _Collector(self._limit)
        response.deliverBody(collector)
        content: bytes = await self._in_time(collector.done, "the answer did not end")
        (kind,) = response.headers.getRawHeaders("content-type", [""])[-1:]
        return Response(response.code, kind.partition(";")[0].strip().lower(), content)

    async def _in_time(self, waited_for: Deferred[Any], late: str) -> Any:
        # Not addTimeout: the agent turns the cancellation into an exception of its own.
        timer = self._clock.callLater(self._timeout, waited_for.cancel)
        try:
            return await waited_for
        except AuthError:
            raise
        except Exception as error:
            # Failures of the network, of TLS, or a violation of HTTP by the other side.
            reason = _reason(error)
            if not timer.active():
                raise AuthError(f"{late} within {self._timeout} s") from None
            if isinstance(reason, CancelledError):
                raise reason from None
            raise AuthError(f"{late}: {type(reason).__name__} {reason}"[:MAX_ERROR_CHARACTERS]) from None
        finally:
            if timer.active():
                timer.cancel()

    async def stop(self) -> None:
        """
        Close the idle connections.
        """
        if self._pool is not None:
            await self._pool.closeCachedConnections()


def _reason(error: BaseException) -> BaseException:
    """
    The cause of an error. Twisted wraps causes as failures in a list.
    """
    reasons = getattr(error, "reasons", None)
    if reasons and isinstance(reasons[0], Failure) and reasons[0].value is not None:
        return _reason(reasons[0].value)
    return error


class _QuietFactory(_HTTP11ClientFactory):
    """
    Writes no log line per connection.
    """

    noisy = False


def make_http_client(reactor: Any, timeout: float, limit: int) -> HttpClient:
    """
    An L{HttpClient} that uses the network.
    """
    pool = HTTPConnectionPool(reactor)
    pool._factory = _QuietFactory
    pool.maxPersistentPerHost = _MAX_IDLE_CONNECTIONS
    pool.cachedConnectionTimeout = _IDLE_SECONDS  # type: ignore[assignment]  # any number will do
    return HttpClient(Agent(reactor, connectTimeout=timeout, pool=pool), reactor, timeout, limit, pool)
