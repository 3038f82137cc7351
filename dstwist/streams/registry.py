"""
All streams of a node: how many there are, and their users.

A stream has its place from the moment its request comes in, so that logins under way count as well::

    request --> place --> stream --> end of the stream, or a refusal: the place is free

Always true: each place is given back once. The places of an address are those of its requests under way.
"""

from __future__ import annotations

from collections.abc import Collection

from dstwist.config.limits import LimitSettings
from dstwist.limits.addresses import key_of
from dstwist.limits.exceeded import LimitExceeded
from dstwist.log import Logger, about
from dstwist.streams.stream import Stream


class Streams:
    """
    The streams of one node.

    @ivar refusal: why no new streams begin; C{None} if they do.
    """

    _log = Logger()

    def __init__(self, limits: LimitSettings) -> None:
        self._most = limits.max_streams
        self._most_per_address = limits.max_streams_per_address
        self._places = 0
        self._by_address: dict[str, int] = {}
        self._by_user: dict[str, dict[Stream, None]] = {}
        self._all: dict[Stream, None] = {}
        self.refusal: str | None = None

    def __len__(self) -> int:
        return self._places

    # -- places

    def enter(self, address: str) -> LimitExceeded | None:
        """
        Take a place for a request of C{address}.

        @return: the limit because of which there is none.
        """
        if self._most is not None and self._places >= self._most:
            return LimitExceeded("maxStreams", f"more than {self._most} streams", True)
        key = key_of(address)
        if key is not None:
            count = self._by_address.get(key, 0)
            if self._most_per_address is not None and count >= self._most_per_address:
                return LimitExceeded(
                    "maxStreamsPerAddress", f"more than {self._most_per_address} streams of one address"
                )
            self._by_address[key] = count + 1
        self._places += 1
        return None

    def leave(self, address: str) -> None:
        """
        Give a place back.
        """
        self._places -= 1
        key = key_of(address)
        if key is not None:
            self._by_address[key] -= 1
            if not self._by_address[key]:
                del self._by_address[key]

    # -- users

    def add(self, stream: Stream) -> None:
        """
        C{stream} has logged in.
        """
        self._all[stream] = None
        self._by_user.setdefault(stream.user or "", {})[stream] = None
        stream.on_close(lambda requester: self._remove(stream))

    def _remove(self, stream: Stream) -> None:
        del self._all[stream]
        user = stream.user or ""
        del self._by_user[user][stream]
        if not self._by_user[user]:
            del self._by_user[user]

    def count(self, user: str) -> int:
        """
        How many streams C{user} has.
        """
        return len(self._by_user.get(user, ()))

    def of_user(self, user: str) -> list[Stream]:
        """
        The streams of C{user}.
        """
        return list(self._by_user.get(user, ()))

    def kicked(self, user: str, reason: str) -> int:
        """
        End the streams of C{user}.

        @return: how many.
        """
        streams = self.of_user(user)
        for stream in streams:
            self._log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(stream))
            stream.close(reason)
        return len(streams)

    def stop(self) -> None:
        """
        The server stops. The streams that have begun are ended with all other requests under way; end the others here.
        """
        for stream in list(self._all):
            if not stream.begun:
                stream.close("the server stops")

    def all(self) -> Collection[Stream]:
        """
        All streams that have logged in.
        """
        return self._all.keys()
