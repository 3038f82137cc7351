"""
Outboxes whose frames are watched, for a short time.

Most outboxes never are, and a test for that in each of them would slow down all deliveries. So an outbox that is
watched gets another class, and its own class back afterwards. Fan-outs keep methods of outboxes, so only methods that
the outboxes themselves call are different.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dstwist.transports.outbox import Outbox
from dstwist.transports.tcp_outbox import TcpOutbox

#: Is called with frames that leave, or begin to wait for the client. Never raises.
Watch = Callable[[Sequence[bytes]], object]

_watches: dict[Outbox, Watch] = {}


class _Watched(Outbox):
    """
    An outbox that is watched.
    """

    __slots__ = ()

    def flush(self) -> None:
        self._share_no_more()
        if self._frames:
            self._relieve()

    def _relieve(self) -> None:
        if not self._shut:
            _watches[self](self._frames)
        super()._relieve()


class _WatchedTcp(_Watched, TcpOutbox):
    """
    The same for a socket.
    """

    __slots__ = ()


_CLASSES: dict[type[Outbox], type[Outbox]] = {Outbox: _Watched, TcpOutbox: _WatchedTcp}
_OWN = {watched: own for own, watched in _CLASSES.items()}


def watch(outbox: Outbox, callback: Watch) -> None:
    """
    Have C{callback} called with the frames of C{outbox} until L{unwatch}.
    """
    _watches[outbox] = callback
    outbox.__class__ = _CLASSES.get(type(outbox), type(outbox))


def unwatch(outbox: Outbox) -> None:
    """
    Undo L{watch}.
    """
    outbox.__class__ = _OWN.get(type(outbox), type(outbox))
    _watches.pop(outbox, None)
