"""
The calls of one slot of a Redis Cluster while they cannot be sent at once.

::

    redirected     calls that a node has not executed, in their order; they are sent again first
    waiting        calls that were made since then, in their order

Nothing of the slot is sent until everything that was sent before is answered. So calls with one key keep their order,
although they go to another node, and although nodes answer at different times.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from dstwist.redis.interface import Done, Word
from dstwist.redis.link import RedisLink
from dstwist.redis.redo import Redo
from dstwist.redis.scripts import Script


class SlotCall:
    """
    A call to a cluster.

    @ivar slot: the slot of its key.
    @ivar asks: the node that has the key already, while the slot moves there.
    @ivar tries: how often it was not executed.
    @ivar since: when it was first not executed, by the reactor's clock.
    """

    __slots__ = ("argument", "asks", "data", "done", "key", "script", "since", "slot", "tries")

    def __init__(
        self, key: Word | None, slot: int, data: bytes, done: Done, argument: Any, script: Script | None
    ) -> None:
        self.key = key
        self.slot = slot
        self.data = data
        self.done = done
        self.argument = argument
        self.script = script
        self.asks: RedisLink | None = None
        self.tries = 0
        self.since: float | None = None


class HeldSlot:
    """
    One slot.

    @ivar pause: the timer after which the redirected calls are sent, if the slot needs a moment.
    """

    def __init__(self) -> None:
        self.redirected: Redo[SlotCall] = Redo()
        self.waiting: OrderedDict[SlotCall, None] = OrderedDict()
        self.pause: IDelayedCall | None = None

    def stop_pause(self) -> None:
        """
        Wait no more.
        """
        if self.pause is not None and self.pause.active():
            self.pause.cancel()
        self.pause = None
