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

from dstwist.api.errors import ApiError, InvalidValue, RecordNotFound, VersionExists
from dstwist.api.failing import failing
from dstwist.api.feeds import Feeds
from dstwist.api.handle import Handle
from dstwist.api.listening import Listeners, Listening, Wanted
from dstwist.api.record_feed import RecordFeed, Snapshot, snapshot_of
from dstwist.api.subscription import Subscription, run
from dstwist.api.values import check_name, to_json
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message

_RECORD = Topic.RECORD

#: How often L{Records.update} tries to write.
MAX_UPDATE_ATTEMPTS = 50

#: After this many lost races, L{Records.update} waits before it tries again.
_ATTEMPTS_AT_ONCE = 3

_LONGEST_WAIT = 0.05

#: The errors of a write with a version if another write, or a deletion, came first.
_LOST_RACE = frozenset(("VERSION_EXISTS", "INVALID_VERSION"))


class Records:
    """
    Reads and writes records, and subscribes to them.
    """

    def __init__(self, handle: Handle) -> None:
        self._asking = handle.asking
        self._clock = handle.clock
        self._feeds = feeds = Feeds(RecordFeed, handle.subscribing, handle.deliveries)
        for action in (RecordAction.UPDATE, RecordAction.PATCH, RecordAction.PATCH_MULTI, RecordAction.DELETED):
            handle.news[_RECORD, action] = feeds.received
        handle.denied[_RECORD, RecordAction.SUBSCRIBECREATEANDREAD] = feeds.received
        handle.on_close.append(feeds.close)
        self._listeners = Listeners(handle, _RECORD)

    # -- reading

    @failing
    def get(self, name: str) -> Deferred[Snapshot]:
        """
        Read a record. Fails with L{RecordNotFound<dstwist.api.errors.RecordNotFound>} if it does not exist.
        """
        check_name(name)
        return self._asking.ask(Message(_RECORD, RecordAction.READ, name)).addCallback(snapshot_of)

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
    def set(self, name: str, data: Any, version: int | None = None) -> Deferred[None]:
        """
        Write a whole record. It is created if it does not exist.

        @param data: a JSON object or array.
        @param version: the version that the record is to have: one more than the version that you have read, and 1 if
            the record does not exist. If another write was faster, this one fails with L{VersionExists
            <dstwist.api.errors.VersionExists>}. C{None}: write, whatever the record has.
        """
        _check_record(data)
        return self._write(RecordAction.UPDATE, name, version, to_json(data))

    @failing
    def patch(self, name: str, path: str, value: Any, version: int | None = None) -> Deferred[None]:
        """
        Write one value in a record, which is created if it does not exist.

        @param path: the place: C{"owner.name"}, C{"items[3]"}.
        """
        check_name(path, "path")
        return self._write(RecordAction.PATCH, name, version, to_json(value), path)

    @failing
    def erase(self, name: str, path: str, version: int | None = None) -> Deferred[None]:
        """
        Remove one value from a record.
        """
        check_name(path, "path")
        return self._write(RecordAction.ERASE, name, version, None, path)

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

        @param function: returns the new data, or C{None} if it has changed the data that it got. It may return a
            coroutine or a Deferred.
        @return: gives the record as written.
        """
        return Deferred.fromCoroutine(self._update(name, function))

    async def _update(self, name: str, function: Callable[[Any], Any]) -> Snapshot:
        version, data = await self._read(name)
        attempts = 0
        while True:
            result = await run(function, data)
            text = to_json(data if result is None else result)
            _check_record(data if result is None else result)
            following = max(version, 0) + 1
            try:
                await self._write(RecordAction.UPDATE, name, following, text)
            except ApiError as error:
                attempts += 1
                if error.event not in _LOST_RACE or attempts == MAX_UPDATE_ATTEMPTS:
                    raise
                if attempts < _ATTEMPTS_AT_ONCE and isinstance(error, VersionExists):
                    version, data = error.version, error.data
                    continue
                if attempts >= _ATTEMPTS_AT_ONCE:
                    await deferLater(self._clock, random.uniform(0, _LONGEST_WAIT))
                # After the wait, the record in the error is out of date.
                version, data = await self._read(name)
            else:
                return snapshot_of(Message(_RECORD, RecordAction.READ_RESPONSE, name, text, version=following))

    async def _read(self, name: str) -> tuple[int, Any]:
        try:
            found = await self.get(name)
        except RecordNotFound:
            return -1, {}
        return found.version, found.data

    def _write(
        self, action: RecordAction, name: str, version: int | None, data: bytes | None, path: str | None = None
    ) -> Deferred[None]:
        check_name(name)
        if version is None:
            version = -1
        elif version.__class__ is not int or version < 1:
            raise InvalidValue(f"the version is {version!r}, not a number from 1", name)
        message = Message(_RECORD, action, name, data, is_write_ack=True, path=path, version=version)
        return self._asking.ask(message).addCallback(lambda _: None)

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
        return self.subscribe_as(name, None, callback)

    @failing
    def subscribe_as(
        self, name: str, convert: Callable[[Snapshot], Any] | None, callback: Callable[[Any], object] | None
    ) -> Deferred[Subscription[Any]]:
        """
        Subscribe to a record, and make another item of each snapshot.
        """
        check_name(name)
        return self._feeds.join(name, callback, convert)

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


def _version_of(answer: Message) -> int:
    return -1 if answer.version is None else answer.version


def _check_record(data: Any) -> None:
    if not isinstance(data, dict | list | tuple):
        raise InvalidValue("a record is an object or an array")
