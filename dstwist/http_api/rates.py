"""
The limits of messages and bytes of one user in a second (C{limits.maxMessageRatePerUser}, C{maxByteRatePerUser}).

A client with a connection that sends too much is read from more slowly. A request has no connection that could wait, so
it is refused with 429 and C{Retry-After} while the user is beyond the limit. As with a connection, the request that
exceeds the limit is served, and later ones wait. The buckets are those of all connections of the user.
"""

from __future__ import annotations

import math

from twisted.internet.interfaces import IReactorTime

from dstwist.limits.rates import TokenBucket, UserRateLimits
from dstwist.log import LoggedClient, Logger, about
from dstwist.protocol.constants import UNNAMED_USER
from dstwist.scheduling.deadlines import Deadlines

#: How long the buckets of a user are kept after a request, in seconds. A bucket without a debt is full after one.
KEPT_SECONDS = 2.0


class RequestRates:
    """
    The rate limits of requests.

    @param users: the limits of users.
    """

    _log = Logger()

    def __init__(self, users: UserRateLimits, clock: IReactorTime) -> None:
        self._users = users
        self._buckets: dict[str, tuple[list[TokenBucket], list[TokenBucket]]] = {}
        self._deadlines: Deadlines[str] = Deadlines(KEPT_SECONDS, clock, self._forget)

    def __len__(self) -> int:
        return len(self._buckets)

    def spend(self, client: LoggedClient, messages: int, size: int) -> int:
        """
        Count a request with so many messages and bytes.

        @return: 0 if it is served; otherwise after how many seconds the client may try again.
        """
        user = client.user
        if not self._users.limited or user is None or user == UNNAMED_USER:
            return 0
        found = self._buckets.get(user)
        if found is None:
            found = self._buckets[user] = self._users.join(user)
        self._deadlines.remove(user)
        self._deadlines.add(user)
        by_bytes, by_messages = found
        for bucket in (*by_bytes, *by_messages):
            wait = bucket.wait()
            if wait:
                self._log.warn(
                    "LIMIT_EXCEEDED | {limit}: {client} sends more than {rate} a second, a request is refused",
                    limit=bucket.name,
                    rate=bucket.rate,
                    event="LIMIT_EXCEEDED",
                    once=bucket.name,
                    **about(client),
                )
                return max(math.ceil(wait), 1)
        for bucket in by_bytes:
            bucket.spend(size)
        for bucket in by_messages:
            bucket.spend(messages)
        return 0

    def stop(self) -> None:
        """
        Forget all users, and cancel the timer.
        """
        self._deadlines.stop()
        for user in list(self._buckets):
            del self._buckets[user]
            self._users.leave(user)

    def _forget(self, user: str) -> None:
        if any(bucket.wait() for buckets in self._buckets[user] for bucket in buckets):
            self._deadlines.add(user)
            return
        del self._buckets[user]
        self._users.leave(user)
