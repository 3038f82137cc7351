"""
Rate limits: how much clients may send in a second (C{maxMessageRate}, C{maxByteRate}, and the same for all connections
of a user).

A client that sends more is not refused, and nothing is lost: the server reads from it more slowly, which the client
feels as a slow network. Each limit is a token bucket. A full bucket allows as much at once as the limit allows in one
second; each message takes tokens out, and time puts them back. A bucket looks at the clock only when it seems empty. A
connection without limits has no L{RateLimit}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.config.limits import LimitSettings
from dstwist.log import Logger
from dstwist.protocol.constants import UNNAMED_USER

#: How long a connection is paused at most before its buckets are looked at again, in seconds. The client cannot be
#: heard during a pause, and must not be taken for dead.
MAX_PAUSE_SECONDS = 1.0


class TokenBucket:
    """
    A limit of C{rate} a second.

    @ivar name: the name of the limit, as in the configuration.
    """

    __slots__ = ("_at", "_left", "_seconds", "name", "rate")

    def __init__(self, name: str, rate: int, clock: IReactorTime) -> None:
        self.name = name
        self.rate = rate
        self._seconds = clock.seconds
        self._left: float = rate
        self._at = clock.seconds()

    def spend(self, amount: int) -> float:
        """
        Take out C{amount}.

        @return: how long to wait before more is taken out, in seconds.
        """
        if amount > self._left:
            self._fill()
        left = self._left = self._left - amount
        return 0.0 if left >= 0 else -left / self.rate

    def wait(self) -> float:
        """
        How long to wait from now, in seconds.
        """
        self._fill()
        return 0.0 if self._left >= 0 else -self._left / self.rate

    def _fill(self) -> None:
        now = self._seconds()
        # The time of day may be set back.
        self._left = min(self.rate, self._left + max(now - self._at, 0.0) * self.rate)
        self._at = now


class UserRateLimits:
    """
    The buckets that the connections of one user share.
    """

    def __init__(self, settings: LimitSettings, clock: IReactorTime) -> None:
        self._bytes = settings.max_byte_rate_per_user
        self._messages = settings.max_message_rate_per_user
        self._clock = clock
        self._shares: dict[str, tuple[list[TokenBucket], list[TokenBucket]]] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._shares)

    @property
    def limited(self) -> bool:
        """
        Whether users have any limit.
        """
        return self._bytes is not None or self._messages is not None

    def join(self, user: str) -> tuple[list[TokenBucket], list[TokenBucket]]:
        """
        Count one more connection of C{user}.

        @return: the user's buckets for bytes, and those for messages.
        """
        self._counts[user] = self._counts.get(user, 0) + 1
        if user not in self._shares:
            self._shares[user] = (
                token_buckets("maxByteRatePerUser", self._bytes, self._clock),
                token_buckets("maxMessageRatePerUser", self._messages, self._clock),
            )
        return self._shares[user]

    def leave(self, user: str) -> None:
        """
        Count one connection of C{user} less.
        """
        self._counts[user] -= 1
        if not self._counts[user]:
            del self._counts[user], self._shares[user]


class RateLimit:
    """
    The rate limits of one connection.

    @param pause: stops reading from the client.
    @param resume: reads on.
    @param alive: called during a pause, so that the heartbeat does not take the silence for the client's.
    @param client: the fields of lines about the client, see L{dstwist.log.about}.
    """

    _log = Logger()

    def __init__(
        self,
        sent_bytes: list[TokenBucket],
        sent_messages: list[TokenBucket],
        users: UserRateLimits,
        clock: IReactorTime,
        pause: Callable[[], None],
        resume: Callable[[], None],
        alive: Callable[[], None],
        client: Callable[[], dict[str, Any]],
    ) -> None:
        self._bytes = list(sent_bytes)
        self._messages = list(sent_messages)
        self._users = users
        self._clock = clock
        self._pause = pause
        self._resume = resume
        self._alive = alive
        self._call: IDelayedCall | None = None
        self._client = client
        self._user: str | None = None

    def bytes(self, count: int) -> None:
        """
        C{count} bytes have arrived.
        """
        for bucket in self._bytes:
            if bucket.spend(count):
                self._throttle(bucket)

    def messages(self, count: int) -> None:
        """
        C{count} messages have arrived.
        """
        for bucket in self._messages:
            if bucket.spend(count):
                self._throttle(bucket)

    def logged_in(self, user: str) -> None:
        """
        The client is C{user}, and shares the limits of that user.
        """
        if self._users.limited and self._user is None and user != UNNAMED_USER:
            self._user = user
            sent_bytes, sent_messages = self._users.join(user)
            self._bytes += sent_bytes
            self._messages += sent_messages

    def stop(self) -> None:
        """
        The connection is closed.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._bytes.clear()
        self._messages.clear()
        user, self._user = self._user, None
        if user is not None:
            self._users.leave(user)

    def _throttle(self, bucket: TokenBucket) -> None:
        if self._call is not None:
            return
        self._log.warn(
            "LIMIT_EXCEEDED | {limit}: {client} sends more than {rate} a second, reading it more slowly",
            limit=bucket.name,
            rate=bucket.rate,
            event="LIMIT_EXCEEDED",
            once=bucket.name,
            **self._client(),
        )
        self._pause()
        self._await()

    def _await(self) -> None:
        wait = max([bucket.wait() for bucket in (*self._bytes, *self._messages)], default=0.0)
        if wait:
            self._call = self._clock.callLater(min(wait, MAX_PAUSE_SECONDS), self._look)
        else:
            self._resume()

    def _look(self) -> None:
        self._call = None
        self._alive()
        self._await()


def token_buckets(name: str, rate: int | None, clock: IReactorTime) -> list[TokenBucket]:
    """
    The bucket of a limit; none if there is no limit.
    """
    return [] if rate is None else [TokenBucket(name, rate, clock)]
