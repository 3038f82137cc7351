"""
Lists: C{api.lists}. A list is a record that is an array of names of records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from dstwist.api.errors import InvalidValue, RecordNotFound
from dstwist.api.failing import failing
from dstwist.api.feeds import Feeds
from dstwist.api.record_feed import RecordFeed, Snapshot
from dstwist.api.records import Records
from dstwist.api.subscription import Subscription
from dstwist.api.values import check_name


class Lists:
    """
    Reads and changes lists. A list that does not exist is empty. Changes of one list do not get lost if several are
    made at the same time.
    """

    def __init__(self, records: Records, feeds: Feeds[RecordFeed]) -> None:
        self._records = records
        self._feeds = feeds

    def entries(self, name: str) -> Deferred[list[str]]:
        """
        The entries of a list.
        """
        return self._records.get(name).addCallbacks(_entries_of, _no_entries)

    def set(self, name: str, entries: Iterable[str]) -> Deferred[None]:
        """
        Replace all entries.
        """
        return maybeDeferred(lambda: self._records.set(name, _checked(list(entries), name)))

    def add(self, name: str, entry: str, index: int | None = None) -> Deferred[list[str]]:
        """
        Add an entry, which may be in the list already.

        @param index: the place before which it is added; C{None}: at the end.
        @return: gives the entries of the list.
        """

        def added(entries: list[str]) -> list[str]:
            entries.insert(len(entries) if index is None else index, entry)
            return entries

        return self._change(name, entry, added)

    def remove(self, name: str, entry: str) -> Deferred[list[str]]:
        """
        Remove an entry from all of its places. It is no failure if it has none.

        @return: gives the entries of the list.
        """
        return self._change(name, entry, lambda entries: [each for each in entries if each != entry])

    def _change(self, name: str, entry: str, change: Callable[[list[str]], list[str]]) -> Deferred[list[str]]:
        def changed(data: Any) -> list[str]:
            check_name(entry, "entry")
            return change(_checked(data or [], name))

        return self._records.update(name, changed).addCallback(_entries_of)

    def delete(self, name: str) -> Deferred[None]:
        """
        Delete a list.
        """
        return self._records.delete(name)

    @failing
    def subscribe(
        self, name: str, callback: Callable[[list[str]], object] | None = None
    ) -> Deferred[Subscription[list[str]]]:
        """
        Subscribe to a list.

        @param callback: is called with the entries as they are, and then after each change. It may return a coroutine,
            which is run. If it is C{None}, iterate over the subscription.
        """
        check_name(name)
        return self._feeds.join(name, callback, _entries_of)


def _entries_of(snapshot: Snapshot) -> list[str]:
    return _checked(snapshot.data or [], snapshot.name)


def _no_entries(failure: Any) -> list[str]:
    failure.trap(RecordNotFound)
    return []


def _checked(entries: Any, name: str) -> list[str]:
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise InvalidValue("a list is an array of texts", name)
    return entries
