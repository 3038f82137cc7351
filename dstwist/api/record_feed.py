"""
The feed of one record: its state, as the news tell it.

::

    SUBSCRIBEANDREAD --> READ_RESPONSE       the state, also of a record that does not exist
    UPDATE                                   the next state
    PATCH, PATCH_MULTI                       applied to the last state
    DELETED                                  the record does not exist; the server has ended the subscription, so the
                                             feed subscribes anew, and hears if the record is created again
    READ_RESPONSE of that subscription       the next state, if it is another

Always true: each subscription gets the state when it begins, and then each later state, with values of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from dstwist.api.calls import Calls
from dstwist.api.deliveries import Deliveries
from dstwist.api.feeds import Feed, Feeds
from dstwist.api.handle import Handle
from dstwist.api.subscription import Subscription
from dstwist.api.values import from_data
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.drafts import Limits
from dstwist.protocol.message import Data, Message
from dstwist.record import Change, Record

_RECORD = Topic.RECORD

#: The server has accepted the writes already.
_NO_LIMITS = Limits(1 << 40, 1 << 50)


@dataclass(frozen=True)
class Snapshot:
    """
    A record at one moment.

    @ivar version: -1 if the record does not exist.
    @ivar data: a value of the application's own: an object or array; C{None} if the record does not exist.
    """

    name: str
    version: int
    data: Any

    @property
    def exists(self) -> bool:
        return self.version >= 0


class _State:
    """
    A state of the record, as text or as a value, or both.
    """

    __slots__ = ("_record", "_text", "version")

    def __init__(self, version: int, text: Data = None, record: Record | None = None) -> None:
        self.version = version
        self._text = text
        self._record = record

    @property
    def text(self) -> Data:
        if self._text is None and self._record is not None:
            self._text = self._record.json
        return self._text

    @property
    def record(self) -> Record:
        if self._record is None:
            self._record = Record(self.version, from_data(self._text))
        return self._record

    @property
    def exists(self) -> bool:
        return self.version >= 0

    def snapshot(self, name: str) -> Snapshot:
        return Snapshot(name, self.version, from_data(self.text) if self.exists else None)


_NOT_THERE = _State(-1)


def snapshot_of(message: Message) -> Snapshot:
    """
    The record in the answer to a READ.
    """
    version = -1 if message.version is None else message.version
    return _State(version, message.data).snapshot(message.name or "")


class RecordFeed(Feed[Snapshot]):
    """
    One record.
    """

    def __init__(self, name: str, feeds: Feeds[Any], calls: Calls, deliveries: Deliveries) -> None:
        super().__init__(name, feeds, calls, deliveries)
        self._state = _NOT_THERE
        # The subscriptions that have got no state.
        self._new: set[Subscription[Snapshot]] = set()

    def subscribing(self) -> Message:
        return Message(_RECORD, RecordAction.SUBSCRIBEANDREAD, names=(self.name,))

    def unsubscribing(self) -> Message:
        return Message(_RECORD, RecordAction.UNSUBSCRIBE, names=(self.name,))

    def opened(self, answer: Message) -> None:
        version = -1 if answer.version is None else answer.version
        state = _State(version, answer.data) if version >= 0 else _NOT_THERE
        if version != self._state.version or state.text != self._state.text:
            self._show(state)

    def joined(self, subscription: Subscription[Snapshot]) -> None:
        self._new.add(subscription)
        self._deliveries.add(self._show_first, subscription)

    def _show_first(self, subscription: Subscription[Snapshot]) -> None:
        if subscription in self._new and not self._calls.closed:
            self._new.discard(subscription)
            state = self._state
            subscription._put(partial(state.snapshot, self.name), len(state.text or b""))

    def take(self, message: Message) -> None:
        action = message.action
        if action is RecordAction.DELETED:
            self._show(_NOT_THERE)
            if not self._is_over:  # the application may have closed the last subscription
                self.ask()
            return
        version: int = message.version  # type: ignore[assignment]  # news of records have one
        if action is RecordAction.UPDATE:
            if version == self._state.version and message.data == self._state.text:
                return  # the server has made sure that its subscribers are up to date
            self._show(_State(version, message.data))
        elif version == self._state.version + 1 or not self._state.exists:
            base = self._state.record if self._state.exists else Record(-1, None)
            self._show(_State(version, record=Record(version, Change(base, message, _NO_LIMITS).apply())))
        else:
            self.ask()

    def _show(self, state: _State) -> None:
        self._state = state
        self._new.clear()
        self.put(partial(state.snapshot, self.name), len(state.text or b""))


def record_feeds(handle: Handle) -> Feeds[RecordFeed]:
    """
    The feeds of all records for one handle.
    """
    feeds = Feeds(RecordFeed, handle)
    for action in (RecordAction.UPDATE, RecordAction.PATCH, RecordAction.PATCH_MULTI, RecordAction.DELETED):
        handle.news[_RECORD, action] = feeds.received
    handle.denied[_RECORD, RecordAction.SUBSCRIBECREATEANDREAD] = feeds.received
    handle.on_close.append(feeds.close)
    return feeds
