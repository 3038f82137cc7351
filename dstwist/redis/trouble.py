"""
Why a server that answers does not do what it is asked.

=============  ==================================================================  =====================================
error          the state of the server                                             the link
=============  ==================================================================  =====================================
C{READONLY}    it has become a replica                                             leaves it, and looks for the primary
C{LOADING}     it reads its data                                                   the same
C{MASTERDOWN}  it is a replica that has lost its primary                           the same
C{NOAUTH}      its password was changed                                            the same
C{BUSY}        a script runs for too long                                          stays, and asks whether it is over
C{MISCONF}     it cannot write its data to the disk                                the same
C{NOREPLICAS}  fewer replicas than C{min-replicas-to-write}                        the same
C{OOM}         it has C{maxmemory} in use                                          the same, and counts as usable
C{NOPERM}      the user may not do this                                            stays, and counts as usable
=============  ==================================================================  =====================================

The last two are limits of the operator, which clients can reach; other calls work. The log says each state when it
begins, and when it ends. To find out whether it has ended, the link repeats what was refused in a form that changes
nothing: it writes no bytes into the string of the same key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.log import Logger
from dstwist.redis.call import Call
from dstwist.redis.errors import RedisReplyError
from dstwist.redis.interface import Word
from dstwist.redis.protocol import RedisProtocol

#: The states in which no call can be executed.
LEFT = {
    "READONLY": "it is a replica now, and takes no writes",
    "LOADING": "it reads its data from the disk",
    "MASTERDOWN": "it is a replica, and has lost its primary",
    "NOAUTH": "it asks for a password that it did not ask for before",
}

#: The states that pass while the connection stays.
STAYS = {
    "BUSY": "it executes a script that does not end",
    "UNKILLABLE": "it executes a script that does not end",
    "MISCONF": "it cannot write its data to the disk, and refuses writes",
    "NOREPLICAS": "it has fewer replicas than min-replicas-to-write, and refuses writes",
    "OOM": "its memory is full (maxmemory), and it refuses writes",
    "NOPERM": "its user may not do all that dstwist needs",
}

# The server refuses what clients ask for, but works.
_USABLE = ("OOM", "NOPERM")


class Trouble:
    """
    The state of the server of one link, as far as it refuses calls.

    @param name: the server, for the log.
    @param interval: how often it is asked whether the state is over, in seconds.
    @ivar problem: why no call, or no write, can be executed.
    """

    _log = Logger()

    def __init__(self, name: str, interval: float, clock: IReactorTime) -> None:
        self._name = name
        self._interval = interval
        self._clock = clock
        self._code: str | None = None
        self._key: Word | None = None
        self._connection: RedisProtocol | None = None
        self._timer: IDelayedCall | None = None

    @property
    def problem(self) -> str | None:
        return None if self._code is None or self._code in _USABLE else STAYS[self._code]

    def noticed(self, connection: RedisProtocol, call: Call, error: RedisReplyError) -> None:
        """
        A call was refused for one of the reasons of L{STAYS}.
        """
        if error.code == self._code:
            return
        self.forget()
        self._code, self._key, self._connection = error.code, call.key, connection
        self._log.error(
            "REDIS_CONNECTION | {name}: {problem}: {error}",
            name=self._name,
            problem=STAYS[error.code],
            error=error,
            event="REDIS_CONNECTION",
        )
        self._timer = self._clock.callLater(self._interval, self._ask)

    def forget(self) -> None:
        """
        The connection has ended; the next one will show.
        """
        self._code = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _ask(self) -> None:
        connection, code = self._connection, self._code
        assert connection is not None
        words: tuple[Word, ...] = ("PING",) if self._key is None else ("SETRANGE", self._key, 0, "")
        asked: Callable[[Any], object] = lambda answer: self._told(code, answer)  # noqa: E731
        connection.ask(*words).addCallback(asked)

    def _told(self, code: str | None, answer: Any) -> None:
        if self._code != code or code is None:
            return
        if isinstance(answer, RedisReplyError) and answer.code == code:
            self._timer = self._clock.callLater(self._interval, self._ask)
            return
        if isinstance(answer, Exception) and not isinstance(answer, RedisReplyError):
            return
        self._code = None
        self._log.info(
            "REDIS_CONNECTION | {name}: over: {problem}",
            name=self._name,
            problem=STAYS[code],
            event="REDIS_CONNECTION",
        )
