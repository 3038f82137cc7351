"""
How the reactor asks the system for events, and serves them.

The epoll reactor of Twisted takes all events that are ready. Each costs 20 microseconds and more, even if the work
itself waits for a later turn: three thousand clients that leave at the same time take 60 ms. So one turn serves a
limited number. The kernel gives the rest of the events in the next turns. Its queue of ready sockets is fair, so a busy
client does not delay the others.

It also finds out for each event what the log should call the party that it serves, which takes a tenth of the time of
one message to one client. No line of this server's log shows that, so it is left out.

Other reactors are left as they are.
"""

from __future__ import annotations

from typing import Any

from dstwist.log import Logger

#: The most events that are served in one turn. They take 5 to 8 ms if all of them are closed connections.
MAX_EVENTS_PER_TURN = 256


class Polling:
    """
    The turns of a reactor that uses epoll.
    """

    _log = Logger()

    def __init__(self, reactor: Any, most: int = MAX_EVENTS_PER_TURN) -> None:
        self._poll = reactor._poller.poll
        self._selectables = reactor._selectables
        self._serve = reactor._doReadOrWrite
        self._most = most

    def turn(self, timeout: float | None) -> None:
        """
        Wait for events, and serve those that are there.

        @param timeout: how long to wait for the first, in seconds; C{None}: without a limit.
        """
        selectables = self._selectables
        events = self._poll(-1 if timeout is None else timeout, min(len(selectables), self._most))
        for descriptor, event in events:
            # An earlier event may have ended this one's party.
            party = selectables.get(descriptor)
            if party is not None:
                try:
                    self._serve(party, descriptor, event)
                except Exception:
                    self._log.failure("serving an event failed")


def light_polls(reactor: Any) -> bool:
    """
    Make C{reactor} serve at most L{MAX_EVENTS_PER_TURN} events in one turn, each with little ado.

    @return: false if this is not known to work with the reactor.
    """
    try:
        from twisted.internet.epollreactor import EPollReactor
    except ImportError:  # no epoll on this system
        return False
    # A subclass may use its poller in another way.
    if type(reactor) is not EPollReactor or not hasattr(reactor, "_poller"):
        return False
    reactor.doIteration = Polling(reactor).turn  # type: ignore[method-assign]
    return True
