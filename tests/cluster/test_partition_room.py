"""
Tests for L{dstwist.cluster.partition_room}.
"""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.partition_room import ENTRY_BYTES, PartitionRoom
from dstwist.config.cluster import ClusterSettings


class PartitionRoomTests(SynchronousTestCase):
    """
    L{PartitionRoom}.
    """

    def test_most(self) -> None:
        """
        A partition has a part of the bytes of all names, but enough for some names.
        """
        for limit, expected in ((None, sys.maxsize), (1000, 1000), (2**22, 2**20), (2**30, 2**25)):
            self.assertEqual(PartitionRoom(ClusterSettings(max_name_bytes=limit)).most, expected)

    def test_full(self) -> None:
        """
        When a partition is full, there is no room for further entries, until others have gone. Other partitions have
        room.
        """
        room = PartitionRoom(ClusterSettings(max_name_bytes=20_000, partitions=2))
        key = "u" * 10_000
        self.assertTrue(room.has_room(0, key))
        room.take(0, key)
        self.assertFalse(room.has_room(0, key))
        self.assertTrue(room.has_room(1, key))
        room.give(0, key)
        self.assertTrue(room.has_room(0, key))

    def test_short(self) -> None:
        """
        Short names take room, too.
        """
        room = PartitionRoom(ClusterSettings(max_name_bytes=10 * ENTRY_BYTES))
        count = 0
        while room.has_room(0, "ua"):
            room.take(0, "ua")
            count += 1
        self.assertTrue(0 < count < 10)
