"""
The matrix of refusals: a cell is a request that is refused for a reason, by a client of one generation.

Three things must hold for each cell:

=========  ===========================================================================================================
told       the callback of the request is called, once, with an error; where the client has none, it raises an error
copy       the client's copy becomes what the server has, as another client reads it
next       the next permitted request of the client is done: its callback reports success, and another client sees it
=========  ===========================================================================================================

All cells of one reason and generation belong to one client, and go through their steps together: the time-outs that a
step waits for pass once for all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.e2e.clients import Client, Outcome
from tests.e2e.records import Record, RecordList

#: How long a step may take for all its cells. The longest wait of a server that is in order is half a second. Only a
#: failing test takes it.
DEADLINE = 30.0

START = '{"start":1,"a":[1],"list":[]}'


@dataclass(frozen=True)
class Bad:
    """
    The requests that a reason refuses, in JavaScript's spelling. C{None}: it refuses no such request.
    """

    whole: str | None = '{"start":1,"bad":1}'
    path: tuple[str, str] | None = ("bad", "1")
    erased: str | None = "start"
    entries: tuple[str, ...] | None = ("a", "bad")
    deletes: bool = True
    reads: bool = True
    #: Whether C{setData} of a record that the client does not hold is refused as well: the whole record, a path.
    data: tuple[bool, bool] = (True, True)
    #: Whether writes to a record that the client holds are refused.
    holds: bool = True
    #: The ends of the names.
    tail: str = ""
    start: str = START
    start_entries: str = '["a"]'


class Cell:
    """
    One request.

    @ivar problems: what does not hold of it.
    """

    def __init__(self, client: Client, call: str, name: str, bad: Bad) -> None:
        self.client = client
        self.call = call
        self.name = name + bad.tail
        #: The record of the next request.
        self.next_name = name
        self.bad = bad
        self.outcome: Outcome | None = None
        self.after: Outcome | None = None
        self.problems: list[str] = []

    @property
    def start(self) -> str | None:
        """
        The record before the request.
        """
        return self.bad.start

    def prepare(self) -> None:
        """
        Let the client get the record, if the cell asks for that.
        """

    def ask(self) -> None:
        raise NotImplementedError

    def go_on(self) -> None:
        """
        Make the next request.
        """
        raise NotImplementedError

    def told(self) -> str | None:
        """
        The problem with how the client learned of the refusal; empty if there is none.
        """
        if self.outcome is None:
            return None
        reports = self.client.filter("outcome", number=self.outcome.number)
        if not reports:
            return "its callback is not called"
        return None if reports[0]["failed"] else f"its callback reports success ({reports[0]['value']})"

    def told_once(self) -> str | None:
        for outcome in (self.outcome, self.after):
            number = "none" if outcome is None else f"{outcome.number}:"
            again = [
                report
                for report in self.client.filter("error", event="CALLED_TWICE")
                if report["message"].startswith(number)
            ]
            if again:
                return f"its callback is called {len(again) + 1} times"
        return None

    def raised(self) -> str | None:
        """
        The same for a request that has no callback.
        """
        errors = [report for report in self.client.filter("error") if self.name[:200] in report["message"]]
        return None if errors else "no error is raised"

    def waits(self, pending: list[str]) -> str | None:
        """
        The request that the client waits for still, of those that it waits for: it raises an error after a while.
        """
        left = [key for key in pending if key.endswith(self.name)]
        return f"the client still waits: {', '.join(key.removesuffix(self.name) for key in left)}" if left else None

    def copy(self, truth: str) -> str | None:
        """
        The problem with the client's copy, while the server has C{truth}; empty if there is none.
        """
        return None

    def done(self) -> str | None:
        """
        The problem with the next request; empty if there is none.
        """
        if self.after is None:
            return None
        reports = self.client.filter("outcome", number=self.after.number)
        if not reports:
            return "the callback of the next write is not called"
        return f"the next write fails: {reports[0]['error']}" if reports[0]["failed"] else None

    def seen(self, truth: str) -> str | None:
        """
        The problem with the record of the server after the next request; empty if there is none.
        """
        return None if '"next"' in truth else f"the next write is lost, the server has {truth[:80]}"


class RecordCell(Cell):
    """
    A write to a record that the client holds.
    """

    record: Record

    def prepare(self) -> None:
        self.record = Record(self.client, self.name)

    def ask(self) -> None:
        bad, record = self.bad, self.record
        if self.call == "set whole":
            record.set(str(bad.whole))
        elif self.call == "set whole, callback":
            self.outcome = record.start_set(str(bad.whole))
        elif self.call == "set whole, promise":
            self.outcome = record.start_set(str(bad.whole), None, "promise")
        elif self.call == "set path" and bad.path:
            record.set(bad.path[1], bad.path[0])
        elif self.call == "set path, callback" and bad.path:
            self.outcome = record.start_set(bad.path[1], bad.path[0])
        elif self.call == "erase":
            record.erase(str(bad.erased))
        elif self.call == "erase, callback":
            self.outcome = self.client.start("eraseWithAck", self.name, bad.erased)
        else:
            raise AssertionError(self.call)

    def copy(self, truth: str) -> str | None:
        mine = self.record.get()
        return None if _same(mine, truth) else f"its copy is {mine[:80]}, the server has {truth[:80]}"

    def go_on(self) -> None:
        if self.bad.start.startswith("["):
            self.after = self.record.start_set('["next"]')
        else:
            self.after = self.record.start_set("1", "next")


class DeletionCell(RecordCell):
    """
    The deletion of such a record.
    """

    def ask(self) -> None:
        number = self.client.do("deleteRecord", self.name)
        self.outcome = None if number is None else Outcome(self.client, number)

    def told(self) -> str | None:
        return self.raised() if self.outcome is None else super().told()

    def raised(self) -> str | None:
        """
        The error of a store has no name.
        """
        return None if self.client.filter("error", event="RECORD_DELETE_ERROR") else super().raised()

    def copy(self, truth: str) -> str | None:
        if self.client.driver.generation == "v2":
            # It has let go of the record.
            if self.record.key == self.name:
                self.record = Record(self.client, self.name, self.name + " again", wait=False)
        return super().copy(truth)


class ListCell(RecordCell):
    """
    The update of a list.
    """

    @property
    def start(self) -> str:
        return self.bad.start_entries

    def prepare(self) -> None:
        self.record = RecordList(self.client, self.name)

    def ask(self) -> None:
        entries = list(self.bad.entries or ())
        if self.call == "list":
            self.client.do("setEntries", self.name, entries)
        elif self.call == "list, add":
            self.client.do("addEntry", self.name, entries[-1], None)
        else:
            self.outcome = self.client.start("setEntriesWithAck", self.name, entries, "callback")

    def go_on(self) -> None:
        self.after = self.client.start("setEntriesWithAck", self.name, ["a", "next"], "callback")


class DataCell(Cell):
    """
    A write to a record that the client does not hold.
    """

    def ask(self) -> None:
        bad = self.bad
        if self.call == "setData":
            self.outcome = self.client.start("setDataWithAck", self.name, None, bad.whole, "callback")
        elif bad.path:
            self.outcome = self.client.start("setDataWithAck", self.name, *bad.path, "callback")

    def go_on(self) -> None:
        self.after = self.client.start("setDataWithAck", self.next_name, None, '{"start":1,"next":1}', "callback")


class ReadCell(Cell):
    """
    A read of a record that the client does not hold.
    """

    start = None

    def ask(self) -> None:
        self.outcome = self.client.start("look", self.call, self.name, "callback")

    def go_on(self) -> None:
        self.again = self.client.start("look", self.call, self.next_name, "callback")
        data = '{"start":1,"open":true,"next":1}'
        self.after = self.client.start("setDataWithAck", self.next_name, None, data, "callback")

    def done(self) -> str | None:
        reports = self.client.filter("outcome", number=self.again.number)
        if not reports:
            return "the next read is not answered"
        return f"the next read fails: {reports[0]['error']}" if reports[0]["failed"] else super().done()


class GettingCell(Cell):
    """
    A record that the client asks for. The client cannot get another one of the same name before it reconnects.
    """

    start = None

    def __init__(self, client: Client, call: str, name: str, bad: Bad) -> None:
        super().__init__(client, call, name, bad)
        self.next_name = f"other/{name}"

    def ask(self) -> None:
        Record(self.client, self.name, wait=False)

    def told(self) -> str | None:
        return self.raised()

    def go_on(self) -> None:
        self.after = self.client.start("setDataWithAck", self.next_name, None, '{"start":1,"next":1}', "callback")


def cells(reason: str, client: Client, bad: Bad, serial: str) -> list[Cell]:
    """
    All cells of a reason, whose names begin with it.
    """
    calls: list[tuple[type[Cell], str, str]] = []
    if bad.whole is not None and bad.holds:
        calls += [(RecordCell, "record", call) for call in ("set whole", "set whole, callback", "set whole, promise")]
    if bad.path is not None and bad.holds:
        calls += [(RecordCell, "record", call) for call in ("set path", "set path, callback")]
    if bad.erased is not None:
        calls += [(RecordCell, "record", call) for call in ("erase", "erase, callback")]
    if bad.deletes:
        calls += [(DeletionCell, "record", "delete")]
    if bad.entries is not None:
        calls += [(ListCell, "list", call) for call in ("list", "list, add", "list, callback")]
    if bad.whole is not None and bad.data[0]:
        calls += [(DataCell, "data", "setData")]
    if bad.path is not None and bad.data[1]:
        calls += [(DataCell, "data", "setData path")]
    if bad.reads:
        calls += [(ReadCell, "read", call) for call in ("snapshot", "has", "head")]
        calls += [(GettingCell, "read", "getRecord")]
    return [
        cell(client, call, f"{reason}/{kind}/{call.replace(', ', '-').replace(' ', '-')}/{serial}", bad)
        for cell, kind, call in calls
    ]


def _same(mine: str, truth: str) -> bool:
    try:
        return bool(json.loads(mine) == json.loads(truth))
    except ValueError:
        return False
