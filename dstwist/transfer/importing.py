"""
Reads lines (L{dstwist.transfer.lines}), and writes their records to a store.

The records are written in batches. Each batch waits for the one before, so a batch and one line are in memory at a
time. An import can end at any moment, in whatever way. The next import of the same file skips the records that the
store has already, since their versions are not lower; with a state file it skips their lines.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, cast

from dstwist.errors import TransferError
from dstwist.interfaces import IStore
from dstwist.transfer.batches import Item, Outcome
from dstwist.transfer.lines import MAX_LINE_BYTES, BadLine, check_header, read_line
from dstwist.transfer.state_file import State, StateFile

#: The most records of a batch.
BATCH_RECORDS = 1000

#: At how many bytes of lines a batch is complete.
BATCH_BYTES = 4 * 1024 * 1024

#: An import ends after so many failures with no success between them.
MAX_FAILURES_IN_A_ROW = 1000

#: The longest first line, in bytes.
_MAX_HEADER_BYTES = 65536

#: The first bytes of an SQLite file.
_SQLITE_HEADER = b"SQLite format 3\0"

#: How much of an overlong line is skipped at once, in bytes.
_SKIP_BYTES = 1 << 20


class Target(Protocol):
    """
    L{dstwist.transfer.stores.Destination}.
    """

    def store_of(self, name: str) -> IStore | None: ...

    async def version(self, name: str) -> int: ...

    async def write(self, items: list[Item], overwrite: bool) -> Outcome: ...


def lines_of(stream: BinaryIO, limit: int = MAX_LINE_BYTES) -> Iterator[bytes | None]:
    """
    The lines of a stream; C{None} for a line that is longer than C{limit} bytes.
    """
    while line := stream.readline(limit + 1):
        if len(line) > limit and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(_SKIP_BYTES)
            yield None
        else:
            yield line


def read_first_line(stream: BinaryIO) -> None:
    """
    Read the first line of an export.

    @raise TransferError: it is no export.
    """
    line = stream.readline(_MAX_HEADER_BYTES)
    if not line:
        raise TransferError("the file is empty")
    if line.startswith(_SQLITE_HEADER):
        raise TransferError("this is an SQLite file, and not an export: use dstwist restore for a backup")
    check_header(line)


def is_export(path: str) -> bool:
    """
    Whether a file is an export.
    """
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            read_first_line(cast(BinaryIO, file))
    except (OSError, EOFError, zlib.error, TransferError):
        return False
    return True


class Importer:
    """
    One import.

    @ivar line: the number of the last line that is done.
    @ivar written: how many records were written.
    @ivar skipped: how many records the store had already.
    @ivar excluded: how many records are of names that the server keeps in memory only.
    @ivar failed: how many lines are no record, or could not be written.
    @param overwrite: whether records replace those with the same or a higher version.
    @param keep_going: whether to go on after a line that is no record, or cannot be written.
    @param tell: called with each problem, as a text.
    @param progress: called after each batch.
    """

    def __init__(
        self,
        target: Target,
        overwrite: bool,
        keep_going: bool,
        tell: Callable[[str], object],
        progress: Callable[[], object] = lambda: None,
        state_file: StateFile | None = None,
    ) -> None:
        self.line = 0
        self.written = 0
        self.skipped = 0
        self.excluded = 0
        self.failed = 0
        self._target = target
        self._overwrite = overwrite
        self._keep_going = keep_going
        self._tell = tell
        self._progress = progress
        self._state_file = state_file
        self._batch: dict[str, Item] = {}
        self._size = 0
        # The last record that the store has.
        self._last: Item | None = None
        self._failures_in_a_row = 0

    async def run(self, stream: BinaryIO) -> None:
        """
        Import all lines behind the first one, which was read (L{read_first_line}).

        @raise TransferError: it cannot go on. The text says why, and which line is the reason. The records of all lines
            before that line are in the store.
        """
        done = await self._done_before()
        complete = False
        number = 1
        for number, line in enumerate(lines_of(stream), 2):
            if complete:
                # Files of several exports, one behind the other.
                check_after_end(number, line)
            elif line is None or line.strip():
                complete = await self._take(number, line, done)
        await self._write(number)
        if not complete:
            raise TransferError(
                f"the file ends at line {number} without its last line, so the export that wrote it was interrupted."
                " The records up to there are imported"
            )
        if self._state_file is not None:
            self._state_file.remove()

    async def _done_before(self) -> int:
        """
        The number of the last line that an earlier import has done.
        """
        if self._state_file is None:
            return 0
        state = self._state_file.load()
        if state.name is not None and await self._target.version(state.name) < state.version:
            raise TransferError(
                f"the state file says that {state.name!r} was imported, but the store does not have it."
                " Delete the state file to import all lines"
            )
        return state.line

    async def _take(self, number: int, line: bytes | None, done: int) -> bool:
        """
        Take one line.

        @return: whether it is the last line.
        """
        if number <= done:
            # The last line is never counted as done.
            return False
        try:
            if line is None:
                raise BadLine(f"longer than {MAX_LINE_BYTES} bytes")
            found = read_line(line)
        except BadLine as error:
            await self._write(number - 1)
            self._fail(f"line {number}: {error}")
            return False
        if found is None:
            await self._write(number - 1)
            return True
        name, record = found
        if name in self._batch:
            await self._write(number - 1)
        if self._target.store_of(name) is None:
            self.excluded += 1
            return False
        self._batch[name] = Item(number, name, record)
        self._size += len(line)
        if len(self._batch) >= BATCH_RECORDS or self._size >= BATCH_BYTES:
            await self._write(number)
        return False

    async def _write(self, number: int) -> None:
        """
        Write the batch.

        @param number: the number of the last line before the next batch.
        """
        batch, self._batch, self._size = list(self._batch.values()), {}, 0
        if batch:
            written, skipped, failed = await self._target.write(batch, self._overwrite)
            self.written += len(written)
            self.skipped += len(skipped)
            kept = [*written, *skipped]
            if kept:
                self._failures_in_a_row = 0
                self._last = max(kept)
            for item, problem in sorted(failed):
                if not self._keep_going:
                    self._save(item.line - 1, max((i for i in kept if i.line < item.line), default=None))
                self._fail(f"line {item.line}: {item.name!r} cannot be written: {problem}")
        self._save(number, self._last)
        self._progress()

    def _save(self, number: int, last: Item | None) -> None:
        self.line = max(self.line, number)
        if self._state_file is not None and last is not None:
            self._state_file.save(State(number, last.name, last.record.version))

    def _fail(self, problem: str) -> None:
        if not self._keep_going:
            raise TransferError(problem)
        self.failed += 1
        self._failures_in_a_row += 1
        self._tell(problem)
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise TransferError(f"{self._failures_in_a_row} lines in a row failed; the last one is above")


def check_after_end(number: int, line: bytes | None) -> None:
    """
    @raise TransferError: there is something behind the last line.
    """
    if line is None or line.strip():
        raise TransferError(f"line {number}: it is behind the last line")
