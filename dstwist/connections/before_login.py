"""
How long a client may take for its login, and how many messages it may send before that.

=================================  ===================================================================================
setting of the endpoint            limit
=================================  ===================================================================================
C{unauthenticatedClientTimeout}    the time from the opening, or from the last refusal, until the login is I{accepted}
C{maxMessagesBeforeLogin}          the messages until the login is accepted; heartbeats do not count
the same                           the heartbeats in a second
=================================  ===================================================================================

A client that cannot log in now, but perhaps soon, is not closed at once: official clients come back without any delay,
and log in again by themselves. So its connection is closed C{closeDelay} later, unless a login is accepted until then.
The time-out does not count meanwhile, because a client that is told of a time-out does not come back.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from dstwist.connections.endpoint import EndpointContext, IUnauthenticatedConnection
from dstwist.interfaces import HandshakeData
from dstwist.limits.exceeded import LimitExceeded, log_refusal
from dstwist.limits.rates import TokenBucket
from dstwist.log import about

_TOO_MANY_MESSAGES = LimitExceeded("maxMessagesBeforeLogin", "too many messages before login")


class BeforeLogin:
    """
    The limits of one client.

    @ivar closes_later: the connection is about to be closed so that the client tries again.
    """

    __slots__ = ("_close_call", "_connection", "_context", "_expired", "_heartbeats", "_messages", "_request")

    def __init__(
        self, connection: IUnauthenticatedConnection, request: HandshakeData, context: EndpointContext
    ) -> None:
        self._connection = connection
        self._request = request
        self._context = context
        self._messages = 0
        self._heartbeats: TokenBucket | None = None
        self._expired: Callable[[], None] | None = None
        self._close_call: IDelayedCall | None = None

    @property
    def nothing_said(self) -> bool:
        """
        Whether the client has sent nothing at all.
        """
        return not self._messages and self._heartbeats is None

    # -- messages

    def count_message(self) -> None:
        """
        Count a message that is no heartbeat. This may close the connection.
        """
        self._messages += 1
        if self._messages > self._context.settings.max_messages_before_login:
            self._exceeded(_TOO_MANY_MESSAGES)

    def count_heartbeat(self) -> None:
        """
        Count a message that clients repeat which do nothing else: it may come again and again, but not too often. This
        may close the connection.
        """
        if self._heartbeats is None:
            most = self._context.settings.max_messages_before_login
            self._heartbeats = TokenBucket("maxMessagesBeforeLogin", most, self._context.clock)
        if self._heartbeats.spend(1):
            self._exceeded(_TOO_MANY_MESSAGES)

    def _exceeded(self, exceeded: LimitExceeded) -> None:
        log_refusal(exceeded, about(self._request))
        self._connection.close(exceeded.text)

    # -- time

    def start_timeout(self, expired: Callable[[], None]) -> None:
        """
        From now on the client has the whole time to log in; then C{expired} is called.
        """
        self._stop_timeout()
        deadlines = self._context.deadlines
        if deadlines is not None:
            self._expired = expired
            deadlines.add(self)

    def expire(self) -> None:
        """
        The time is over.
        """
        expired, self._expired = self._expired, None
        assert expired is not None
        expired()

    def _stop_timeout(self) -> None:
        if self._expired is not None:
            self._expired = None
            assert self._context.deadlines is not None
            self._context.deadlines.remove(self)

    @property
    def closes_later(self) -> bool:
        return self._close_call is not None

    def close_later(self, reason: str, code: int) -> None:
        """
        Close the connection after C{closeDelay}.
        """
        if self._close_call is None and not self._connection.closed:
            self._stop_timeout()
            self._close_call = self._context.clock.callLater(self._context.close_delay, self._close, reason, code)

    def _close(self, reason: str, code: int) -> None:
        self._close_call = None
        self._connection.close(reason, code)

    def end(self) -> None:
        """
        The client is logged in, or has gone.
        """
        self._stop_timeout()
        if self._close_call is not None:
            self._close_call.cancel()
            self._close_call = None
