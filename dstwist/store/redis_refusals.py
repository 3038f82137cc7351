"""
The errors with which Redis answers, as errors of a store.

====================================================  ================================================================
Redis says                                            the operation
====================================================  ================================================================
C{OOM}: it has no room                                had no effect: L{StoreFull}
one of L{NO_EFFECT}                                   had no effect: L{StoreRefusal}
anything else                                         is in doubt: a script may have been refused a command after its
                                                      first write, for example by an access control list
====================================================  ================================================================
"""

from __future__ import annotations

from dstwist.errors import StoreFull, StoreRefusal
from dstwist.redis.errors import RedisReplyError

#: The codes of errors that come before the first write of a script.
NO_EFFECT = {
    "BUSY": "another script runs for too long",
    "CLUSTERDOWN": "the Redis Cluster is not complete",
    "LOADING": "it loads its data",
    "MASTERDOWN": "it has lost its primary",
    "MISCONF": "it cannot save its data",
    "NOAUTH": "it wants a password",
    "NOREPLICAS": "it has not enough replicas",
    "NOVERSION": "a key has something else than a record",
    "READONLY": "it is a replica",
    "TRYAGAIN": "the keys are being moved",
    "WRONGTYPE": "a key has something else than a record",
}


def explained(error: Exception) -> Exception:
    """
    The error of a store for an error of the connection.
    """
    if not isinstance(error, RedisReplyError):
        return error
    if error.code == "OOM":
        return StoreFull(f"Redis is full: {error}")
    reason = NO_EFFECT.get(error.code)
    return error if reason is None else StoreRefusal(f"Redis refuses, because {reason}: {error}")
