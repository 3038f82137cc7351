"""
Records, lists and anonymous records in the hands of a client.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.clients import Client, Outcome


class Record:
    """
    A record that a client holds. Values are in JavaScript's spelling.
    """

    kind = "Record"

    def __init__(self, client: Client, name: str, key: str | None = None, wait: bool = True) -> None:
        """
        Get the record, and come back when it is ready.

        @param key: names this handle, if the client is to have several to one record.
        @param wait: come back at once if it is false.
        """
        self.client = client
        self.name = name
        self.key = key or name
        client.do("open", self.key, self.kind, name)
        if wait:
            self.ready()

    def ready(self) -> None:
        self.client.do("ready", self.key)

    # -- what it holds

    def get(self, path: str | None = None) -> str:
        return str(self.client.do("get", self.key, path))

    @property
    def version(self) -> int:
        return int(self.client.do("version", self.key))

    @property
    def has_provider(self) -> bool:
        return bool(self.client.do("hasProvider", self.key))

    def until(self, value: str, path: str | None = None) -> None:
        """
        Come back when the client has that value, whatever the order of its keys.
        """
        self.client.do("until", self.key, path, value)

    # -- writing

    def set(self, value: str, path: str | None = None) -> None:
        self.client.do("set", self.key, path, value)

    def resume_and_write(self, path: str, first: str, second: str) -> None:
        """
        v7 only: come back online, write C{first} before the client asks for the version of the record, and C{second}
        before the answer.
        """
        self.client.do("resumeAndWrite", self.key, path, first, second)

    def set_all(self, *writes: tuple[str | None, str]) -> None:
        """
        Set each of the paths to the value beside it, all in one turn of the client.
        """
        self.client.do("setAll", self.key, writes)

    def start_set(self, value: str, path: str | None = None, form: str = "callback") -> Outcome:
        return self.client.start("setWithAck", self.key, path, value, form)

    def set_with_ack(self, value: str, path: str | None = None, form: str = "callback") -> str | None:
        """
        Write, and come back when that is acknowledged; gives the error, C{None} for success.
        """
        return self.start_set(value, path, form).error()

    def erase(self, path: str) -> None:
        self.client.do("erase", self.key, path)

    def erase_with_ack(self, path: str) -> str | None:
        return self.client.start("eraseWithAck", self.key, path).error()

    def discard(self) -> None:
        self.client.do("discard", self.key)

    def drop(self) -> None:
        """
        Discard, and come back when the server has taken notice.
        """
        before = len(self.events("discard"))
        self.discard()
        self.wait_for_event("discard", before + 1)
        self.client.do("gone", self.name)
        self.client.settle()

    def delete(self) -> None:
        """
        Delete the record, and come back when the server has done so.
        """
        answer = self.client.do("deleteRecord", self.key)
        if answer is not None:
            Outcome(self.client, answer).wait()
        self.wait_for_event("delete")

    def set_merge_strategy(self, which: str) -> None:
        """
        How conflicts are resolved from now on: C{local}, C{remote}, C{join} or C{fail}.
        """
        self.client.do("setMergeStrategy", self.key, self.name, which)

    # -- what happened to it

    def subscribe(self, path: str | None = None, now: bool = False) -> None:
        """
        Have changes reported; C{now} reports the value as it is, too.
        """
        self.client.do("subscribeRecord", self.key, path, now)

    def unsubscribe(self, path: str | None = None) -> None:
        self.client.do("unsubscribeRecord", self.key, path)

    def changes(self, path: str | None = None) -> list[str]:
        """
        The values that a subscription was called with, up to now.
        """
        self.client.catch_up()
        return [report["value"] for report in self.client.filter("change", key=self.key, path=path)]

    def wait_for_changes(self, count: int, path: str | None = None) -> list[str]:
        self.client.wait_for_report(count, "change", key=self.key, path=path)
        return self.changes(path)

    def events(self, event: str) -> list[str]:
        """
        The events of that kind, each with its first detail.
        """
        return [report["details"] for report in self.client.filter("record", name=self.name, event=event)]

    def wait_for_event(self, event: str, count: int = 1) -> None:
        self.client.wait_for_report(count, "record", name=self.name, event=event)

    def merges(self) -> list[tuple[str, str]]:
        """
        What the merge strategy was asked to merge: local and remote.
        """
        return [(report["local"], report["remote"]) for report in self.client.filter("merge", name=self.name)]


class RecordList(Record):
    """
    A list that a client holds.
    """

    kind = "List"

    def set_entries(self, entries: Sequence[str]) -> None:
        self.client.do("setEntries", self.key, entries)

    def set_entries_with_ack(self, entries: Sequence[str], form: str = "callback") -> str | None:
        return self.client.start("setEntriesWithAck", self.key, entries, form).error()

    def add(self, entry: str, index: int | None = None) -> None:
        self.client.do("addEntry", self.key, entry, index)

    def remove(self, entry: str, index: int | None = None) -> None:
        self.client.do("removeEntry", self.key, entry, index)

    def entry_events(self) -> list[tuple[str, str, int]]:
        """
        What happened to entries up to now: event, entry, index.
        """
        self.client.catch_up()
        found = self.client.filter("entry", key=self.key)
        return [(report["event"].removeprefix("entry-"), report["entry"], report["index"]) for report in found]


class AnonymousRecord(Record):
    """
    An anonymous record, which points at one record at a time.
    """

    def __init__(self, client: Client, key: str) -> None:
        self.client = client
        self.key = key
        self.name = ""
        client.do("openAnonymous", key)

    def set_name(self, name: str) -> None:
        """
        Point at another record, and come back when it is ready.
        """
        self.name = name
        self.client.do("setName", self.key, name)
