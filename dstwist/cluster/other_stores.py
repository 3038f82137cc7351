"""
Finds nodes that have another store, although they have the same bus.

Nodes with one store are in one table, and only members of it send each other messages. So a node with another store
hears of none of the others, and takes clients, who see other records than those of the other nodes. But events, which
need no table, go from one to the other.

The first node that writes a table gives the store an I{identity}, a random text, which all later tables have
(L{Table.store<dstwist.cluster.table.Table.store>}). A replica that becomes the primary has it as well. If the store was
emptied, the nodes that run write the table anew, with the identity that they know.

All nodes subscribe to one subject. A node that starts publishes its identity there; each node with another one answers
with its own::

    [identity, node, whether it asks]

A starting node that is answered asks again, because its table may be that of a store that was emptied just now. If it
still has another store at the end of C{joinTimeout}, it does not start (L{dstwist.cluster.joining}).
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster.fields import flag, row, text
from dstwist.cluster.kinds import STORES
from dstwist.cluster.members import Membership
from dstwist.cluster.subjects import AllSubjects
from dstwist.log import Logger, shown
from dstwist.protocol.jsontext import dumps, loads

#: At most one answer is sent within this time, in seconds. All nodes that ask meanwhile get it.
ANSWER_PAUSE = 0.1

_is_notice = row(text, text, flag)


class OtherStores:
    """
    What one node knows of other stores.

    @ivar stranger: a node that has had another store since the last L{ask}.
    """

    _log = Logger()

    def __init__(self, membership: Membership, subjects: AllSubjects, clock: IReactorTime) -> None:
        self._membership = membership
        self._subjects = subjects.of_topic(STORES, self._received, _missed)
        self._clock = clock
        # An answer is about to be sent, or was sent just now; and whether another one has to follow.
        self._pause: IDelayedCall | None = None
        self._is_asked = False
        # Whether this node hears of others.
        self._is_ready = False
        self._stopped = False
        self.stranger: str | None = None

    def start(self) -> None:
        """
        Hear of other stores, from now until the subjects stop.
        """
        ready = self._subjects.want("")
        if ready is None:
            self._is_ready = True
        else:
            ready.addCallback(lambda ignored: self._ready())

    def ask(self) -> None:
        """
        Have nodes with another store answer.
        """
        self.stranger = None
        if self._is_ready:
            self._publish(True)

    def stop(self) -> None:
        """
        Answer no more.
        """
        self._stopped = True
        self._is_asked = False
        if self._pause is not None and self._pause.active():
            self._pause.cancel()

    def _ready(self) -> None:
        self._is_ready = True
        self._publish(True)

    def _answer(self) -> None:
        self._pause = None
        if self._is_asked:
            self._is_asked = False
            self._publish(False)
            self._pause = self._clock.callLater(ANSWER_PAUSE, self._answer)

    def _publish(self, asks: bool) -> None:
        membership = self._membership
        self._subjects.publish("", dumps([membership.table.store, membership.node, asks]))

    def _received(self, name: str, payload: bytes) -> None:
        notice = loads(payload)
        if not _is_notice(notice):
            raise ValueError("not the identity of a store")
        store, node, asks = notice
        own = self._membership.table.store
        # A table that was written by an earlier release has none.
        if not store or not own or store == own:
            return
        self.stranger = node
        self._log.warn(
            "CLUSTER | node {other} has another store than this node, and the same bus",
            other=shown(node),
            event="CLUSTER",
            once="another store",
        )
        if asks and not self._stopped:
            self._is_asked = True
            if self._pause is None:
                self._answer()


def _missed(name: str) -> None:
    """
    Notices that are missed count for nothing.
    """
