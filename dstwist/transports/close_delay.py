"""
How soon a WebSocket may end that the server closes: not before it has been open for C{limits.closeDelay}.

Official clients do not look at the reason of a close. As soon as the socket has gone they open another one, without any
wait if the last one had opened; they log in, and send again what was not acknowledged. If they were closed because of
that, they repeat it, up to a hundred times a second. A client whose close is delayed does not know of it, and waits.

The delay counts from the opening of the WebSocket, so that it only concerns clients that are closed soon after they
came: a connection that was open for longer is closed at once, and its client is back at once. A delayed close costs a
socket; so at most C{limits.maxDelayedCloses} are delayed at a time, and all others are not.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class CloseDelay:
    """
    The closes of one server that wait.

    @param delay: how long a WebSocket is open at least, in seconds.
    @param most: how many closes may wait.
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
        Call C{close} when C{link} has been open long enough; false if it is to be closed at once.

        @param opened_at: when it was opened, by the clock of this object.
        """
        # The time of day may be set back.
        left = min(opened_at + self._delay - self._clock.seconds(), self._delay)
        if left <= 0 or len(self._calls) >= self._most:
            return False
        self._calls[link] = self._clock.callLater(left, self._end, link, close)
        return True

    def cancel(self, link: object) -> None:
        """
        C{link} does not wait any more, if it did.
        """
        call = self._calls.pop(link, None)
        if call is not None:
            call.cancel()

    def _end(self, link: object, close: Callable[[], None]) -> None:
        del self._calls[link]
        close()
