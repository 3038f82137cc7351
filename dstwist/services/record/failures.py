"""
Failures of the stores: a log line for the operator, and a L{RecordError} for the client.

====================================  ==========================  ========================================
failure                               event of the log line       error of the client
====================================  ==========================  ========================================
a read fails                          RECORD_LOAD_ERROR           RECORD_LOAD_ERROR
the cache does not answer in time     CACHE_RETRIEVAL_TIMEOUT     CACHE_RETRIEVAL_TIMEOUT
the storage does not answer in time   STORAGE_RETRIEVAL_TIMEOUT   STORAGE_RETRIEVAL_TIMEOUT
a write fails or is late              RECORD_UPDATE_ERROR         RECORD_UPDATE_ERROR
a deletion fails or is late           RECORD_DELETE_ERROR         RECORD_DELETE_ERROR
other writers are always faster       the error of the client     RECORD_UPDATE_ERROR or RECORD_DELETE_ERROR
====================================  ==========================  ========================================

The log line contains the exact problem. The client is told which tier failed, but not why. While a tier cannot be
reached, all requests fail for the same reason, so the log has one line about all of them.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from dstwist.errors import StoreError, StoreFull, StoreUnreachable
from dstwist.log import Logger, shown
from dstwist.protocol.constants import RecordAction
from dstwist.store.tiers import CACHE_TIER, TierError

_log = Logger()


class RecordError(StoreError):
    """
    A store could not do what a client asks for.

    @ivar action: the error for the client: an action of the RECORD topic.
    @ivar detail: the text of that error.
    """

    def __init__(self, action: RecordAction, detail: str) -> None:
        super().__init__(detail)
        self.action = action
        self.detail = detail


def read_failed(name: str, error: TierError) -> RecordError:
    """
    Log that the record C{name} could not be read.

    @return: the error for the client.
    """
    tier = error.tier
    if not isinstance(error.reason, Exception):
        late = RecordAction.CACHE_RETRIEVAL_TIMEOUT if tier == CACHE_TIER else RecordAction.STORAGE_RETRIEVAL_TIMEOUT
        complain(late, name, tier, f"no answer within {error.reason:g} s")
        return RecordError(late, name)
    complain(RecordAction.RECORD_LOAD_ERROR, name, tier, error.reason)
    return RecordError(RecordAction.RECORD_LOAD_ERROR, f"error while loading {name} from {tier}")


def write_failed(name: str, action: RecordAction, tier: str, reason: Exception | float) -> RecordError:
    """
    Log that the record C{name} could not be written or deleted.

    @param action: the error for the client.
    @param reason: the exception of the tier, or the time in seconds within which it did not answer.
    @return: the error for the client.
    """
    if not isinstance(reason, Exception):
        complain(action, name, tier, f"no answer within {reason:g} s")
        return RecordError(action, f"{tier} timeout")
    complain(action, name, tier, reason)
    return RecordError(action, f"{tier} {'is full' if isinstance(reason, StoreFull) else 'error'}")


def outpaced(name: str, action: RecordAction, tier: str, seconds: float) -> RecordError:
    """
    Log that other nodes were faster to write the record C{name}, in each attempt of that time.

    @param action: the error for the client.
    @return: the error for the client.
    """
    complain(action, name, tier, f"other nodes were faster for {seconds:g} s")
    return RecordError(action, f"other writers of {name} are faster")


def complain(action: RecordAction, name: str, tier: str, problem: object) -> None:
    """
    Log a failure of one tier.

    @param problem: an exception, or a text.
    """
    if isinstance(problem, StoreUnreachable):
        _log.error(
            "{event} | {where}: {problem}; requests for records fail", where=tier, problem=problem, event=action.name,
            once=tier,
        )  # fmt: skip
        return
    if isinstance(problem, Exception) and not isinstance(problem, StoreError):
        # A store reports its failures as StoreError. Any other exception is a mistake in its code.
        _log.failure("the {where} broke", Failure(problem), where=tier)
    _log.error(
        "{event} | {where}, record {name}: {problem}", where=tier, name=shown(name), problem=problem, event=action.name
    )
