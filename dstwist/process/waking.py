"""
Lets other threads wake the reactor at a lower cost.

The epoll reactor of Twisted is woken through a pipe. An event counter of the kernel (C{eventfd}) does the same. Both
need one system call to wake and one to be read, but those of a counter are cheaper: no byte is copied, and no buffer is
made to read into. A write to a store with a thread of its own wakes the reactor once, which was a tenth of its time.

Other reactors are left as they are.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReadDescriptor)
class CounterWaker:
    """
    A counter that any thread can increase. The reactor waits for it, as it waits for its sockets.
    """

    #: Twisted looks at this before it closes a descriptor.
    disconnected = 0

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def wakeUp(self) -> None:
        """
        Wake the reactor. Any thread can call this.
        """
        os.eventfd_write(self._descriptor, 1)

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "waker"

    def doRead(self) -> None:
        try:
            os.eventfd_read(self._descriptor)
        except BlockingIOError:
            pass  # It was read already. The reactor would give up a descriptor that raises an exception.

    def connectionLost(self, reason: Failure | None) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def light_wakes(reactor: Any) -> bool:
    """
    Make C{reactor} wait for a L{CounterWaker} in place of its pipe. No thread may wake it meanwhile.

    @return: false if this is not known to work with the reactor, or was done before.
    """
    try:
        from twisted.internet.epollreactor import EPollReactor
    except ImportError:  # no epoll on this system
        return False
    # A subclass may be woken in another way.
    if type(reactor) is not EPollReactor or isinstance(reactor.waker, CounterWaker):
        return False
    try:
        waker = CounterWaker()
    except (AttributeError, OSError):  # no C{eventfd} in Python or on this system
        return False
    pipe, reactor.waker = reactor.waker, waker
    # Internal readers stay when the others are removed.
    reactor._internalReaders.add(waker)
    reactor.addReader(waker)
    if pipe is not None:
        reactor._internalReaders.discard(pipe)
        reactor.removeReader(pipe)
        pipe.connectionLost(None)
    return True
