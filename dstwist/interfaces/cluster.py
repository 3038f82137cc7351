"""
Other nodes: the bus that carries messages between them, and the table that decides which nodes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from dstwist.counters.histogram import Histogram
from dstwist.interfaces.lifecycle import ILifecycle


class IBus(ILifecycle):
    """
    Carries bytes between nodes. There are two ways: a I{subject} is a name to which any number of nodes subscribe, and
    an I{address} is that of one node.

    A payload arrives at most once; it may get lost. The payloads of one sender arrive in the order in which they were
    sent, whatever their subjects and addresses. A node that publishes under a subject to which it subscribes gets its
    own payload as well.

    The bus is I{lost} when its engine cannot be reached, or does not answer a probe. All its subscriptions have ended
    then: the caller subscribes anew when the bus is I{back}. While it is lost, a payload is dropped, or kept for a
    short time.
    """

    is_lost: bool = Attribute("Whether the bus is lost. It is before it has started.")

    dropped: int = Attribute("How many payloads were not sent, or may not have been.")

    round_trips: Histogram | None = Attribute(
        "How long it took until probes of the engine came back; C{None} if the bus sends none."
    )

    def publish(subject: str, payload: bytes) -> None:
        """
        Send C{payload} to all nodes that subscribe to C{subject}.
        """

    def subscribe(subject: str, received: Callable[[bytes], object]) -> Deferred[None]:
        """
        Call C{received} with each payload that is published under C{subject}. The caller does not subscribe twice, and
        waits for the end of an L{unsubscribe}.

        @return: fires when the subscription is in force: payloads that are published from then on arrive. If the bus is
            lost before that, it never fires.
        """

    def unsubscribe(subject: str) -> Deferred[None]:
        """
        End the subscription, which is in force.

        @return: fires when it has ended. If the bus is lost before that, it never fires.
        """

    def send(address: str, payload: bytes) -> None:
        """
        Send C{payload} to the node with C{address}, if there is one.
        """

    def listen(address: str, received: Callable[[bytes], object]) -> None:
        """
        Call C{received} with each payload that is sent to C{address}, whenever the bus is not lost. Called once, before
        the start.
        """

    def observe(lost: Callable[[], object], back: Callable[[], object]) -> None:
        """
        Call C{lost} and C{back}, in turns, when the bus is lost and when it is back. Called before the start.
        """


class IClusterTableHost(Interface):
    """
    A shared store that keeps the table of the nodes that share it.
    """

    def cluster_table() -> IClusterTable:
        """
        The table. It is used between the start and the stop of the store.
        """


class TableReading(NamedTuple):
    """
    The contents of an L{IClusterTable} at one moment.

    @ivar document: the table; C{None} if there is none.
    @ivar leases: the last lease of each node.
    """

    document: bytes | None
    leases: dict[str, bytes]


class IClusterTable(Interface):
    """
    One small document that all nodes share, and one lease of each node. A shared store keeps them.

    Each operation is atomic for all nodes. If its Deferred fails with L{dstwist.errors.StoreError}, or does not fire,
    it may have taken effect, and may take effect later.
    """

    def renew(node: str, lease: bytes) -> Deferred[TableReading]:
        """
        Write the lease of C{node}, and read everything, in one operation.
        """

    def replace(
        expected: bytes | None, document: bytes, forget: Mapping[str, bytes | None] = MappingProxyType({})
    ) -> Deferred[bool]:
        """
        Put C{document} in place of the document C{expected}; C{None}: of none. The whole documents are compared, so
        that an operation which is executed late does no harm.

        @param forget: nodes whose leases are removed with that, and the lease that each must have; C{None}: none. If
            one of them has another lease, nothing is replaced: that node lives.
        @return: whether the document was replaced.
        """
