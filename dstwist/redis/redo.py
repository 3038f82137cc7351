"""
Calls that Redis refused before it executed anything, and that are sent again in their order.

When Redis has forgotten the scripts, it refuses a call with NOSCRIPT. Later calls are on their way already::

    sent        a1  b1  a2  c1      a1, a2: two calls with the key a
    answers     NO  NO  NO  NO  --> all have come: load the scripts, send a1 b1 a2 c1 again
    answers     NO  NO  ok  NO  --> another client has loaded the script meanwhile: a1 fails; send b1 c1 again

So nothing is sent until all answers are there. If a later call with the same key was executed, the earlier one cannot
be executed any more without breaking the order: it fails, without effect.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar


class Keyed(Protocol):
    """
    A call with a key.
    """

    @property
    def key(self) -> Any: ...


C = TypeVar("C", bound=Keyed)

#: A call that was refused this often fails.
MAX_TRIES = 4


class Redo(Generic[C]):
    """
    The refused calls of one connection, or of one slot of a cluster, while the answers to later calls come in.
    """

    def __init__(self) -> None:
        self._calls: dict[C, None] = {}
        self._by_key: dict[Any, list[C]] = {}

    def refused(self, call: C) -> None:
        """
        Redis has not executed C{call}.
        """
        self._calls[call] = None
        if call.key is not None:
            self._by_key.setdefault(call.key, []).append(call)

    def executed(self, call: C) -> list[C]:
        """
        Redis has executed C{call}.

        @return: the earlier calls that must not be sent again because of it.
        """
        overtaken = [] if call.key is None else self._by_key.pop(call.key, [])
        for each in overtaken:
            del self._calls[each]
        return overtaken

    def take(self) -> list[C]:
        """
        The calls to be sent again, in their order.
        """
        calls, self._calls, self._by_key = list(self._calls), {}, {}
        return calls
