"""
Checks whether the write-ahead log of an open SQLite database still has everything that SQLite has written to it.

Other programs can truncate the log while it is open. SQLite does not detect that: it writes the next page where the log
ended before, so there is a hole of zeros in front of that page. The next start reads the log only up to the hole, and a
checkpoint would copy zeros into the database.

::

    log       | header (32 bytes): ... salts | frame | frame | ...         a frame: head (24 bytes): ... salts, page
    index     | header (48 bytes): frames, pages, salts | the same again | frames that are in the database file | ...

The index (C{-shm}) says how many frames of the log are in use. SQLite never changes committed frames; when all are in
the database file, it begins again at the first frame, with other salts. So the log is whole if the last frame of the
previous check is unchanged, and all frames after it have the right salts. This check detects every truncation to less
than the log had at the previous check, and needs one system call after a small transaction.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import NamedTuple

#: The fields of the index that are used here: page size, C{mxFrame}, C{nPage}, salts, C{nBackfill} and
#: C{nBackfillAttempted}. See "WAL-Index Format" in SQLite's documentation.
_HEADER = struct.Struct("=14xHII8x8s8x48xI28xI")

#: C{mxFrame} and salts, once more the same, and C{nBackfill}.
_FRAMES = struct.Struct("=16xI12x8s24xI12x8s8xI")

_LOG_HEADER_BYTES = 32
_FRAME_HEAD_BYTES = 24

#: How much of the log is read at once, in bytes.
_CHUNK_BYTES = 1 << 20

#: With more new frames, L{WrittenLog.has_grown} leaves the check to L{WrittenLog.whole}.
_MAX_NEW_FRAMES = 16

#: How much of a frame is remembered, from its end. If that is all zeros, all of the frame is.
_END_BYTES = 64


class _State(NamedTuple):
    """
    The content of the index.

    @ivar frames: how many frames of the log are in use.
    @ivar pages: how many pages the database has, in the file and the log together.
    @ivar backfilled: how many frames are certainly in the database file.
    @ivar attempted: how many frames may be in the database file.
    """

    page_size: int
    frames: int
    pages: int
    salts: bytes
    backfilled: int
    attempted: int

    @property
    def frame_size(self) -> int:
        return _FRAME_HEAD_BYTES + self.page_size

    def start(self, frame: int) -> int:
        return _LOG_HEADER_BYTES + frame * self.frame_size


class WrittenLog:
    """
    The log and the index of an open database.

    @ivar frames: how many frames of the log were in use when it was last found to be whole.
    @param log: a descriptor of the log, for reading and writing.
    @param index: the path of the index.
    """

    def __init__(self, log: int, index: str) -> None:
        self._log = log
        self._descriptor = os.open(index, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # To read from memory needs no system call, before which the thread would have to release the interpreter.
            self._index = mmap.mmap(self._descriptor, _HEADER.size, mmap.MAP_SHARED, mmap.PROT_READ)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.frames = 0
        self._frame_size = 0
        self._salts = b""
        # The last of these frames, or its end: it has zeros after the log was truncated in that frame or before.
        self._last = b""
        self._is_cut = False
        state = self._state()
        if state is not None and state.frames:
            self._remember(state, os.pread(log, state.frame_size, state.start(state.frames - 1)))

    def close(self) -> None:
        """
        Close the files. SQLite must have closed the database: closing them ends the locks that SQLite has on the index.
        """
        self._index.close()
        os.close(self._descriptor)

    def _state(self) -> _State | None:
        """
        The present content of the index; C{None} if another program is changing it.
        """
        for _ in range(10):
            index = self._index[:]
            if index[:48] == index[48:96]:
                page_size, frames, pages, salts, backfilled, attempted = _HEADER.unpack(index)
                # A page size of 64 KiB does not fit into the field, and is stored as 1.
                page_size = (page_size & 0xFE00) + ((page_size & 1) << 16)
                return _State(page_size, frames, pages, salts, backfilled, max(attempted, backfilled))
        return None

    def _remember(self, state: _State, last: bytes) -> None:
        self.frames, self._salts, self._frame_size = state.frames, state.salts, state.frame_size
        end = last[-_END_BYTES:]
        self._last = end if any(end) else last

    def least_file(self, size: int) -> int:
        """
        The least size of a whole database file that had C{size} bytes before.
        """
        state = self._state()
        if state is None:
            return 0
        whole = state.pages * state.page_size
        return whole if state.backfilled >= state.frames else min(size, whole)

    def has_grown(self) -> bool:
        """
        Whether the log is whole, has frames that are not in the database file, and was not begun again since the
        previous check. This is so after nearly all transactions, and costs a third of L{least_file} and L{whole}. If
        the answer is no, nothing is known.
        """
        frames, salts, same_frames, same_salts, backfilled = _FRAMES.unpack_from(self._index)
        new = frames - self.frames
        last = self._last
        if not (
            last
            and frames == same_frames
            and salts == same_salts == self._salts
            and backfilled < frames
            and 0 <= new <= _MAX_NEW_FRAMES
        ):
            return False
        size = self._frame_size
        known = len(last)
        length = known + new * size
        chunk = os.pread(self._log, length, _LOG_HEADER_BYTES + frames * size - length)
        if len(chunk) < length or not chunk.startswith(last):
            return False
        if new:
            for at in range(known + 8, length, size):
                if chunk[at : at + 8] != salts:
                    return False
            end = chunk[-_END_BYTES:]
            self._last = end if any(end) else chunk[-size:]
            self.frames = frames
        return True

    def whole(self) -> bool:
        """
        Whether the log has all frames that are in use.
        """
        for _ in range(10):
            state = self._state()
            if state is None or self._has_all(state):
                return True
            # Another program may have begun the log again during the check.
            if self._state() == state:
                break
        return False

    def _has_all(self, state: _State) -> bool:
        if not state.frames:
            self._remember(state, b"")
            return True
        known = self.frames if state.salts == self._salts else 0
        if not known and os.pread(self._log, _LOG_HEADER_BYTES, 0)[16:24] != state.salts:
            return False
        first = max(0, min(known, state.frames) - 1)
        size = state.frame_size
        last = b""
        while first < state.frames:
            count = min(max(1, _CHUNK_BYTES // size), state.frames - first)
            chunk = os.pread(self._log, count * size, state.start(first))
            if len(chunk) < count * size:
                return False
            for at in range(8, len(chunk), size):
                if chunk[at : at + 8] != state.salts:
                    return False
            if first == known - 1 and not chunk[:size].endswith(self._last):
                return False
            first += count
            last = chunk[-size:]
        self._remember(state, last)
        return True

    def all_in_file(self) -> bool:
        """
        Whether the database file has all commits, without the log.
        """
        state = self._state()
        return state is not None and state.backfilled >= state.frames

    def cut(self) -> None:
        """
        Shorten a log that is not whole to the frames that the next start can use, so that no checkpoint copies a hole.
        """
        state = self._state()
        if self._is_cut or state is None:
            return
        frames = self._usable(state)
        if frames < state.attempted:
            # The database file has later pages than these frames. Together they would not be a valid database.
            frames = 0
        os.ftruncate(self._log, state.start(frames) if frames else 0)
        self._is_cut = True

    def _usable(self, state: _State) -> int:
        """
        How many frames there are before the first missing one.
        """
        if os.pread(self._log, _LOG_HEADER_BYTES, 0)[16:24] != state.salts:
            return 0
        size = state.frame_size
        last = b""
        for frame in range(state.frames):
            content = os.pread(self._log, size, state.start(frame))
            known = state.salts == self._salts and frame == self.frames - 1
            if len(content) < size or (known and not content.endswith(self._last)):
                return frame
            if content[8:16] != state.salts:
                # Here is a hole. If the previous frame ends with zeros, the hole may begin in that frame.
                return frame - 1 if last.endswith(b"\0") else frame
            last = content
        return state.frames
