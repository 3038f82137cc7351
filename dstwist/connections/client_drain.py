"""
The drain of a node: its clients are sent away in small groups, before the node stops or while an operator works on it.

Clients that all come back at the same moment are a burst of work for the other nodes: each of them logs in, subscribes
and reads again. So a node can close its connections one group after the other::

    serving --begin(seconds)--> draining --no client left, time over, stop--> over
                                 every GROUP_SECONDS: a group is sent away

From L{ClientDrain.begin} on, new clients are refused, and the node is not ready. The groups are of the same size, up to
a client, and the last one is due when the time is over. Clients that leave by themselves make the groups smaller.

Always true: a node drains at most once. A drain cannot be taken back: new clients are refused until the node ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.log import OperatorLogger, labelled

#: The time between two groups, in seconds.
GROUP_SECONDS = 0.1

_log = OperatorLogger()


class ClientDrain:
    """
    Sends the clients of one node away.

    @param clients: gives the clients that are there. One that was sent away may be among them until it has gone.
    @param send_away: closes the connection of a client.
    @param refuse: refuses new clients from now on.
    @param label: the label of the node, for logs.
    @ivar has_begun: whether the clients are sent away, or have been.
    """

    def __init__(
        self,
        clients: Callable[[], Collection[Any]],
        send_away: Callable[[Any], object],
        refuse: Callable[[], object],
        clock: IReactorTime,
        label: str = "",
    ) -> None:
        self._clients = clients
        self._send_away = send_away
        self._refuse = refuse
        self._clock = clock
        self._label = label
        self.has_begun = False
        self._call: IDelayedCall | None = None
        # How many clients there were at the begin, and the groups: how many there are in all, and how many are left.
        self._count = 0
        self._groups = 0
        self._groups_left = 0
        # Clients that were sent away, and may not have gone.
        self._leaving: set[Any] = set()
        self._waiting: list[Deferred[None]] = []

    @property
    def state(self) -> str | None:
        """
        How far the drain is, in words; C{None} if it has not begun. Any client may see the text.
        """
        if not self.has_begun:
            return None
        if self._call is None:
            return "the server has sent its clients away"
        return f"the server sends its clients away, within {self._groups_left * GROUP_SECONDS:.0f} s"

    def begin(self, seconds: float) -> bool:
        """
        Send all clients away within C{seconds}. If a drain has begun before, nothing changes.

        @return: whether it begins now.
        """
        if self.has_begun:
            return False
        self.has_begun = True
        self._refuse()
        self._count = len(self._clients())
        with labelled(self._label):
            _log.info(
                "INFO | draining: {count} clients are sent away within {seconds:g} s",
                count=self._count,
                seconds=seconds,
                event="INFO",
            )
        if self._count:
            self._groups = self._groups_left = max(round(seconds / GROUP_SECONDS), 1)
            self._call = self._clock.callLater(min(GROUP_SECONDS, seconds), self._next_group)
        return True

    def over(self) -> Deferred[None]:
        """
        Fires when the drain is over, at once if none is under way. Each caller has a Deferred of its own, and may
        cancel it.
        """
        over: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(over)
        if self._call is None:
            self._end()
        return over

    def stop(self) -> None:
        """
        Send no more clients away.
        """
        if self._call is not None:
            self._call.cancel()
            self._end()

    def _next_group(self) -> None:
        self._groups_left -= 1
        clients = self._clients()
        self._leaving.intersection_update(clients)
        here = [client for client in clients if client not in self._leaving]
        # Rounded up, so that a few clients do not all leave in the first groups.
        staying = -(-self._count * self._groups_left // self._groups)
        group = here[staying:]
        self._leaving.update(group)
        for client in group:
            self._send_away(client)
        if len(group) < len(here):
            self._call = self._clock.callLater(GROUP_SECONDS, self._next_group)
        else:
            self._end()

    def _end(self) -> None:
        self._call = None
        self._leaving.clear()
        waiting, self._waiting = self._waiting, []
        for over in waiting:
            over.callback(None)
