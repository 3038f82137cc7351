"""
Tests for L{dstwist.api.ongoing}. The end of subscriptions, provisions and listeners is tested with these.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from dstwist.api.errors import ApiError
from dstwist.api.ongoing import Ongoing


class Thing(Ongoing):
    """
    Counts how often the server is told.
    """

    left = 0

    def _leave(self) -> Deferred[None]:
        self.left += 1
        return succeed(None)


class OngoingTests(SynchronousTestCase):
    """
    L{Ongoing}.
    """

    def test_close(self) -> None:
        """
        It is closed once, also by a block that ends.
        """
        thing = Thing("a")

        async def use() -> None:
            async with thing as same:
                self.assertIs(same, thing)
                self.assertFalse(thing.closed)

        self.successResultOf(Deferred.fromCoroutine(use()))
        self.successResultOf(thing.close())
        thing.end(ApiError("TOO_LATE"))
        self.assertEqual((thing.closed, thing.error, thing.left), (True, None, 1))

    def test_end(self) -> None:
        """
        It ends by an error, which all who wait get. The server is not told.
        """
        thing = Thing("a")
        waiting = [thing.ended() for _ in range(2)]
        error = ApiError("MESSAGE_DENIED", "a")
        thing.end(error)
        for each in (*waiting, thing.ended()):
            self.assertIs(self.failureResultOf(each, ApiError).value, error)
        self.successResultOf(thing.close())
        self.assertEqual((thing.error, thing.left), (error, 0))
