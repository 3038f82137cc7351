"""
Writes all records of stores as lines (L{dstwist.transfer.lines}).

A page of names and a few records are in memory at a time, however many records there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList

from dstwist.errors import TransferError
from dstwist.interfaces import Record
from dstwist.transfer.lines import END, HEADER, line_of

#: How many names are asked for at once.
NAMES_PER_PAGE = 1000

#: How many records are asked for at once.
RECORDS_AT_ONCE = 32


class Source(Protocol):
    """
    A store to export from: it has C{get} of L{IStore<dstwist.interfaces.IStore>}, and
    L{IEnumerableStore<dstwist.interfaces.IEnumerableStore>}.
    """

    def get(self, name: str) -> Deferred[Record | None]: ...

    def names(self, cursor: Any, limit: int) -> Deferred[tuple[Sequence[str], Any]]: ...


class Exporter:
    """
    One export.

    @ivar records: how many records were written.
    @ivar failed: how many records could not be read.
    @param write: takes the lines.
    @param keep_going: whether to go on after a record that cannot be read.
    @param tell: called with each problem, as a text.
    @param progress: called from time to time.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        keep_going: bool,
        tell: Callable[[str], object],
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        self.records = 0
        self.failed = 0
        self._write = write
        self._keep_going = keep_going
        self._tell = tell
        self._progress = progress

    def begin(self) -> None:
        self._write(HEADER)

    def end(self) -> None:
        self._write(END)

    async def export(self, source: Source, wanted: Callable[[str], bool]) -> None:
        """
        Write the records of one store.

        @param wanted: whether to write the record of that name.
        @raise TransferError: a record cannot be read, and the export is not to go on then.
        """
        cursor: Any = None
        while True:
            try:
                names, cursor = await source.names(cursor, NAMES_PER_PAGE)
            except TransferError:
                raise
            except Exception as error:
                raise TransferError(f"the names of the records cannot be read: {error}") from None
            for some in _parts([name for name in names if wanted(name)]):
                await self._export(source, some)
                self._progress()
            if cursor is None:
                return

    async def _export(self, source: Source, names: Sequence[str]) -> None:
        found: list[tuple[bool, Any]] = await DeferredList([source.get(name) for name in names], consumeErrors=True)
        for name, (success, result) in zip(names, found, strict=True):
            if success:
                # The record may have been deleted meanwhile.
                if result is not None:
                    self._write(line_of(name, result))
                    self.records += 1
                continue
            problem = f"{name!r} cannot be read: {result.getErrorMessage()}"
            if not self._keep_going:
                raise TransferError(problem)
            self.failed += 1
            self._tell(problem)


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), RECORDS_AT_ONCE):
        yield names[start : start + RECORDS_AT_ONCE]
