"""
Frames that several clients are sent alike, queued once for all of them.

Most clients of an app are subscribed to the same names. When many events come in one turn, each of their outboxes would
get the same frames one by one, and join the same bytes. Instead they share them::

    publish(a), publish(b), ... --> frames a b c d ... <--share-- outbox of each subscriber
                                         |
                                         +--joined once--> sent by each outbox at the end of the turn

The subscribers of a name on one wire are its audience. Names with the same subscribers have the same audience, so
their frames can be shared in any order.

Always true: each outbox sends its frames in the order in which they were written. An outbox that is written a frame of
its own leaves those that share, with a copy of the list, and ends the sharing: later frames are not added. Nothing is
shared over the end of a turn, since an outbox that is flushed ends the sharing, too.

To begin and to end takes about as long as to write two frames to each outbox. So an audience begins when some frames
have been written one by one in the turn. If its last sharing was for many frames it begins at once, and if it was for
few it writes some one by one, each time twice as many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from weakref import ref

from dstwist.interfaces import Frame, IRequester

#: Fewer subscribers are written to one by one.
SHARED_FROM = 10

#: How many frames an outbox has to have in a turn before the next one is shared.
_PATIENCE = 4

#: How many frames are written one by one after a sharing that was not worth it. After each further one it is twice as
#: many, up to the second number.
_REST, _MOST_REST = 8, 1024

#: After so many frames for the same subscribers of a name their audience is looked for, which takes as long as a few.
_STEADY = 16

#: A sharing of fewer frames was not worth it, and one of so many was.
_FEW, _MANY = 8, 16

#: How many audiences are kept, and how many clients they may have together: each takes up to 100 bytes.
_MOST_AUDIENCES = 64
_MOST_CLIENTS = 1 << 16


class SharedFrames:
    """
    Frames that outboxes share.

    @ivar frames: in the order in which they were written.
    @ivar size: the bytes of all.
    @ivar is_open: whether further ones may be added.
    @ivar left_out: the requester among the audience that does not get them.
    """

    __slots__ = ("__weakref__", "_joined", "_limits", "frames", "is_open", "left_out", "size")

    def __init__(self, left_out: IRequester | None, frame: Frame) -> None:
        self.left_out = left_out
        self.frames = [frame]
        self.is_open = True
        self._joined: bytes | None = None
        self.size = len(frame)
        self._limits: list[tuple[int, Callable[[], None]]] = []

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.size += len(frame)
        for limit, exceeded in self._limits:
            if self.size > limit:
                exceeded()

    def limit(self, size: int, exceeded: Callable[[], None]) -> None:
        """
        Have C{exceeded} called when a frame is added, and all have more than C{size} bytes.
        """
        if (size, exceeded) not in self._limits:
            self._limits.append((size, exceeded))

    def joined(self) -> bytes:
        """
        All frames; this is the end of the sharing.
        """
        if self._joined is None:
            self.is_open = False
            self._joined = b"".join(self.frames)
        return self._joined


class ISharingOutbox(Protocol):
    """
    An outbox that can share frames, as those of all WebSockets can.

    @ivar queued: how many frames wait for the end of the turn.
    """

    @property
    def queued(self) -> int: ...

    def share(self, shared: SharedFrames, /) -> None:
        """
        Send the frames of C{shared}, and those that are added to them, behind all frames so far.
        """


class Members(dict[IRequester, Callable[[Frame], None]]):
    """
    The subscribers of one name on one wire, with the C{write} of their outboxes.

    @ivar audience: L{Audiences.of} for them; C{None} if that is not known.
    @ivar frames: how many frames were published since they have changed, as long as the audience is not known.
    """

    __slots__ = ("audience", "frames")

    def __init__(self) -> None:
        super().__init__()
        self.changed()

    def changed(self) -> None:
        """
        Others are members, or one of them writes in another way.
        """
        self.audience: Audience | None = None
        self.frames = 0


def _outbox(write: Callable[[Frame], None]) -> ISharingOutbox | None:
    outbox = getattr(write, "__self__", None)
    return outbox if hasattr(outbox, "share") else None


class Audience:
    """
    Subscribers of names, all on one wire.
    """

    __slots__ = ("_count", "_next_rest", "_patience", "_rest", "_shared")

    def __init__(self) -> None:
        # The outboxes keep it: when all have sent it, its frames are freed.
        self._shared: Callable[[], SharedFrames | None] = _nothing
        # How many frames were shared so far.
        self._count = 0
        self._patience = _PATIENCE
        # How many frames are written one by one before the next sharing, and how many after it if it is not worth it.
        self._rest = 0
        self._next_rest = _REST

    def take(self, frame: Frame, members: Members, left_out: IRequester | None) -> bool:
        """
        Queue C{frame} for all C{members}, who are this audience, but C{left_out}, if it can be shared.

        @return: whether it is queued.
        """
        if self._rest:
            self._rest -= 1
            return False
        shared = self._shared()
        if shared is not None and shared.is_open and shared.left_out is left_out:
            shared.add(frame)
            self._count += 1
            return True
        if self._count and not self._was_worth_it():
            return False
        for connection, write in reversed(members.items()):
            if connection is not left_out:
                if write.__self__.queued < self._patience:  # type: ignore[attr-defined]  # Audiences.of has looked
                    return False
                break
        shared = SharedFrames(left_out, frame)
        self._shared = ref(shared)
        self._count = 1
        for connection, write in members.items():
            if connection is not left_out:
                write.__self__.share(shared)  # type: ignore[attr-defined]
        return True

    def forget(self) -> None:
        """
        End the sharing.
        """
        self._shared = _nothing

    def _was_worth_it(self) -> bool:
        """
        Whether the sharing that has ended saved time.
        """
        count, self._count = self._count, 0
        self._shared = _nothing
        if count >= _FEW:
            self._patience = 0 if count >= _MANY else _PATIENCE
            self._next_rest = _REST
            return True
        self._patience = _PATIENCE
        self._rest = self._next_rest
        self._next_rest = min(2 * self._rest, _MOST_REST)
        return False


def _nothing() -> None:
    """
    In place of a reference to shared frames.
    """


class _Separate(Audience):
    """
    Subscribers of which some cannot share.
    """

    __slots__ = ()

    def take(self, frame: Frame, members: Members, left_out: IRequester | None) -> bool:
        return False


_separate = _Separate()


class Audiences:
    """
    Knows which names have the same audience.
    """

    def __init__(self) -> None:
        # By the identities of the subscribers, the oldest first. If a subscriber has gone, no name has that audience
        # any more, and a new object may have the identity: then it is the audience of the new one.
        self._known: dict[frozenset[int], Audience] = {}
        self._clients = 0

    def of(self, members: Members) -> Audience | None:
        """
        Before a frame for C{members}, whose audience is not known: find it, unless it does not matter yet.
        """
        members.frames += 1
        if members.frames < _STEADY:
            return None
        outbox = _outbox(next(reversed(members.values())))
        if outbox is not None and outbox.queued < _PATIENCE:
            return None
        audience = members.audience = self._find(members)
        return audience

    def _find(self, members: Members) -> Audience:
        if any(_outbox(write) is None for write in members.values()):
            return _separate
        key = frozenset(map(id, members))
        audience = self._known.get(key)
        if audience is not None:
            # Names with the same subscribers begin anew.
            audience.forget()
            return audience
        audience = Audience()
        size = len(key)
        if size <= _MOST_CLIENTS:
            while len(self._known) >= _MOST_AUDIENCES or self._clients + size > _MOST_CLIENTS:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._clients -= len(oldest)
            self._known[key] = audience
            self._clients += size
        return audience
