"""
Who lost a write of late, and may have won the next one by accident.

A client writes on before it hears what came of the write before. If another's write came in between, the first of its
writes is refused, but the second has the version that is next by then, and is accepted::

    server has 1      A: 2, 3 --->   <--- B: 2
    server takes      B's 2, refuses A's 2, takes A's 3
    A hears of B's 2, merges, and believes from then on that this is the last

A's own 3 is no news for A, so A would never notice. Nothing in the writes themselves tells whether A had heard: so
whoever lost and then won is told what the record holds, when it has not written for L{QUIET}. Before that it has more
on the way, which an answer would make it give up. If it writes again after all, it is told again.

======  ========================  ========================  ===================================
state   a write is accepted       a write is refused        time passes
======  ========================  ========================  ===================================
lost    -> unsure                 -> lost                   forgotten, after L{MEMORY}
unsure  -> unsure                 told; -> lost             told; -> lost, after L{QUIET}
======  ========================  ========================  ===================================

Who writes before it has subscribed again, as clients do that come back, has lost as well; its subscription counts as an
accepted write then.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from dstwist.deadlines import Deadlines
from dstwist.interfaces import IConnection
from dstwist.weights import ENTRY, weigh_name

#: How long a client that is to be told has not written, in seconds.
QUIET = 0.5

#: For how long something may be on the way that a client sent before it heard of what came first, in seconds.
MEMORY = 10.0

#: If more have lost, the first of them are forgotten.
MOST = 100000

#: So it is if they take more bytes of memory.
MOST_BYTES = 64 * 1024 * 1024

#: What one of them weighs besides its name and entry.
_LOSER = 200

_Key = tuple[IConnection, str]


class Losers:
    """
    Those whose writes were refused.

    @ivar unsure: whether they may have won by accident; by connection and name; to be looked at only.
    @param tell: called with the name and the connection that is to be told what the record holds.
    """

    def __init__(self, clock: IReactorTime, tell: Callable[[str, IConnection], None]) -> None:
        self._tell = tell
        self.unsure: dict[_Key, bool] = {}
        self._memory: Deadlines[_Key] = Deadlines(MEMORY, clock, self._forget)
        self._quiet: Deadlines[_Key] = Deadlines(QUIET, clock, self._is_quiet)
        self._stopped = False
        self._weight = 0

    def lost(self, name: str, connection: IConnection) -> None:
        """
        A write of C{connection} was refused.
        """
        if self._stopped:
            return
        key = (connection, name)
        if key not in self.unsure:
            self._weight += _weight(name)
        self.unsure[key] = False
        self._quiet.remove(key)
        self._memory.remove(key)
        while self._memory and (len(self._memory) >= MOST or self._weight > MOST_BYTES):
            self._memory.hurry()
        self._memory.add(key)

    def won(self, name: str, connection: IConnection) -> None:
        """
        A write of C{connection} was accepted, or it subscribed without being told what the record holds.
        """
        key = (connection, name)
        if key in self.unsure:
            self.unsure[key] = True
            self._memory.remove(key)
            self._quiet.remove(key)
            self._quiet.add(key)

    def doubt(self, name: str, connection: IConnection) -> None:
        """
        C{connection} may be wrong without having lost.
        """
        self.lost(name, connection)
        self.won(name, connection)

    def may_be_wrong(self, name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} may have won by accident, and was not told.
        """
        return self.unsure.get((connection, name), False)

    def stop(self) -> None:
        """
        Forget all, and remember nobody from now on.
        """
        self._stopped = True
        self.unsure.clear()
        self._weight = 0
        self._memory.stop()
        self._quiet.stop()

    def _forget(self, key: _Key) -> None:
        del self.unsure[key]
        self._weight -= _weight(key[1])

    def _is_quiet(self, key: _Key) -> None:
        connection, name = key
        self.lost(name, connection)
        self._tell(name, connection)


def _weight(name: str) -> int:
    return ENTRY + _LOSER + weigh_name(name)
