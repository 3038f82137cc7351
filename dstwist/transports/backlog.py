"""
The frames that wait until one client reads.

Large frames are not copied: the backlogs of all subscribers hold the same object. Small frames are joined, because an
object for each would take several times their memory. Always true: bytes leave in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable

from dstwist.limits.outgoing_bytes import LARGE_FRAME_BYTES


class Backlog:
    """
    Frames and joined batches. A part of the first one may have left.

    @ivar size: how many bytes wait.
    @ivar begun: the first piece is on its way, since sending it was tried.
    @ivar pieces: the frames and batches, the first with the part that has left; L{views} gives them without that part.
    """

    __slots__ = ("_offset", "begun", "pieces", "size")

    def __init__(self) -> None:
        self.pieces: list[bytes | bytearray] = []
        self.size = 0
        self.begun = False
        self._offset = 0

    def __bool__(self) -> bool:
        return bool(self.pieces)

    @property
    def behind(self) -> int:
        """
        How many bytes wait behind the piece that is on its way.
        """
        return self.size - (len(self.pieces[0]) - self._offset) if self.begun and self.pieces else self.size

    @property
    def partly_sent(self) -> bool:
        """
        Whether a part of the first piece has left.
        """
        return self._offset > 0

    def add(self, data: bytes) -> None:
        """
        Append C{data} as it is.
        """
        self.pieces.append(data)
        self.size += len(data)

    def extend(self, frames: Iterable[bytes], more: bool) -> None:
        """
        Append frames.

        @param more: whether more frames will follow before these can leave.
        """
        small: list[bytes] = []
        for frame in frames:
            if len(frame) < LARGE_FRAME_BYTES:
                small.append(frame)
                continue
            if small:
                self._add_small(small, more)
                small.clear()
            self.add(frame)
        if small:
            self._add_small(small, more)

    def _add_small(self, frames: list[bytes], more: bool) -> None:
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        # The first piece may be on its way.
        last = self.pieces[-1] if len(self.pieces) > 1 else None
        self.size += len(data)
        if type(last) is bytearray and len(last) < LARGE_FRAME_BYTES:
            last += data
        elif more and len(data) < LARGE_FRAME_BYTES:
            self.pieces.append(bytearray(data))
        else:
            self.pieces.append(data)

    def views(self, count: int) -> list[bytes | bytearray | memoryview]:
        """
        The first C{count} pieces, without the part that has left. The caller may not keep them.
        """
        views: list[bytes | bytearray | memoryview] = [*self.pieces[:count]]
        if self._offset:
            views[0] = memoryview(views[0])[self._offset :]
        return views

    def sent(self, size: int) -> None:
        """
        The first C{size} bytes have left.
        """
        self.size -= size
        offset = self._offset + size
        whole = 0
        for piece in self.pieces:
            if offset < len(piece):
                break
            offset -= len(piece)
            whole += 1
        self._offset = offset
        del self.pieces[:whole]

    def take(self, size: int) -> bytes:
        """
        Remove and return the next C{size} bytes, or all if there are fewer.
        """
        parts: list[bytes | bytearray | memoryview] = []
        start, left = self._offset, size
        for piece in self.pieces:
            parts.append(memoryview(piece)[start : start + left])
            left -= len(parts[-1])
            start = 0
            if not left:
                break
        data = b"".join(parts)
        self.sent(len(data))
        return data

    def clear(self) -> None:
        """
        Drop everything.
        """
        self.pieces.clear()
        self.size = self._offset = 0
        self.begun = False

    def clear_behind(self) -> None:
        """
        Drop everything but the rest of a piece of which a part has left.
        """
        offset = self._offset
        if not offset:
            self.clear()
            return
        del self.pieces[1:]
        self.size = len(self.pieces[0]) - offset
        self.begun = True
