"""
Records: C{api.records}.

The Deferred of a write fires when the server has stored the write.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from dstwist.api.errors import ApiError, InvalidValue, RecordNotFound, VersionExists
from dstwist.api.failing import failing
from dstwist.api.feeds import Feeds
from dstwist.api.handle import Handle
from dstwist.api.listening import Listeners, Listening, Wanted
from dstwist.api.record_feed import RecordFeed, Snapshot, snapshot_of
from dstwist.api.subscription import Subscription, run
from dstwist.api.values import check_function, check_name, from_data, to_json
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message

_RECORD = Topic.RECORD

#: How often L{Records.update} tries to write.
MAX_UPDATE_ATTEMPTS = 50

#: After this many lost races, L{Records.update} waits before it tries again.
_ATTEMPTS_AT_ONCE = 3

_LONGEST_WAIT = 0.05

#: C{get} has no default.
_NO_DEFAULT: Any = object()


class Records:
    """
    Reads and writes records, and subscribes to them.
    """

    def __init__(self, handle: Handle, feeds: Feeds[RecordFeed]) -> None:
        self._asking = handle.asking
        self._clock = handle.clock
        self._feeds = feeds
        self._listeners = Listeners(handle, _RECORD)

    # -- reading

    @failing
    def get(self, name: str, *, default: Any = _NO_DEFAULT) -> Deferred[Snapshot]:
        """
        Read a record.

        @param default: the data of the L{Snapshot}, whose version is -1, if the record does not exist. Without it the
            read fails with L{RecordNotFound<dstwist.api.errors.RecordNotFound>} then.
        """
        check_name(name)
        read = self._asking.ask(Message(_RECORD, RecordAction.READ, name)).addCallback(snapshot_of)
        return read if default is _NO_DEFAULT else read.addErrback(_absent, name, default)

    @failing
    def head(self, name: str) -> Deferred[int]:
        """
        The version of a record; -1 if it does not exist.
        """
        check_name(name)
        return self._asking.ask(Message(_RECORD, RecordAction.HEAD, name)).addCallback(_version_of)

    def has(self, name: str) -> Deferred[bool]:
        """
        Whether a record exists.
        """
        return self.head(name).addCallback(lambda version: version >= 0)

    # -- writing

    @failing
    def set(self, name: str, data: Any, *, expected: int | None = None) -> Deferred[None]:
        """
        Write a whole record. It is created if it does not exist.

        @param data: a JSON object or array.
        @param expected: the version that you have read (C{Snapshot.version}); -1: the record has not been written. A
            record that a client has created and not written, which has the data C{{}}, counts as not written. If the
            record has another version, the write fails with L{VersionExists <dstwist.api.errors.VersionExists>}.
            C{None}: write, whatever the record has.
        """
        _check_record(data)
        return self._write(RecordAction.UPDATE, name, expected, to_json(data))

    @failing
    def patch(self, name: str, path: str, value: Any, *, expected: int | None = None) -> Deferred[None]:
        """
        Write one value in a record, which is created if it does not exist.

        @param path: the place: C{"owner.name"}, C{"items[3]"}.
        @param expected: as for L{set}.
        """
        check_name(path, "path")
        return self._write(RecordAction.PATCH, name, expected, to_json(value), path)

    @failing
    def erase(self, name: str, path: str, *, expected: int | None = None) -> Deferred[None]:
        """
        Remove one value from a record.

        @param expected: as for L{set}.
        """
        check_name(path, "path")
        return self._write(RecordAction.ERASE, name, expected, None, path)

    @failing
    def delete(self, name: str) -> Deferred[None]:
        """
        Delete a record. It is no failure if it does not exist.
        """
        check_name(name)
        return self._asking.ask(Message(_RECORD, RecordAction.DELETE, name)).addCallback(lambda _: None)

    def update(self, name: str, function: Callable[[Any], Any]) -> Deferred[Snapshot]:
        """
        Change a record: read it, call C{function} with its data (C{{}} if it does not exist), and write the result. If
        another write or a deletion comes in between, this is done again, so C{function} may be called several times.
        If the record exists and its data are as before, nothing is written.

        @param function: returns the new data, or C{None} if it has changed the data that it got. It may return a
            coroutine or a Deferred. The update fails with L{InvalidValue<dstwist.api.errors.InvalidValue>} if it has
            changed the data that it got and returns something else: it is not clear then what to write.
        @return: gives the record as written, or as read if nothing is written.
        """
        return Deferred.fromCoroutine(self._update(name, function))

    async def _update(self, name: str, function: Callable[[Any], Any]) -> Snapshot:
        check_function(function)
        version, data = await self._read(name)
        attempts = 0
        while True:
            before, text = await _changed(function, {} if data is None else data, name)
            if text == before and version >= 0:
                return Snapshot(name, version, from_data(text))
            try:
                written = await self._ask(RecordAction.UPDATE, name, version, text)
            except VersionExists as error:
                attempts += 1
                if attempts == MAX_UPDATE_ATTEMPTS:
                    raise
                if attempts < _ATTEMPTS_AT_ONCE:
                    version, data = error.version, error.data
                    continue
                await deferLater(self._clock, random.uniform(0, _LONGEST_WAIT))
                # After the wait, the record in the error is out of date.
                version, data = await self._read(name)
            else:
                made = _following(version) if written.version is None else written.version
                return Snapshot(name, made, from_data(text))

    async def _read(self, name: str) -> tuple[int, Any]:
        found = await self.get(name, default=None)
        return found.version, found.data

    def _write(
        self, action: RecordAction, name: str, expected: int | None, data: bytes | None, path: str | None = None
    ) -> Deferred[None]:
        return self._ask(action, name, expected, data, path).addCallback(lambda _: None)

    def _ask(
        self, action: RecordAction, name: str, expected: int | None, data: bytes | None, path: str | None = None
    ) -> Deferred[Message]:
        """
        Write.

        @return: gives the acknowledgement. If the write has made another version than the following one, since the
            record was created anew, the acknowledgement has it.
        """
        check_name(name)
        if expected is not None and (expected.__class__ is not int or expected < -1):
            raise InvalidValue(f"the expected version is {expected!r}, not a number from -1", name)
        version = -1 if expected is None else _following(expected)
        message = Message(_RECORD, action, name, data, is_write_ack=True, path=path, version=version)
        written = self._asking.ask(message)
        if expected is not None:
            written.addErrback(self._lost_race, name)
        return written

    def _lost_race(self, failure: Failure, name: str) -> Deferred[Any] | Failure:
        """
        A write that expects a version has failed. If the record has a lower version, because it was deleted in between,
        the server answers INVALID_VERSION, without the record.
        """
        failure.trap(ApiError)
        error: Any = failure.value
        if error.event != "INVALID_VERSION":
            return failure

        def read(found: Snapshot) -> None:
            raise VersionExists(name, found.version, found.data)

        # The writer may lack the permission to read.
        return self.get(name, default=None).addCallbacks(read, lambda _: failure)

    # -- subscribing

    @failing
    def subscribe(
        self, name: str, callback: Callable[[Snapshot], object] | None = None
    ) -> Deferred[Subscription[Snapshot]]:
        """
        Subscribe to a record, whether it exists or not.

        @param callback: is called with the record as it is, and then after each change, also after its deletion
            (C{snapshot.exists}). It may return a coroutine, which is run. If it is C{None}, iterate over the
            subscription: C{async for snapshot in subscription}.
        """
        check_name(name)
        return self._feeds.join(name, callback)

    # -- listening

    @failing
    def listen(self, pattern: str, wanted: Wanted) -> Deferred[Listening]:
        """
        Provide the records whose names match C{pattern}, a regular expression, while clients subscribe to them.

        @param wanted: is called with each name that gets its first subscriber. It returns a function, which is called
            when the last subscriber has left, or C{True}: subscribers are told that the record has a provider. It
            returns C{None} or C{False} if it does not provide the record. It may return a coroutine or a Deferred.
        """
        return self._listeners.listen(pattern, wanted)


def _following(version: int) -> int:
    """
    The version of a write to a record that has C{version}; -1: it does not exist.
    """
    return max(version, 0) + 1


def _absent(failure: Failure, name: str, default: Any) -> Snapshot:
    failure.trap(RecordNotFound)
    return Snapshot(name, -1, default)


async def _changed(function: Callable[[Any], Any], data: Any, name: str) -> tuple[bytes, bytes]:
    """
    The data of a record before and after C{function}, as JSON texts.
    """
    before = to_json(data)
    result = await run(function, data)
    if result is None or result is data:
        _check_record(data)
        return before, to_json(data)
    if to_json(data) != before:
        raise InvalidValue(
            "the function has changed the data, and returned something else: it may do one of them", name
        )
    _check_record(result)
    return before, to_json(result)


def _version_of(answer: Message) -> int:
    return -1 if answer.version is None else answer.version


def _check_record(data: Any) -> None:
    if not isinstance(data, dict | list | tuple):
        raise InvalidValue("a record is an object or an array")
