"""
Limits the number of events that the reactor serves in one turn.

The epoll reactor of Twisted takes all events that are ready. Each costs 20 microseconds and more, even if the work
itself waits for a later turn: three thousand clients that leave at the same time take 60 ms. The kernel gives the rest
of the events in the next turns. Its queue of ready sockets is fair, so a busy client does not delay the others.

Other reactors are left as they are.
"""

from __future__ import annotations

from typing import Any

#: The most events that are served in one turn. They take 5 to 8 ms if all of them are closed connections.
MAX_EVENTS_PER_TURN = 256


class BoundedPoller:
    """
    An epoll object that returns few events at a time.

    @param poller: the object itself.
    """

    def __init__(self, poller: Any, most: int = MAX_EVENTS_PER_TURN) -> None:
        self._poller = poller
        # Two of these are called for many messages: they are not wrapped.
        self.register = poller.register
        self.modify = poller.modify
        self.unregister = poller.unregister
        ask = poller.poll

        def poll(timeout: float, events: int) -> list[tuple[int, int]]:
            found: list[tuple[int, int]] = ask(timeout, events if events < most else most)
            return found

        self.poll = poll

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)


def bound_polls(reactor: Any) -> bool:
    """
    Make C{reactor} serve at most L{MAX_EVENTS_PER_TURN} events in one turn.

    @return: false if this is not known to work with the reactor.
    """
    try:
        from twisted.internet.epollreactor import EPollReactor
    except ImportError:  # no epoll on this system
        return False
    # A subclass may use its poller in another way.
    if type(reactor) is not EPollReactor or not hasattr(reactor, "_poller"):
        return False
    reactor._poller = BoundedPoller(reactor._poller)
    return True
