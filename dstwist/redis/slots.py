"""
The slots of a Redis Cluster: each key is in one of them, and each slot at one primary.

::

    price/1         the whole key decides
    x{price/1}_v    the part between the first { and the next } decides, if there is one and it is not empty
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Any, NamedTuple

from dstwist.config.redis_nodes import RedisAddress
from dstwist.redis.errors import InvalidAnswer
from dstwist.redis.interface import Word

#: How many slots there are.
SLOTS = 16384


def slot_of(key: Word) -> int:
    """
    The slot of a key.
    """
    data = key if isinstance(key, bytes) else str(key).encode()
    begin = data.find(b"{")
    if begin >= 0:
        end = data.find(b"}", begin + 1)
        if end > begin + 1:
            data = data[begin + 1 : end]
    return crc_hqx(data, 0) % SLOTS


class SlotRange(NamedTuple):
    """
    Slots, first and last, and their primary.
    """

    first: int
    last: int
    address: RedisAddress


class SlotMap(NamedTuple):
    """
    Which primary has which slots.

    @ivar works: whether the node that was asked takes part in a cluster that works. If not, the node may have been cut
        off from the others, and what it knows may be old.
    """

    ranges: list[SlotRange]
    works: bool


def read_slots(slots: Any, info: Any, host: str) -> SlotMap:
    """
    The map in the answers to CLUSTER SLOTS and CLUSTER INFO.

    @param host: the host that was asked, which a node means if it does not know its own.
    @raise InvalidAnswer: there is none.
    """
    try:
        ranges = [
            SlotRange(first, last, RedisAddress(_host(primary[0], host), primary[1]))
            for first, last, primary, *_ in slots
        ]
        return SlotMap(ranges, b"cluster_state:ok" in info)
    except (TypeError, ValueError, IndexError, AttributeError):
        raise InvalidAnswer("its answer to CLUSTER SLOTS is none") from None


def read_address(text: str, host: str) -> RedisAddress | None:
    """
    The address in a redirection: C{MOVED 3999 127.0.0.1:6381}.

    @param host: the host of the node that has answered, which it means if the text has none.
    @return: C{None} if there is no address.
    """
    name, _, port = text.rpartition(" ")[2].rpartition(":")
    if not port.isascii() or not port.isdigit():
        return None
    return RedisAddress(host if name in ("", "?") else name.removeprefix("[").removesuffix("]"), int(port))


def _host(given: Any, asked: str) -> str:
    name = given.decode() if given else ""
    return asked if name in ("", "?") else str(name)
