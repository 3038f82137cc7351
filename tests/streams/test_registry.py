"""
Tests for L{dstwist.streams.registry}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.limits import LimitSettings
from dstwist.streams.registry import Streams


class PlaceTests(SynchronousTestCase):
    """
    The places of streams.
    """

    def test_networks(self) -> None:
        """
        The addresses of an IPv6 network count as one; UNIX sockets have no address.
        """
        streams = Streams(LimitSettings(max_streams=None, max_streams_per_address=1))
        self.assertIsNone(streams.enter("2001:db8::1"))
        exceeded = streams.enter("2001:db8::2")
        assert exceeded is not None
        self.assertEqual((exceeded.limit, exceeded.server_wide), ("maxStreamsPerAddress", False))
        self.assertIsNone(streams.enter("2001:db8:0:1::2"))
        for _ in range(3):
            self.assertIsNone(streams.enter("a unix socket"))
        self.assertEqual(len(streams), 5)
        streams.leave("2001:db8::9")
        self.assertIsNone(streams.enter("2001:db8::2"))

    def test_all(self) -> None:
        """
        The limit of all streams comes first, and a refused request takes no place.
        """
        streams = Streams(LimitSettings(max_streams=1, max_streams_per_address=1))
        self.assertIsNone(streams.enter("192.0.2.1"))
        for _ in range(2):
            exceeded = streams.enter("192.0.2.1")
            assert exceeded is not None
            self.assertEqual((exceeded.limit, exceeded.server_wide), ("maxStreams", True))
        streams.leave("192.0.2.1")
        self.assertEqual(len(streams), 0)
        self.assertIsNone(streams.enter("192.0.2.1"))

    def test_no_limits(self) -> None:
        """
        Without limits there is always a place.
        """
        streams = Streams(LimitSettings(max_streams=None, max_streams_per_address=None))
        for _ in range(20000):
            self.assertIsNone(streams.enter("192.0.2.1"))
