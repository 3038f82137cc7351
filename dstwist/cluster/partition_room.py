"""
The bytes of the names that this node may have the owner of one partition keep.

Clients choose their names, and can choose very many that are in one partition: the hash of names has no key. The owner
of the partition would have to keep those of the clients of all nodes. So each node refuses a client that wants a
further name of a partition in which this node has too many already. Names that are not chosen for this purpose are
spread evenly over the partitions, so that a client is refused because of the names of all partitions long before.
"""

from __future__ import annotations

import sys

from dstwist.config.cluster import ClusterSettings
from dstwist.protocol.weights import weigh_name

#: A partition has room for the bytes of all names divided by this. Evenly spread names of 256 partitions take an eighth
#: of that.
PARTS = 32

#: There is room for so many bytes at least, if the names of all partitions may have as many.
MIN_BYTES = 2**20

#: The bytes of memory of an entry, besides its text, at the owner and here.
ENTRY_BYTES = 400


class PartitionRoom:
    """
    The room that the entries of this node have.

    @ivar most: the bytes of one partition.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        limit = settings.max_name_bytes
        self.most = sys.maxsize if limit is None else min(limit, max(limit // PARTS, MIN_BYTES))
        self._used = [0] * settings.partitions

    def has_room(self, partition: int, key: str) -> bool:
        """
        Whether a client may cause a further entry.
        """
        return self._used[partition] + _weight(key) <= self.most

    def take(self, partition: int, key: str) -> None:
        """
        There is an entry more.
        """
        self._used[partition] += _weight(key)

    def give(self, partition: int, key: str) -> None:
        """
        There is an entry less.
        """
        self._used[partition] -= _weight(key)


def _weight(key: str) -> int:
    return weigh_name(key) + ENTRY_BYTES
