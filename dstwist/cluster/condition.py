"""
Whether the nodes of a cluster are well, as one of them knows it.

A node reads the leases of all nodes when it renews its own. So while its renewals fail, it knows nothing about the
others:

===================================  ===========  =========================
the node that looks                  it is        the others are
===================================  ===========  =========================
renews its lease                     well         as their leases say
renews its lease, has lost its bus   not well     as their leases say
does not renew its lease             not well     not known
===================================  ===========  =========================
"""

from __future__ import annotations

from typing import NamedTuple

from dstwist.cluster.leases import MAX_GAP_INTERVALS
from dstwist.cluster.node import ClusterNode


class Condition(NamedTuple):
    """
    How a node is.

    @ivar well: C{None} if that is not known.
    @ivar problem: why it is not well, or not known to be.
    """

    well: bool | None
    problem: str | None = None


_WELL = Condition(True)


def condition_of(cluster: ClusterNode, node: str) -> Condition:
    """
    How C{node} is.
    """
    membership = cluster.membership
    longest = MAX_GAP_INTERVALS * cluster.settings.lease_interval
    age = membership.lease_age
    is_late = age is None or age > longest
    since = "it has no lease" if age is None else f"its lease was renewed {age:.1f} s ago"
    if node == membership.node:
        problems = [since] if is_late else []
        if cluster.bus.is_lost:
            problems.append("its bus is lost")
        return Condition(False, "; ".join(problems)) if problems else _WELL
    if is_late:
        return Condition(None, "this node has read no leases" if age is None else f"leases were read {age:.1f} s ago")
    stands = membership.lease_stands(node)
    if stands > longest:
        return Condition(False, f"its lease was renewed {stands:.1f} s ago")
    if not membership.bus_works(node):
        return Condition(False, "its bus is lost")
    return _WELL if membership.seems_well(node) else Condition(None, "its lease was read only once")
