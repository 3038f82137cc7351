"""
HTTP requests with bounds: so long for an answer's head, so long again for its body, and so many bytes of it.

Redirects are not followed, and cookies not kept: an answer to one login must not have a say in the next. TLS
certificates are verified against the authorities the system trusts.
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
from twisted.web.client import Agent, HTTPConnectionPool, PotentialDataLoss, ResponseDone, _HTTP11ClientFactory
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from dstwist.errors import AuthError

# How many idle connections are kept for the next requests to the same place.
_KEPT = 16

# Node.js closes an idle connection after five seconds. A request on one that is being closed would be lost.
_IDLE = 4.0

#: What of an error is told.
MAX_REASON = 300


class Response(NamedTuple):
    """
    What came back.

    @ivar kind: the media type, in lower case and without parameters; empty if there is none.
    """

    status: int
    kind: str
    body: bytes


@implementer(IBodyProducer)
class _Body:
    """
    A request's body that is sent at once.
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
    Collects a response's body, up to C{limit} bytes.
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
            # Behind a response there may be something that cannot be aborted; it can always be closed.
            getattr(transport, "abortConnection", transport.loseConnection)()


class HttpClient:
    """
    Makes requests, with the same bounds for all.
    """

    def __init__(self, agent: IAgent, clock: Any, timeout: float, limit: int, pool: HTTPConnectionPool | None) -> None:
        """
        @param timeout: for connecting and an answer's head, and then again for its body; in seconds.
        @param limit: of the body, in bytes.
        @param pool: the agent's connections, to be closed in the end.
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
        The answer, whatever its status. Raises L{AuthError} if there is none, or it takes too long or is too large; the
        error's text has nothing of what was sent.
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
        # Not addTimeout: an agent has an exception of its own for a request that was cancelled.
        timer = self._clock.callLater(self._timeout, waited_for.cancel)
        try:
            return await waited_for
        except AuthError:
            raise
        except Exception as error:
            # Whatever the network, TLS or the other side's idea of HTTP came up with.
            reason = _reason(error)
            if not timer.active():
                raise AuthError(f"{late} within {self._timeout} s") from None
            if isinstance(reason, CancelledError):
                raise reason from None
            raise AuthError(f"{late}: {type(reason).__name__} {reason}"[:MAX_REASON]) from None
        finally:
            if timer.active():
                timer.cancel()

    async def stop(self) -> None:
        """
        Close the connections that are kept for later requests.
        """
        if self._pool is not None:
            await self._pool.closeCachedConnections()


def _reason(error: BaseException) -> BaseException:
    """
    What is behind an error. Twisted wraps the reasons in lists, as failures.
    """
    reasons = getattr(error, "reasons", None)
    if reasons and isinstance(reasons[0], Failure) and reasons[0].value is not None:
        return _reason(reasons[0].value)
    return error


class _QuietFactory(_HTTP11ClientFactory):
    """
    Logs no line for each connection.
    """

    noisy = False


def make_http_client(reactor: Any, timeout: float, limit: int) -> HttpClient:
    """
    A L{HttpClient} that uses the network.
    """
    pool = HTTPConnectionPool(reactor)
    pool._factory = _QuietFactory
    pool.maxPersistentPerHost = _KEPT
    pool.cachedConnectionTimeout = _IDLE  # type: ignore[assignment]  # any number will do
    return HttpClient(Agent(reactor, connectTimeout=timeout, pool=pool), reactor, timeout, limit, pool)
