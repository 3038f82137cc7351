"""
The parts of a node that count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dstwist.api.figures import Figures
from dstwist.cluster.node import ClusterNode
from dstwist.connections.endpoint import EndpointContext
from dstwist.connections.request_logins import RequestLogins
from dstwist.counters.log_lines import LineCounts
from dstwist.figures.reactor_lag import ReactorLag
from dstwist.http_api.charges import Charges
from dstwist.interfaces import IPermission
from dstwist.limits.admission import Admission
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.permission.denials import Denials
from dstwist.routing.router import Router
from dstwist.scheduling.turns import Turns
from dstwist.services.topics import Topics
from dstwist.store.tiers import TieredStore
from dstwist.transports.incoming import Incoming


@dataclass(frozen=True)
class NodeParts:
    """
    The parts of one node.

    @ivar summary: gives the numbers of connections, users and so on.
    @ivar not_ready: gives the reason why clients should use another node; C{None} if there is no reason.
    @ivar cluster: C{None}: there is only this node.
    """

    summary: Callable[[], Figures]
    not_ready: Callable[[], str | None]
    turns: Turns
    admission: Admission
    endpoints: Sequence[EndpointContext]
    request_logins: RequestLogins
    router: Router
    denials: Denials
    permission: IPermission
    topics: Topics
    tiers: TieredStore
    outgoing: OutgoingBytes
    incoming: Incoming
    charges: Charges
    lines: LineCounts
    lag: ReactorLag
    cluster: ClusterNode | None
