"""
The payloads that are kept while the bus is lost, in the order in which they were published.

They are of use if only this node has lost the bus, for a short time. If the engine was away, the other nodes subscribe
anew as well, and payloads get lost until they have.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IReactorTime


class OutageBuffer:
    """
    Keeps payloads for a limited time.

    @param max_bytes: how many bytes of payloads and channels are kept.
    @param max_age: how long each of them is kept, in seconds.
    @ivar dropped: how many payloads were not kept, or not long enough.
    """

    def __init__(self, max_bytes: int, max_age: float, clock: IReactorTime) -> None:
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._clock = clock
        self._kept: deque[tuple[float, bytes, bytes]] = deque()
        self._bytes = 0
        self.dropped = 0

    def keep(self, channel: bytes, payload: bytes) -> None:
        """
        Keep a payload, unless too many are kept already.
        """
        self._drop_old()
        size = len(channel) + len(payload)
        if self._bytes + size > self._max_bytes:
            self.dropped += 1
            return
        self._bytes += size
        self._kept.append((self._clock.seconds(), channel, payload))

    def take(self) -> list[tuple[bytes, bytes]]:
        """
        The channels and payloads that are not too old. They are kept no longer.
        """
        self._drop_old()
        kept = [(channel, payload) for _, channel, payload in self._kept]
        self.clear()
        return kept

    def clear(self) -> None:
        """
        Keep nothing any more.
        """
        self._kept.clear()
        self._bytes = 0

    def _drop_old(self) -> None:
        oldest = self._clock.seconds() - self._max_age
        while self._kept and self._kept[0][0] < oldest:
            _, channel, payload = self._kept.popleft()
            self._bytes -= len(channel) + len(payload)
            self.dropped += 1
