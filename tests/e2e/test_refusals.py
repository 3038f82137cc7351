"""
Refused requests of the official clients: L{tests.e2e.matrix} says what must hold of each.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.matrix import DEADLINE, Bad, Cell, GettingCell, ReadCell, cells
from tests.e2e.on_nodes import OnNodes
from tests.e2e.raw import RawClient
from tests.e2e.scenario import QUICK, Scenario, for_each_generation, for_each_kind, scratch_directory
from tests.e2e.server import TROUBLE, Server

CONFIG = Path(__file__).resolve().parent / "matrix.yml"

_serial = itertools.count(1)

_ERRORS = (
    "MESSAGE_DENIED",
    "MESSAGE_PERMISSION_ERROR",
    "INVALID_MESSAGE_DATA",
    "INVALID_VERSION",
    "RECORD_UPDATE_ERROR",
    "RECORD_LOAD_ERROR",
    "RECORD_DELETE_ERROR",
    "VERSION_EXISTS",
    "INVALID_PATCH_ON_HOTPATH",
    "CALLED_TWICE",
    "STORAGE_RETRIEVAL_TIMEOUT",
)

#: The log lines about a storage that fails as it should.
_KNOWN = ("the matrix wants it to fail", "no answer within", "could not be resolved", "the memory store is full")

_LONG = '"' + "x" * 70_000 + '"'


_UNSENT = "its callback reports success"
_WAITS = "the client still waits"

#: Cells that the client itself makes impossible, with the beginning of the problem.
IMPOSSIBLE = {
    # It looks at the elements of an array only, finds that nothing changes, sends nothing, and reports success.
    ("rootindex", "set path, callback", "v7"): _UNSENT,
    ("rootindex", "erase, callback", "v7"): _UNSENT,
    ("quoted", "set path, callback", "v7"): _UNSENT,
    # Only a denial ends its wait. It has raised the error, and raises ACK_TIMEOUT and RESPONSE_TIMEOUT after it.
    ("broken", "getRecord", "v2"): _WAITS,
    ("held", "getRecord", "v2"): _WAITS,
    ("late", "getRecord", "v2"): _WAITS,
}


class RefusalCase(Scenario):
    """
    The steps.
    """

    options = QUICK
    tls = False
    first = "v2"

    def setUp(self) -> None:
        super().setUp()
        self.at = self.start()
        # Of two nodes, the admin is at the other one.
        self.subject = self.user(self.first, self.at, "ann", reconnectIntervalIncrement=1)
        self.admin = self.user("v7", self.at, "admin")
        self.raw = RawClient(self.at.port, "v4", "admin")
        self.addCleanup(self.raw.close)

    def start(self) -> Server:
        """
        The server of the tests.
        """
        return self.server(config=CONFIG)

    def tearDown(self) -> None:
        # Each refusal raises errors of its own, and is printed; what is not answered has been noted cell by cell.
        for event in _ERRORS:
            self.subject.tolerate_error(event)
        self.tolerate_output("RECORD")
        self.subject.do("close")
        # The server tells of a storage that fails as it should.
        lines = [line for line in self.at.take_trouble() if TROUBLE.search(line)]
        trouble = [line for line in lines if not any(known in line for known in _KNOWN)]
        super().tearDown()
        self.assertEqual(trouble, [])

    # -- steps

    def run_cells(self, reason: str, bad: Bad) -> None:
        found = cells(reason, self.subject, bad, f"{self.first}/{next(_serial)}")
        for cell in found:
            if cell.start is not None:
                self.assertIsNone(self.admin.set_data_with_ack(cell.next_name, cell.start))
            elif reason in ("denied", "failing"):
                self.assertIsNone(self.admin.set_data_with_ack(cell.name, '{"start":1}'))
        for cell in found:
            cell.prepare()
        for cell in found:
            self.obstruct(reason, cell)
        for cell in found:
            cell.ask()
        self.pass_on()
        for cell in found:
            self.clear(reason, cell)
        self.step(reason, found, self.told)
        self.step(reason, found, lambda cell: cell.copy(self.truth(cell)))
        for cell in found:
            self.mend(reason, cell)
        for cell in found:
            cell.go_on()
        self.step(reason, found, lambda cell: cell.done())
        self.step(reason, found, lambda cell: cell.seen(self.truth(cell)))
        self.step(reason, found, lambda cell: cell.copy(self.truth(cell)))
        self.subject.catch_up()
        for cell in found:
            trouble = cell.told_once()
            if trouble:
                cell.problems.append(trouble)
        self.step(reason, found, lambda cell: cell.waits(self.subject.do("pending")))
        failures = [
            f"{reason} x {cell.call} x {self.first}: {'; '.join(cell.problems)}" for cell in found if cell.problems
        ]
        self.assertEqual(failures, [], "\n" + "\n".join(failures))

    def step(self, reason: str, found: list[Cell], problem: Callable[[Cell], str | None]) -> None:
        """
        Wait until no cell has a problem that is not known, or it is late; note the problems that are left.
        """
        late = time.monotonic() + DEADLINE
        left = found
        while left:
            troubled = []
            for cell in left:
                trouble = problem(cell)
                known = IMPOSSIBLE.get((reason, cell.call, self.first))
                if trouble is not None and not (known is not None and trouble.startswith(known)):
                    troubled.append((cell, trouble))
            if time.monotonic() > late:
                for cell, trouble in troubled:
                    cell.problems.append(trouble)
                return
            left = [cell for cell, _ in troubled]
            if left:
                time.sleep(0.03)

    def truth(self, cell: Cell) -> str:
        """
        The record of the server, as another client reads it.
        """
        return self.admin.look("snapshot", cell.next_name)

    def obstruct(self, reason: str, cell: Cell) -> None:
        """
        Bring about the reason for the refusal.
        """
        if reason == "held":
            data = b'["a","hold"]' if cell.start and cell.start.startswith("[") else b'{"start":1,"hold":1}'
            write = Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, cell.name, data, version=-1)
            reads = [Message(Topic.RECORD, RecordAction.READ, cell.name)] * 4
            self.raw.say(write, *reads)
            self.raw.answer(Message(Topic.RECORD, RecordAction.HEAD, "other/fence"), RecordAction.HEAD_RESPONSE)
        elif reason == "ahead":
            self.subject.do("misjudge", cell.name, 9)

    def pass_on(self) -> None:
        """
        Return when the server has received all that the subject has sent.
        """
        self.subject.do("sent")
        name = self.name(f"pass/{next(_serial)}")
        self.admin.subscribe(name)
        self.subject.emit(name)
        self.admin.wait_for_values(name, 1)

    def clear(self, reason: str, cell: Cell) -> None:
        """
        Release the operations that were held up.
        """
        if reason == "held":
            self.assertIsNone(self.admin.set_data_with_ack(f"release/{cell.name}", '{"start":1}'))

    def mend(self, reason: str, cell: Cell) -> None:
        """
        Make the next request a permitted one.
        """
        if not isinstance(cell, ReadCell | GettingCell):
            return
        if reason in ("broken", "late"):
            self.assertIsNone(self.admin.set_data_with_ack(f"mend/{cell.name}", '{"start":1}'))
        self.assertIsNone(self.admin.set_data_with_ack(cell.next_name, '{"start":1,"open":true}'))

    def told(self, cell: Cell) -> str | None:
        """
        The problem with how the client learned of the refusal; empty if there is none.
        """
        return cell.told()


class RefusalTests(RefusalCase):
    """
    One reason a test.
    """

    def test_denied(self) -> None:
        """
        A rule denies it.
        """
        self.run_cells("denied", Bad())

    def test_failing_rule(self) -> None:
        """
        A rule cannot be evaluated.
        """
        self.run_cells("failing", Bad())

    def test_index_of_the_root(self) -> None:
        """
        An index right at the root, of a record that is an array.
        """
        self.run_cells("rootindex", _paths("[4]", "1", '["a","b"]', "[0]"))

    def test_property_of_an_array(self) -> None:
        """
        A path leads to a key of an array.
        """
        self.run_cells("length", _paths("a.length", "5"))

    def test_quoted_key(self) -> None:
        """
        A key in quotes, of an array: no deepstream knows quotes.
        """
        self.run_cells("quoted", _paths("a['x']", "1"))

    def test_wide_gap(self) -> None:
        """
        An index far behind the end of the array.
        """
        self.run_cells("gap", _paths("list[70000]", "1"))

    def test_too_large(self) -> None:
        """
        The record would be larger than C{record.maxSize}.
        """
        self.run_cells("large", _LARGE)

    def test_long_name(self) -> None:
        """
        The name is too long.
        """
        self.run_cells("long", Bad(erased=None, entries=None, deletes=False, holds=False, tail="x" * 301))

    def test_late_storage(self) -> None:
        """
        The storage does not answer in time.
        """
        self.run_cells("late", Bad())

    def test_broken_storage(self) -> None:
        """
        The storage fails.
        """
        self.run_cells("broken", Bad())

    def test_version_ahead(self) -> None:
        """
        The version is more than the next one.
        """
        self.run_cells("ahead", Bad(deletes=False, reads=False, data=(False, False)))

    def test_hot_path(self) -> None:
        """
        A path of a record whose versions are not checked.
        """
        self.run_cells("hot", Bad(whole=None, erased=None, entries=None, deletes=False, reads=False, holds=False))


class FullQueueTests(RefusalCase):
    """
    A queue that is full because a write is held up.
    """

    def start(self) -> Server:
        return self.server(config=_without_hurry())

    def test_full_queue(self) -> None:
        """
        Too many requests wait for the record.
        """
        self.run_cells("held", Bad())


def _paths(path: str, value: str, start: str = Bad.start, erased: str | None = None) -> Bad:
    return Bad(
        whole=None,
        path=(path, value),
        erased=erased,
        entries=None,
        deletes=False,
        reads=False,
        start=start,
    )


_LARGE = Bad(
    whole=f'{{"start":1,"bad":{_LONG}}}',
    path=("bad", _LONG),
    erased=None,
    entries=("a", _LONG[1:-1]),
    deletes=False,
    reads=False,
)


class FullCacheTests(RefusalCase):
    """
    Records that are in the cache of a server only. A node of a cluster does not start with them.
    """

    def test_full_cache(self) -> None:
        """
        The cache has no room for records that are in it alone.
        """
        for number in range(4):
            self.assertIsNone(self.admin.set_data_with_ack(f"firm/filler/{number}", f'{{"start":{_LONG[:60_000]}"}}'))
        bad = Bad(
            f'{{"start":1,"bad":{_LONG[:60_000]}"}}',
            ("bad", _LONG[:60_000] + '"'),
            None,
            ("a", _LONG[1:60_000]),
            False,
            False,
        )
        self.run_cells("firm", bad)


class RefusalOnNodesTests(OnNodes, RefusalTests):
    """
    The same at one of two nodes, while the other client is at the other node.
    """

    count = 2
    before = "from tests.e2e.matrix_store import MatrixRedis; MatrixRedis.install()"

    def start(self) -> Any:
        return self.server(config=_config_of_nodes())


class FullQueueOnNodesTests(OnNodes, FullQueueTests):
    """
    The same for a queue at one of two nodes.
    """

    count = RefusalOnNodesTests.count
    before = RefusalOnNodesTests.before

    def start(self) -> Any:
        return self.server(config=_config_of_nodes(60000))


def _written(text: str, write_timeout: int, read_timeout: int) -> Path:
    """
    A configuration with these times, in milliseconds.
    """
    text = re.sub(r"writeTimeout: \d+", f"writeTimeout: {write_timeout}", text)
    text = re.sub(r"storageRetrievalTimeout: \d+", f"storageRetrievalTimeout: {read_timeout}", text)
    path = scratch_directory() / "matrix.yml"
    path.write_text(text.replace("fileLoad(", f"fileLoad({CONFIG.parent}/"), encoding="utf-8")
    return path


@cache
def _without_hurry() -> Path:
    """
    The configuration, but a write is held up for as long as a busy machine takes to send all requests.
    """
    return _written(CONFIG.read_text(encoding="utf-8"), 60000, 60000)


@cache
def _config_of_nodes(write_timeout: int = 3000) -> Path:
    """
    The configuration without the storage of one server, and without records in its cache only. A Redis takes longer
    than a storage in memory.
    """
    text = re.sub(r"(?m)^storage:.*\n| *storageExclusionPrefixes:.*\n", "", CONFIG.read_text(encoding="utf-8"))
    return _written(text, write_timeout, 2000)


class ShutdownTests(RefusalCase):
    """
    The server stops while requests wait, and starts again.
    """

    def start(self) -> Server:
        directory = scratch_directory()
        config = CONFIG.read_text(encoding="utf-8").replace(
            ':MatrixStore"', f':MatrixStore", options: {{file: "{directory}/records.json"}}'
        )
        (directory / "matrix_permissions.yml").write_text((CONFIG.parent / "matrix_permissions.yml").read_text())
        (directory / "config.yml").write_text(config, encoding="utf-8")
        return self.own_server(directory / "config.yml")

    def test_shutdown(self) -> None:
        """
        The client learns of it by an answer, or by the end of the connection; it reconnects by itself, and its copy is
        right.

        Not so for deletions: client 2 subscribes again to the record that it does not know any more, client 7 complains
        that it cannot.
        """
        self.run_cells("stopped", Bad(deletes=False))

    def obstruct(self, reason: str, cell: Cell) -> None:
        data = b'["a","hold"]' if cell.start and cell.start.startswith("[") else b'{"start":1,"hold":1}'
        self.raw.say(Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, cell.name, data, version=-1))
        self.raw.answer(Message(Topic.RECORD, RecordAction.HEAD, "other/fence"), RecordAction.HEAD_RESPONSE)

    def pass_on(self) -> None:
        super().pass_on()
        for client in (self.admin, self.subject):
            client.tolerate_error("CONNECTION_ERROR")
            client.tolerate_error("connectionError")
        self.at.stop()
        for client in (self.admin, self.subject):
            client.wait_for_state("RECONNECTING")
        self.at.start()
        for client in (self.admin, self.subject):
            client.wait_for_state("OPEN")

    def told(self, cell: Cell) -> str | None:
        # Without an answer the end of the connection must do: client 2 does not tell the callbacks of writes.
        if isinstance(cell, GettingCell):
            return None
        if self.first == "v2" and not isinstance(cell, ReadCell):
            return None
        return None if cell.outcome is None or cell.outcome.done else "its callback is not called"


for case in (RefusalTests, FullQueueTests, ShutdownTests):
    for_each_kind(case)
for_each_generation(FullCacheTests)
for_each_generation(FullQueueOnNodesTests)
for_each_generation(RefusalOnNodesTests)
del case, RefusalCase, RefusalTests, FullQueueTests, FullCacheTests
del FullQueueOnNodesTests, RefusalOnNodesTests, ShutdownTests
