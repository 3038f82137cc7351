"""
Tests for L{dstwist.api.ongoing}. The end of subscriptions, provisions and listeners is tested with these.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from dstwist.api.errors import ApiError, HandleClosed, SlowConsumer
from dstwist.api.ongoing import Endings, Ongoing
from dstwist.api.requester import Identity
from tests.logs import Lines


class Thing(Ongoing):
    """
    Counts how often the server is told.
    """

    _kind = "thing about"

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
        thing = Thing("a", Endings(Identity("ann")))

        async def use() -> None:
            async with thing as same:
                self.assertIs(same, thing)
                self.assertFalse(thing.closed)

        self.successResultOf(Deferred.fromCoroutine(use()))
        self.successResultOf(thing.close())
        thing._end(ApiError("TOO_LATE"))
        self.assertEqual((thing.closed, thing.error, thing.left), (True, None, 1))

    def test_end(self) -> None:
        """
        It ends by an error, which all who wait get. The server is not told.
        """
        thing = Thing("a", Endings(Identity("ann")))
        waiting = [thing.ended() for _ in range(2)]
        error = ApiError("MESSAGE_DENIED", "a")
        thing._end(error)
        for each in (*waiting, thing.ended()):
            self.assertIs(self.failureResultOf(each, ApiError).value, error)
        self.successResultOf(thing.close())
        self.assertEqual((thing.error, thing.left), (error, 0))

    def test_unnoticed(self) -> None:
        """
        An error that the application does not wait for is logged, once for each kind and handle.
        """
        lines = Lines(self)
        for identity, owner in ((Identity("ann"), "ann (api)"), (Identity(is_server=True), "the server itself")):
            lines.clear()
            endings = Endings(identity)
            for name, event in (("a", "MESSAGE_DENIED"), ("b", "MESSAGE_DENIED"), ("c", "RECORD_LOAD_ERROR")):
                Thing(name, endings)._end(ApiError(event, name))
            told = "has ended, and the application does not wait for its end"
            self.assertEqual(
                lines.of("warn"),
                [
                    f"MESSAGE_DENIED | the thing about a of {owner} {told}",
                    f"RECORD_LOAD_ERROR | the thing about c of {owner} {told}",
                ],
            )

    def test_noticed(self) -> None:
        """
        An error is not logged if the application waits for it, has caused it, or if it has another line.
        """
        lines = Lines(self)
        endings = Endings(Identity("ann"))
        thing = Thing("a", endings)
        ended = thing.ended()
        thing._end(ApiError("MESSAGE_DENIED", "a"))
        self.failureResultOf(ended, ApiError)
        Thing("a", endings)._end(HandleClosed("closed"))
        Thing("a", endings)._end(SlowConsumer("a"))
        self.assertEqual(lines.of("warn"), [])
