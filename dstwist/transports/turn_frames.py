"""
The frames of one outbox that wait for the end of the turn.

They are its own, and behind them perhaps some that it shares with others (L{dstwist.routing.shared_frames})::

    not shared    _frames: [a, b, c]
    shared        _frames: []           _own: [a, b]    _shared: [c, d, ...]

Always true: C{_frames} is empty while some are shared. So L{TurnFrames.write}, which is called for each frame and each
subscriber, needs no question of its own about that.
"""

from __future__ import annotations

from dstwist.routing.shared_frames import SharedFrames
from dstwist.transports.outbox_group import OutboxGroup

#: In place of a list of frames; nothing is ever added to it.
_NO_FRAMES: list[bytes] = []


class TurnFrames:
    """
    Queues frames.

    @param group: flushes the outbox at the end of a turn in which a frame is queued.
    """

    __slots__ = ("_frames", "_group", "_own", "_shared")

    def __init__(self, group: OutboxGroup) -> None:
        self._group = group
        self._frames: list[bytes] = []
        self._own = _NO_FRAMES
        self._shared: SharedFrames | None = None

    @property
    def empty(self) -> bool:
        """
        Whether no frame was written since the last flush.
        """
        return not self._frames and self._shared is None

    @property
    def queued(self) -> int:
        shared = self._shared
        return len(self._frames) if shared is None else len(self._own) + len(shared.frames)

    def write(self, frame: bytes) -> None:
        """
        Queue a frame.
        """
        if not self._frames:
            self._begin()
        self._frames.append(frame)

    def share(self, shared: SharedFrames) -> None:
        if not self._frames:
            self._begin()
        self._own, self._frames = self._frames, _NO_FRAMES
        self._shared = shared

    def _begin(self) -> None:
        """
        Before the first frame that is written since the last flush, or since frames are shared.
        """
        if self._shared is None:
            self._group.add(self)  # type: ignore[arg-type]  # an outbox
        else:
            self._share_no_more()

    def _share_no_more(self) -> None:
        """
        Keep what is shared so far.
        """
        shared = self._shared
        if shared is not None:
            shared.is_open = False
            self._shared = None
            self._frames, self._own = self._own, _NO_FRAMES
            self._frames += shared.frames

    def _take(self) -> bytes:
        """
        Take all frames, of which there are some, as one piece.
        """
        shared, frames = self._shared, self._frames
        if shared is None:
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            frames.clear()
            return data
        data = shared.joined()
        self._shared = None
        self._frames = own = self._own
        self._own = _NO_FRAMES
        if own:
            data = b"".join((*own, data))
            own.clear()
        return data
