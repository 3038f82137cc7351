"""
The failures of calls to Redis.

=======================================================  =============================================================
error                                                    effect of the call
=======================================================  =============================================================
L{StoreUnreachable<dstwist.errors.StoreUnreachable>}     none: the call was not sent, or Redis did not execute it
L{TooManyCalls}, one of them                             none: it was not even kept to be sent
L{ConnectionBroken<dstwist.errors.ConnectionBroken>}     in doubt: the call was sent, and the answer did not come
L{RedisReplyError}                                       none, if C{refused} is true; otherwise in doubt
=======================================================  =============================================================
"""

from __future__ import annotations

import re

from twisted.internet.defer import TimeoutError
from twisted.internet.error import ConnectingCancelledError

from dstwist.config.file import join
from dstwist.errors import StoreError, StoreUnreachable
from dstwist.tls.client import client_tls_problem

#: The problem of a server that is silent.
NO_ANSWER = "it did not answer in time"

# Redis 6 puts the error of a command that a script has called into a text of its own.
_IN_SCRIPT = re.compile(r"^ERR Error running script .*?: -([A-Z]+) ")

#: The code of the error for a call whose answer is larger than C{maxReplyBytes}.
TOO_LARGE = "TOOLARGE"

#: The codes with which Redis refuses a command or a script before the first write.
_REFUSALS = frozenset(
    "ASK BUSY CLUSTERDOWN LOADING MASTERDOWN MISCONF MOVED NOAUTH NOREPLICAS NOSCRIPT OOM READONLY TRYAGAIN".split()
)


class RedisReplyError(StoreError):
    """
    Redis has answered a call with an error, or with too many bytes (L{TOO_LARGE}).

    @ivar code: the first word of the answer, such as C{READONLY}. If a script failed because a command that it called
        was refused, the first word of that refusal.
    @ivar refused: whether Redis has certainly not executed the call. Another error, also L{TOO_LARGE}, may come after a
        write.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        inner = _IN_SCRIPT.match(text)
        self.code = text.partition(" ")[0] if inner is None else inner.group(1)
        self.refused = self.code in _REFUSALS


class TooManyCalls(StoreUnreachable):
    """
    Too many calls wait already. It fails the call before the method returns that has made it.
    """


class RedisRefusal(StoreError):
    """
    Redis works, but dstwist cannot use it as it is configured: a wrong password, for example. Time alone does not heal
    it.
    """


class InvalidAnswer(StoreError):
    """
    The bytes that came are no answer of Redis, or an answer is too large.
    """


def advice_on(code: str, where: str) -> str:
    """
    A correction for an error of Redis, for the operator; empty if there is none.

    @param code: the code of the error.
    @param where: the path of the options of this Redis in the configuration.
    """
    username, password = join(where, "username"), join(where, "password")
    if code == "NOAUTH":
        return f"set {password}"
    if code == "WRONGPASS":
        return f"check {username} and {password}"
    if code == "NOPERM":
        return 'the user needs the rights that docs/redis.rst lists under "Access control", for keys with the prefix'
    return ""


def reason_of(error: BaseException | None) -> str:
    """
    Why a connection has ended, or was not made, in words for an operator.
    """
    # The text of the other one is only the address.
    if isinstance(error, TimeoutError | ConnectingCancelledError):
        return NO_ANSWER
    return client_tls_problem(error) or str(error).removesuffix(".") or type(error).__name__
