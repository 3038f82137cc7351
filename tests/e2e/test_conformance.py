"""
A selection of the Autobahn WebSocket test suite: all that says something within a second.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.conformance import COMPRESSION, EchoServer, verdicts

#: Big messages, and cases that wait between two bytes to see whether nonsense is noticed before its frame is whole.
_SLOW = ["9.*", "5.19", "5.20", "6.4.*"]
#: One of each of the kinds of big messages, whole, in fragments and in small pieces.
_BIG = ["9.1.3", "9.2.3", "9.3.4", "9.4.4", "9.5.6", "9.6.6", "9.7.1", "9.8.1"]


class ConformanceTests(SynchronousTestCase):
    """
    Our WebSockets are WebSockets.
    """

    def check(self, fast: bool) -> None:
        with EchoServer(fast) as server:
            found = verdicts(server.port, None, [*_SLOW, *COMPRESSION]) + verdicts(server.port, _BIG)
        self.assertEqual([verdict for verdict in found if not verdict.passed], [])
        self.assertEqual(server.trouble, "")
        # No less than what there was when this was written: a selection that selects nothing passes as well.
        self.assertGreater(len(found), 240)

    def test_fast_path(self) -> None:
        """
        Every case passes where small frames are cut out of the received bytes by ourselves.
        """
        self.check(fast=True)

    def test_autobahn(self) -> None:
        """
        Every case passes where Autobahn does it all.
        """
        self.check(fast=False)
