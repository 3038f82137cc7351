"""
The answers to requests for records, in the form that the client's generation knows (C{services.md} sections 4.9, 4.14).

============================  ==========================================  ==========================================
outcome                       v4 and later                                v2 and v3
============================  ==========================================  ==========================================
an acknowledged write         WRITE_ACKNOWLEDGEMENT, correlation id       WRITE_ACKNOWLEDGEMENT, version as sent
succeeds
a conflict                    VERSION_EXISTS; if acknowledged,            if acknowledged, WRITE_ACKNOWLEDGEMENT with
                              RECORD_UPDATE_ERROR                         the reason; VERSION_EXISTS
a conflict of a client that   as a write that fails                       as a write that fails
may not see the record
a version that is too high    INVALID_VERSION                             as a conflict
a write that fails            RECORD_UPDATE_ERROR, correlation id         RECORD_UPDATE_ERROR, version as sent; if
                                                                          acknowledged, WRITE_ACKNOWLEDGEMENT with
                                                                          the reason
any other refused write       its error, correlation id                   its error; if acknowledged,
                                                                          WRITE_ACKNOWLEDGEMENT with the reason
a record does not exist       RECORD_NOT_FOUND                            RECORD_NOT_FOUND
a store fails a read          its error                                   its error, and again as the answer
============================  ==========================================  ==========================================
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dstwist.interfaces import IRequester, Record
from dstwist.permission.denials import Denials
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.services.record.failures import RecordError

_RECORD = Topic.RECORD
_SUBSCRIBECREATEANDREAD = RecordAction.SUBSCRIBECREATEANDREAD
_WRITE_ACKNOWLEDGEMENT = RecordAction.WRITE_ACKNOWLEDGEMENT

#: The requests that subscribe and read.
_AND_SUBSCRIBED = frozenset(
    (_SUBSCRIBECREATEANDREAD, RecordAction.SUBSCRIBEANDREAD, RecordAction.SUBSCRIBEANDHEAD),
)


# -- reading


def read_response(name: str, record: Record) -> Message:
    """
    The answer to a read: the whole record.
    """
    return Message(_RECORD, RecordAction.READ_RESPONSE, name, record.json, version=record.version)


def update(name: str, record: Record) -> Message:
    """
    The news of a whole record.
    """
    return Message(_RECORD, RecordAction.UPDATE, name, record.json, version=record.version)


def head_response(name: str, record: Record | None) -> Message:
    """
    The answer to a HEAD: the version of the record, -1 if it does not exist.
    """
    return Message(_RECORD, RecordAction.HEAD_RESPONSE, name, version=-1 if record is None else record.version)


def not_loaded(name: str, message: Message, sender: IRequester, error: RecordError) -> None:
    """
    A record could not be read.
    """
    if sender.dialect.announces_load_errors:
        _announce(name, sender, error)
        # Text clients know an answer of this kind to READ, HEAD and HAS only.
        if message.action is _SUBSCRIBECREATEANDREAD:
            return
    sender.send(message.error(error.action, name, error.detail))
    _stop_waiting(name, message, sender, error)


def not_created(name: str, message: Message, sender: IRequester, error: RecordError) -> None:
    """
    A record that was to be created could not be written.
    """
    sender.send(message.error(RecordAction.RECORD_CREATE_ERROR, name, error.detail))
    _stop_waiting(name, message, sender, error)


def _stop_waiting(name: str, message: Message, sender: IRequester, error: RecordError) -> None:
    """
    End the wait of a client for a record that it asked for.
    """
    if message.action in _AND_SUBSCRIBED and sender.dialect.hears_by_update_errors:
        # Only without a correlation id does the client find the request that is over.
        ended = message.error(RecordAction.RECORD_UPDATE_ERROR, name, error.detail)
        sender.send(replace(ended, correlation_id=None))


def _announce(name: str, sender: IRequester, error: RecordError) -> None:
    sender.send(Message(_RECORD, error.action, name, is_error=True, detail=error.detail))


async def decided(decision: bool | Deferred[bool]) -> bool | Failure:
    """
    Wait for a decision of the permission: C{True}, C{False}, or the L{Failure} of its rule.
    """
    if isinstance(decision, Deferred):
        try:
            return await decision
        except Exception:
            return Failure()
    return decision


def refused(
    name: str,
    message: Message,
    sender: IRequester,
    decision: bool | Failure,
    check: IntEnum,
    denials: Denials | None = None,
) -> None:
    """
    A request is not permitted, or the rule failed.

    @param decision: C{False}, or the L{Failure} of the rule.
    @param check: the action that was not permitted: a part of the request.
    @param denials: logs the refusal; C{None} if it was not the permission that refused.
    """
    if denials is not None:
        denials.tell(decision, Message(_RECORD, check, name), sender, part_of=message)
    error = "MESSAGE_PERMISSION_ERROR" if isinstance(decision, Failure) else "MESSAGE_DENIED"
    answer = message.error(error, name)
    if sender.dialect.names_inner_checks:
        answer = replace(answer, original_action=check)
    elif message.action in _AND_SUBSCRIBED:
        # v4+ clients that get a correlation id search for the request by it, and find nothing.
        answer = replace(answer, correlation_id=None)
    sender.send(answer)


# -- writing


def effective(message: Message) -> RecordAction:
    """
    The original action in the answer to a write: the action by which the Node server names its effect.
    """
    if message.action is RecordAction.PATCH_MULTI:
        return RecordAction.PATCH_MULTI
    return RecordAction.UPDATE if message.path is None else RecordAction.PATCH


def acknowledgement(name: str, message: Message, sender: IRequester, reason: str | None = None) -> Message:
    """
    The acknowledgement for the callback of a write.

    @param reason: why the write was refused; C{None} if it was accepted.
    """
    version = message.version if sender.dialect.knows_writes_by_version else None
    # By position: arguments by keyword would take a tenth of the time of an acknowledged write.
    found = Message(
        _RECORD, _WRITE_ACKNOWLEDGEMENT, name, None, None, None, (), message.correlation_id, None, None, None, None,
        True, None, version,
    )  # fmt: skip
    return found if reason is None else replace(found, detail=reason)


def other_version(name: str) -> str:
    """
    The reason of a conflict.
    """
    return f"another version of {name} exists"


def write_failed(message: Message, sender: IRequester) -> None:
    """
    A write failed.
    """
    failure = message.error(RecordAction.RECORD_UPDATE_ERROR)
    if sender.dialect.knows_writes_by_version:
        failure = replace(failure, version=message.version)
    sender.send(failure)


def not_written(name: str, message: Message, sender: IRequester, error: RecordError) -> None:
    """
    A write failed because the record could not be read.
    """
    if sender.dialect.announces_load_errors:
        _announce(name, sender, error)
    write_failed(message, sender)


def version_exists(name: str, message: Message, sender: IRequester, record: Record) -> None:
    """
    Another write came first.

    @param record: the record as it is now.
    """
    sender.send(
        Message(
            _RECORD,
            RecordAction.VERSION_EXISTS,
            name,
            record.json,
            version=record.version,
            original_action=effective(message),
            correlation_id=message.correlation_id,
            # A client of v2 and v3 would want an acknowledgement of the merged record as well. But its callback was
            # triggered before, and the application may discard the record before the acknowledgement arrives.
            is_write_ack=True if message.is_write_ack and not sender.dialect.knows_writes_by_version else None,
        )
    )


def ahead(message: Message, sender: IRequester, record: Record) -> None:
    """
    The version of a write is higher than the next one.
    """
    answer = message.error(RecordAction.INVALID_VERSION)
    sender.send(
        replace(
            answer, original_action=effective(message), path=message.path, data=message.data, version=record.version
        )
    )


def not_on_hot_path(message: Message, sender: IRequester) -> None:
    """
    A write is to a path of a record that has a hot path prefix.
    """
    sender.send(message.error(RecordAction.INVALID_PATCH_ON_HOTPATH))


def invalid(message: Message, sender: IRequester) -> None:
    """
    A write is invalid.
    """
    answer = message.error(RecordAction.INVALID_MESSAGE_DATA)
    sender.send(
        replace(
            answer, original_action=effective(message), path=message.path, data=message.data, version=message.version
        )
    )


# -- deleting

#: The details of errors by which text clients learn that a store was too slow.
_LATE = {
    RecordAction.CACHE_RETRIEVAL_TIMEOUT: "cache timeout",
    RecordAction.STORAGE_RETRIEVAL_TIMEOUT: "storage timeout",
}


def not_deleted(name: str, message: Message, sender: IRequester, error: RecordError) -> None:
    """
    A record could not be deleted.
    """
    detail = _LATE.get(error.action, error.detail)
    sender.send(message.error(RecordAction.RECORD_DELETE_ERROR, name, detail))
    if sender.dialect.hears_by_update_errors:
        sender.send(message.error(RecordAction.RECORD_UPDATE_ERROR, name, detail))
    _deletion_ended(message, sender)


def deletion_refused(
    name: str, message: Message, sender: IRequester, decision: bool | Failure, denials: Denials
) -> None:
    """
    A deletion is not permitted.
    """
    refused(name, message, sender, decision, RecordAction.DELETE, denials)
    _deletion_ended(message, sender)


def _deletion_ended(message: Message, sender: IRequester) -> None:
    if sender.dialect.hears_by_update_errors:
        # After an error the client still waits; the acknowledgement ends that, and tells it nothing.
        sender.send(message.ack())
