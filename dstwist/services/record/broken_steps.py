"""
Steps of a record's queue that an exception has ended.

=====================  ===============================================================================================
the exception          the clients whose requests the step served
=====================  ===============================================================================================
is a C{MemoryError}    if all requests are reads, get an error and stay connected: a read that fails changes nothing
is any other one,      are disconnected, and start anew: it is unknown which part of the requests was served
or there are writes
=====================  ===============================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.python.failure import Failure

from dstwist.interfaces import IRequester
from dstwist.log import Logger, shown
from dstwist.protocol.constants import RecordAction
from dstwist.protocol.message import Message

_READS = frozenset((RecordAction.READ, RecordAction.HEAD, RecordAction.HAS))

_log = Logger()

#: The messages that a step serves, and their senders; C{None} stands for the server itself.
Served = Sequence[tuple[Message, IRequester | None]]


def report(failure: Failure, name: str, requests: Served) -> None:
    """
    Log the exception, and tell the clients.
    """
    if failure.check(MemoryError) and is_contained(failure, name, requests):
        return
    _log.failure("serving the record {name} failed", failure, name=shown(name))
    for _, sender in requests:
        if sender is not None:
            sender.close("internal error")


def is_contained(failure: Failure, name: str, requests: Served) -> bool:
    """
    There was not enough memory. If all requests are reads, log it and answer them.

    @return: whether they are.
    """
    if not all(message.action in _READS for message, _ in requests):
        return False
    _log.failure("reading the record {name} failed", failure, name=shown(name), contained=True)
    for message, sender in requests:
        if sender is not None:
            sender.send(message.error(RecordAction.RECORD_LOAD_ERROR, name, "not enough memory"))
    return True
