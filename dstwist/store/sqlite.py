"""
A store in one file: SQLite, with a thread of its own.

The operations that are requested in one turn of the reactor, or while a transaction runs, become the next transaction.
So the more writes there are, the more of them share the time of one commit. The Deferreds of writes fire after the
commit. With C{synchronous: full} the data are on the disk by then. If a transaction has several writes of one record,
only the last one is executed.

::

    reactor    set a=1 | set a=2  set b=1  get c         get a             a bar: the end of a turn
    thread     [ write a=1, commit ] [ read c  write a=2, b=1, commit ] ...
    fires                          a=1        c                       a=2, b=1, get a

- A write with an expectation is compared in the thread, in its turn between the other writes of the record. A write
  that is refused takes no part in the transaction, but it waits for it: the record that it is given was written there,
  or before.
- A read waits for the earlier writes of its record, and gets their result. So no client is sent data that a crash could
  undo. All other reads are executed before the writes of a transaction, and wait for none.
- A write that cannot be a row fails alone. So does a write for which there is no room (disk full, C{maxBytes}): the
  other writes of its transaction are executed without it, deletions first. Any other failure (disk broken) fails the
  whole transaction, and leaves the store as it was. The next transaction is attempted all the same.
- The outcomes wait in one queue. The reactor takes them out of it a slice of each turn at a time
  (L{dstwist.scheduling.time_slices}), since each outcome continues the request of a client. The thread has its next
  transaction before the first outcome is taken. An operation counts as waiting until then, and C{stop} fires after the
  last one.
- The next start finds every write that was acknowledged: L{dstwist.store.sqlite_file}.
- Only one process can open the store: the system locks C{<file>.lock} for it until the process ends, in whatever way.
  Other programs may read the file meanwhile, for instance to make a copy.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, FirstError, fail, gatherResults, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.config.settings import RecordSettings
from dstwist.errors import StoreError
from dstwist.interfaces import ANY_VERSION, Change, Done, ICallbackStore, ISharedStore, IStoreStatus, Record
from dstwist.log import Logger
from dstwist.scheduling.clocks import wall_time
from dstwist.scheduling.firing import fire
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.scheduling.turns import Turns
from dstwist.store.sqlite_file import FILE_CHECK_INTERVAL, SqliteFile
from dstwist.store.sqlite_removed import RemovedVersions
from dstwist.store.sqlite_rows import Heads, Read, Write


class _Batch:
    """
    The operations of one transaction.
    """

    __slots__ = ("reads", "writes")

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.writes: list[Write] = []


@implementer(ICallbackStore, ISharedStore, IStoreStatus)
class SqliteStore:
    """
    Records in an SQLite file.

    @param reactor: an L{IReactorFromThreads<twisted.internet.interfaces.IReactorFromThreads>} and
        L{IReactorTime<twisted.internet.interfaces.IReactorTime>}.
    @param path: the path of the file. The file is created if it does not exist; its directory is not.
    @param synchronous: C{full}: an acknowledged write survives a power failure. C{normal}: it survives a crash of this
        process. C{off}: the same, but a power failure may damage the file.
    @param max_bytes: the limit for the file and its write-ahead log together, in bytes; C{None}: no limit but the disk.
    @param max_waiting: how many operations may wait for the thread, or for their Deferreds to fire.
    @param busy_timeout: how long a transaction waits for other programs that use the file, in seconds.
    @param record: how long the versions of removed records are remembered, and how many.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        reactor: Any,
        synchronous: str = "full",
        max_bytes: int | None = None,
        max_waiting: int = 20_000,
        busy_timeout: float = 5.0,
        record: RecordSettings | None = None,
    ) -> None:
        self.path = path
        self._reactor = reactor
        self._max_waiting = max_waiting
        removed = RemovedVersions(record or RecordSettings(), wall_time(reactor))
        self._file = SqliteFile(path, synchronous, max_bytes, busy_timeout, removed, self._tell)
        self._jobs: queue.SimpleQueue[_Batch | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ready = False
        self._stopped: Deferred[None] | None = None
        # Whether the thread executes a batch, or closes the file.
        self._running = False
        # Whether the thread gets the next batch in the next turn.
        self._soon = False
        self._next = _Batch()
        self._waiting = 0
        # The executed operations whose Deferreds have not fired.
        self._outcomes: deque[Read | Write] = deque()
        self._handing_out = False
        self._turns = Turns.of(reactor)
        self._slices: TimeSlices | None = None
        # The last unfinished write of each record, by name.
        self._unwritten: dict[str, Write] = {}

    # -- start and stop

    def start(self) -> Deferred[None]:
        started: Deferred[None] = Deferred()
        self._slices = TimeSlices(self._reactor)
        self._thread = threading.Thread(target=self._work, name="dstwist-sqlite", daemon=True)
        self._thread.start()
        self._submit(self._file.open, lambda failure: self._started(started, failure))
        return started

    def contents(self) -> str:
        return self._file.contents

    def problem(self) -> str | None:
        return self._file.problem

    def _started(self, started: Deferred[None], error: Exception | None) -> None:
        if error is None:
            self._ready = self._stopped is None
            started.callback(None)
            return
        if self._stopped is None:
            self._end_thread()
        started.errback(error)

    def stop(self) -> Deferred[None]:
        if self._thread is None:
            return succeed(None)
        self._ready = False
        stopped = self._stopped = Deferred()
        self._close_if_idle()
        return stopped

    def _close_if_idle(self) -> None:
        if self._stopped is not None and not (self._running or self._soon or self._handing_out):
            stopped, self._running = self._stopped, True
            self._submit(self._file.close, lambda error: self._closed(stopped, error))

    def _closed(self, stopped: Deferred[None], error: Exception | None) -> None:
        self._end_thread()
        if error is None:
            stopped.callback(None)
        else:
            stopped.errback(error)

    def _end_thread(self) -> None:
        assert self._thread is not None
        self._jobs.put(None)
        self._thread.join()
        self._thread = None

    # -- operations

    def get(self, name: str) -> Deferred[Record | None]:
        if not self._ready or self._waiting >= self._max_waiting:
            return fail(self._unavailable())
        read = Read(name)
        before = self._unwritten.get(name)
        if before is not None:
            self._waiting += 1
            if before.readers is None:
                before.readers = []
            before.readers.append(read)
        else:
            self._read(read)
        return read.deferred

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        if not self._ready or self._waiting >= self._max_waiting:
            return fail(self._unavailable())
        names = list(names)
        heads = Heads([name for name in names if name not in self._unwritten])
        self._read(heads)
        # These are read behind their writes.
        unwritten = [name for name in names if name in self._unwritten]
        found = [heads.deferred, *map(self.get, unwritten)]

        def all_found(results: list[Any]) -> dict[str, int]:
            versions: dict[str, int] = results[0]
            for name, record in zip(unwritten, results[1:], strict=True):
                versions[name] = -1 if record is None else record.version
            return versions

        return gatherResults(found, consumeErrors=True).addCallbacks(all_found, _first_error)

    def fence(self) -> Deferred[None]:
        # The operations on each name are executed in their order, so no operation is late.
        return succeed(None)

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self.write(name, Record(version, data))

    def write(self, name: str, record: Record) -> Deferred[None]:
        return self._write(name, ANY_VERSION, record)

    def delete(self, name: str) -> Deferred[None]:
        return self._write(name, ANY_VERSION, None)

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        return self._write(name, expected, record, changes)

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        return self._write(name, expected, None)

    def _write(
        self, name: str, expected: int | None, record: Record | None, changes: Sequence[Change] = ()
    ) -> Deferred[Any]:
        written: Deferred[Any] = Deferred()
        self.submit(name, expected, record, changes, fire, written)
        return written

    def submit(
        self,
        name: str,
        expected: int | None,
        record: Record | None,
        changes: Sequence[Change],
        done: Done,
        argument: Any,
    ) -> None:
        if not self._ready or self._waiting >= self._max_waiting:
            done(argument, self._unavailable(), None)
            return
        self._waiting += 1
        self._unwritten[name] = write = Write(name, expected, record, changes, done, argument)
        self._next.writes.append(write)
        if not self._running and not self._soon:
            self._run_soon()

    def _read(self, read: Read) -> None:
        self._waiting += 1
        self._next.reads.append(read)
        if not self._running and not self._soon:
            self._run_soon()

    def _unavailable(self) -> StoreError:
        if not self._ready:
            return StoreError(f"{self.path} is not open")
        return StoreError(f"{self.path}: {self._max_waiting} operations are waiting for the disk already")

    # -- transactions, in the thread of the reactor

    def _run_soon(self) -> None:
        """
        Give the thread the next transaction when all of this turn was requested. The thread is idle. At once, the first
        operation of a turn would be a transaction of its own, and the thread would compete with this one for the
        interpreter.
        """
        self._soon = True
        self._reactor.callLater(0, self._run)

    def _run(self) -> None:
        """
        Give the thread the next transaction. The thread is idle.
        """
        self._soon = False
        batch, self._next = self._next, _Batch()
        self._running = True
        self._jobs.put(batch)

    def _hand_out(self, outcomes: Sequence[Read | Write]) -> None:
        """
        Tell C{outcomes}, and those of the reads behind each write, in slices.
        """
        if len(outcomes) == 1 and outcomes[0].readers is None and not self._handing_out and not self._turns.over():
            # A write that is alone. The steps of a slice would take longer than to tell it.
            self._tell_one(outcomes[0])
            return
        self._outcomes += outcomes
        if self._outcomes and not self._handing_out:
            assert self._slices is not None
            self._handing_out = True
            self._slices.do(self._handing())

    def _handing(self) -> Iterator[None]:
        outcomes = self._outcomes
        while outcomes:
            outcome = outcomes.popleft()
            if outcome.readers is not None and outcome.error is None:
                for read in outcome.readers:
                    read.result = outcome.result
                outcomes.extendleft(reversed(outcome.readers))
            self._tell_one(outcome)
            yield
        self._handing_out = False
        self._close_if_idle()

    def _tell_one(self, outcome: Read | Write) -> None:
        self._waiting -= 1
        try:
            outcome.tell()
        except Exception:
            # There may be not enough memory, for instance. The other outcomes are handed out all the same.
            self._log.failure("a request could not go on after its operation on the storage")

    def _done(self, writes: list[Write], error: Exception | None) -> None:
        self._running = False
        for write in writes:
            write.error = write.error or error
            if self._unwritten.get(write.name) is write:
                del self._unwritten[write.name]
            if write.error is not None and write.readers is not None:
                # The write that these reads waited for has failed. They read the row that is there.
                self._next.reads += write.readers
        # The thread gets the waiting operations before any Deferred fires and leads to more of them.
        if self._next.reads or self._next.writes:
            self._run()
        self._hand_out(writes)
        self._close_if_idle()

    def _submit(self, job: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        """
        Have the thread run C{job}. Then C{done} is called in the thread of the reactor, with the exception of C{job},
        or C{None}.
        """

        def run() -> None:
            problem = None
            try:
                job()
            except Exception as error:
                problem = error
            self._reactor.callFromThread(done, problem)

        self._jobs.put(run)

    def _say(self, serious: bool, text: str) -> None:
        if serious:
            self._log.critical("{event} | storage: {problem}", problem=text, event="STORAGE_FILE")
        else:
            self._log.warn("{event} | storage: {problem}", problem=text, event="STORAGE_FILE")

    # -- in the thread

    def _tell(self, serious: bool, text: str) -> None:
        self._reactor.callFromThread(self._say, serious, text)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=FILE_CHECK_INTERVAL)
            except queue.Empty:
                # There is no operation. The acknowledged writes must be safe all the same.
                self._file.look()
                continue
            if isinstance(job, _Batch):
                self._execute(job)
            elif job is None:
                return
            else:
                job()

    def _execute(self, batch: _Batch) -> None:
        if batch.reads:
            self._file.read(batch.reads)
            self._reactor.callFromThread(self._hand_out, batch.reads)
        problem = None
        try:
            self._file.write(batch.writes)
        except Exception as error:
            problem = error
        self._reactor.callFromThread(self._done, batch.writes, problem)


def _first_error(failure: Failure) -> Failure:
    """
    The failure of the first of several Deferreds, instead of the one that tells which it was.
    """
    assert isinstance(failure.value, FirstError)
    return failure.value.subFailure
