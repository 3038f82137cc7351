"""
Rate limits: how much clients may send in a second (C{maxMessageRate}, C{maxByteRate}, and the same for all connections
of a user).

A client that sends more is not refused, and nothing is lost: the server reads from it more slowly, which the client
feels as a slow network. Each limit is a token bucket. A full bucket allows as much at once as the limit allows in one
second; each message takes tokens out, and time puts them back. A bucket looks at the clock only when it seems empty. A
connection without limits has no L{RateLimit}.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.config.limits import LimitSettings
from dstwist.interfaces import Decode
from dstwist.log import LoggedClient, Logger, about
from dstwist.protocol.constants import UNNAMED_USER
from dstwist.protocol.message import Malformed, Message

#: How long a requester is paused at most before its buckets are looked at again, in seconds.
MAX_PAUSE_SECONDS = 1.0

#: The shortest pause. A pause that is shorter than the clock can tell would end at the moment at which it began, again
#: and again.
MIN_PAUSE_SECONDS = 0.001


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


class Throttled(LoggedClient, Protocol):
    """
    A requester, as its rate limit sees it.
    """

    def pause(self) -> None:
        """
        Take no more requests.
        """

    def resume(self) -> None:
        """
        Undo L{pause}.
        """


class RateLimits:
    """
    The rate limits of all requesters of one kind.

    @param max_bytes: how many bytes each of them may send in a second; C{None} for any number.
    @param max_messages: how many messages.
    @param users: the limits that all requesters of a user share.
    """

    def __init__(
        self, max_bytes: int | None, max_messages: int | None, users: UserRateLimits, clock: IReactorTime
    ) -> None:
        self._max_bytes = max_bytes
        self._max_messages = max_messages
        self._users = users
        self._clock = clock

    @property
    def limited(self) -> bool:
        """
        Whether there is any limit.
        """
        return self._max_bytes is not None or self._max_messages is not None or self._users.limited

    def start(self, requester: Throttled) -> RateLimit | None:
        """
        The limit of C{requester}, which has come; C{None} if there is no limit.
        """
        if not self.limited:
            return None
        sent_bytes = token_buckets("maxByteRate", self._max_bytes, self._clock)
        sent_messages = token_buckets("maxMessageRate", self._max_messages, self._clock)
        return RateLimit(sent_bytes, sent_messages, self._users, self._clock, requester)


class RateLimit:
    """
    The rate limits of one requester.

    @param requester: is paused while it has sent too much.
    """

    _log = Logger()

    def __init__(
        self,
        sent_bytes: list[TokenBucket],
        sent_messages: list[TokenBucket],
        users: UserRateLimits,
        clock: IReactorTime,
        requester: Throttled,
    ) -> None:
        self._bytes = list(sent_bytes)
        self._messages = list(sent_messages)
        self._users = users
        self._clock = clock
        self._requester: Throttled | None = requester
        self._call: IDelayedCall | None = None
        self._user: str | None = None

    def counted(self, decode: Decode) -> Decode:
        """
        A function that does the same as C{decode}, and counts the messages.
        """
        count = self.count_messages

        def counted(payload: bytes | str) -> list[Malformed | Message]:
            messages = decode(payload)
            count(len(messages))
            return messages

        return counted

    def count_bytes(self, count: int) -> None:
        """
        C{count} bytes have arrived.
        """
        for bucket in self._bytes:
            if bucket.spend(count):
                self._throttle(bucket)

    def count_messages(self, count: int) -> None:
        """
        C{count} messages have arrived.
        """
        for bucket in self._messages:
            if bucket.spend(count):
                self._throttle(bucket)

    def logged_in(self, user: str) -> None:
        """
        The requester is C{user}, and shares the limits of that user.
        """
        if self._users.limited and self._user is None and user != UNNAMED_USER:
            self._user = user
            sent_bytes, sent_messages = self._users.join(user)
            self._bytes += sent_bytes
            self._messages += sent_messages

    def stop(self) -> None:
        """
        The requester has gone.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._bytes.clear()
        self._messages.clear()
        # Without the circle, both are freed at once.
        self._requester = None
        user, self._user = self._user, None
        if user is not None:
            self._users.leave(user)

    def _throttle(self, bucket: TokenBucket) -> None:
        if self._call is not None or self._requester is None:
            return
        self._log.warn(
            "LIMIT_EXCEEDED | {limit}: {client} sends more than {rate} a second, reading it more slowly",
            limit=bucket.name,
            rate=bucket.rate,
            event="LIMIT_EXCEEDED",
            once=bucket.name,
            **about(self._requester),
        )
        self._requester.pause()
        self._await()

    def _await(self) -> None:
        self._call = None
        wait = max([bucket.wait() for bucket in (*self._bytes, *self._messages)], default=0.0)
        if wait:
            self._call = self._clock.callLater(min(max(wait, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS), self._await)
        elif self._requester is not None:
            self._requester.resume()


def token_buckets(name: str, rate: int | None, clock: IReactorTime) -> list[TokenBucket]:
    """
    The bucket of a limit; none if there is no limit.
    """
    return [] if rate is None else [TokenBucket(name, rate, clock)]
