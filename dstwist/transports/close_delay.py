"""
The delay of closes by the server: it closes no WebSocket before that has been open for C{limits.closeDelay}.

Official clients do not look at the reason of a close. When the socket has gone, they open another one at once, if the
last one had opened. They log in, and send again all requests that were not acknowledged. If one of these requests was
the reason of the close, this repeats up to a hundred times a second. A client whose close is delayed does not know of
it, and waits.

The delay counts from the opening of the WebSocket, so it only affects clients that are closed soon after they came. A
connection that was open for longer is closed at once, and its client comes back at once. Each delayed close costs a
socket, so at most C{limits.maxDelayedCloses} are delayed at a time; further ones are not delayed.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class CloseDelay:
    """
    The delayed closes of one server.

    @param delay: the shortest time for which a WebSocket is open, in seconds.
    @param most: how many closes may be delayed at a time.
    """

    def __init__(self, delay: float, most: int, clock: IReactorTime) -> None:
        self._delay = delay
        self._most = most
        self._clock = clock
        self._calls: dict[object, IDelayedCall] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self, link: object, opened_at: float, close: Callable[[], None]) -> bool:
        """
        Delay a close: call C{close} when C{link} has been open long enough.

        @param opened_at: when it was opened, by the clock of this object.
        @return: false if the caller has to close it at once.
        """
        # The time of day may be set back.
        left = min(opened_at + self._delay - self._clock.seconds(), self._delay)
        if left <= 0 or len(self._calls) >= self._most:
            return False
        self._calls[link] = self._clock.callLater(left, self._end, link, close)
        return True

    def cancel(self, link: object) -> None:
        """
        Do not call the C{close} of C{link}, if its close is delayed.
        """
        call = self._calls.pop(link, None)
        if call is not None:
            call.cancel()

    def _end(self, link: object, close: Callable[[], None]) -> None:
        del self._calls[link]
        close()
