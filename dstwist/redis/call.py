"""
One call to Redis, from the moment at which it is made until its answer is handed out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hiredis import pack_command

from dstwist.redis.interface import Done, Word
from dstwist.redis.scripts import Script

#: The bytes of a command, made of its words.
pack: Callable[[tuple[Word, ...]], bytes] = pack_command  # type: ignore[assignment]


class Call:
    """
    A command with its bytes.

    @ivar key: calls with the same key are executed in their order.
    @ivar script: the script that it executes, if any.
    @ivar own: whether the link itself asks, for example to introduce itself. Such calls are not counted.
    @ivar tries: how often it was sent again because Redis had not executed it.
    """

    __slots__ = ("argument", "data", "done", "key", "own", "script", "tries")

    def __init__(
        self,
        key: Word | None,
        data: bytes,
        done: Done,
        argument: Any,
        script: Script | None = None,
        own: bool = False,
    ) -> None:
        self.key = key
        self.data = data
        self.done = done
        self.argument = argument
        self.script = script
        self.own = own
        self.tries = 0
