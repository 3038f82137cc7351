"""
WebSockets with a limit on how much the client may send in a second (L{dstwist.limits.rates}).
"""

from __future__ import annotations

from typing import Any, Protocol

from dstwist.interfaces import Decode
from dstwist.limits.rates import RateLimit, UserRateLimits, token_buckets
from dstwist.log import about
from dstwist.protocol.message import Malformed, Message
from dstwist.transports.websocket import LinkFactory, WebSocketLink


class MeteringFactory(LinkFactory, Protocol):
    """
    The factory of a WebSocket, as far as rate limits need it.
    """

    budgets: UserRateLimits | None


class MeteredLink(WebSocketLink):
    """
    A WebSocket whose client may send only so much in a second.

    Both its connection and its rate limit may stop reading. The server reads while neither of them does.
    """

    factory: MeteringFactory
    _rate_limit: RateLimit
    _held = False
    _throttled = False

    def connectionMade(self) -> None:
        factory = self.factory
        settings, clock = factory.settings, factory.reactor
        assert factory.budgets is not None
        self._rate_limit = RateLimit(
            token_buckets("maxByteRate", settings.max_byte_rate, clock),
            token_buckets("maxMessageRate", settings.max_message_rate, clock),
            factory.budgets,
            clock,
            self._throttle,
            self._unthrottle,
            self._is_alive,
            lambda: about(self),
        )
        super().connectionMade()

    def connectionLost(self, reason: Any = None) -> None:
        self._rate_limit.stop()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self._rate_limit.bytes(len(data))

    def counted(self, decode: Decode) -> Decode:
        count = self._rate_limit.messages

        def counted(payload: bytes | str) -> list[Malformed | Message]:
            messages = decode(payload)
            count(len(messages))
            return messages

        return counted

    def logged_in(self, user: str) -> None:
        super().logged_in(user)
        self._rate_limit.logged_in(user)

    def pause(self) -> None:
        self._held = True
        super().pause()

    def resume(self) -> None:
        self._held = False
        if not self._throttled:
            super().resume()

    def _throttle(self) -> None:
        self._throttled = True
        super().pause()

    def _unthrottle(self) -> None:
        self._throttled = False
        if not self._held:
            super().resume()

    def _is_alive(self) -> None:
        if self.connection is not None:
            self.connection.heard = True
