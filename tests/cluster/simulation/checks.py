"""
What must be true in every history.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dstwist.cluster.digest import GONE
from dstwist.cluster.record_news import MISSING
from tests.cluster.simulation.plan import GRACE, PROCEDURE, USER

if TYPE_CHECKING:
    from tests.cluster.simulation.node import Node
    from tests.cluster.simulation.world import World

#: For how long after a fault a node may tell something wrong.
TROUBLE_SECONDS = 8.0

#: For how long after an outage of the store a node may be found dead whose renewals get lost, or that could not renew
#: its lease between two outages: together they may last longer than a lease.
LEASE_TROUBLE_SECONDS = 3.0

#: For how long after a user is back a node may tell that the user is gone, who was away for long.
#: This is so while the bus carries; otherwise it takes as much longer.
LATE_SECONDS = 3.5


def watch_deciders(world: World) -> None:
    """
    At most one node decides about a partition.
    """
    if world.time.now > max(world.gone_back, world.suspended) + TROUBLE_SECONDS:
        for number in range(world.settings.partitions):
            deciders = [
                n for n in world.living if n.clock.sleeps_until <= world.time.now and n.membership.may_decide(number)
            ]
            if len(deciders) > 1:
                world.wrong["two nodes may decide about a partition"] += 1
    if world.time.now < world.plan.seconds + world.plan.rest:
        world.time.callLater(0.1, lambda: watch_deciders(world))


def check_death(world: World, node: Node) -> None:
    """
    A node finds that it was found dead.
    """
    now, back = world.time.now, world.store_was_back
    if now - back < LEASE_TROUBLE_SECONDS:
        outages = [began for began in world.outages if now - began < LEASE_TROUBLE_SECONDS]
        if len(outages) > 1 or any(back <= began < now - 0.1 for began in node.table.unanswered):
            return
    if world.time.now - node.trouble > TROUBLE_SECONDS and max(world.plan.late, world.plan.late_tables) < 0.1:
        world.wrong["a node that was well was found dead"] += 1


def check_leave(world: World, node: Node, name: str) -> None:
    """
    A node has told its clients that a user is gone.
    """
    now = world.time.now
    user = next(user for user in world.users if user.name == name)
    # A user whose node has died is away since then.
    dead = user.node is not None and user.node.clock.dead
    left = user.node.trouble if user.node is not None and dead else user.left
    if (user.node is None or dead) and now - left >= GRACE:
        return
    late = LATE_SECONDS if now - world.bus_trouble > LATE_SECONDS else LATE_SECONDS + TROUBLE_SECONDS
    if now - user.long_away < late or now - world.gone_back < TROUBLE_SECONDS:
        return
    if now - world.suspended < TROUBLE_SECONDS:
        return  # the owner may be a node whose clock stood still: it knows no member that has joined meanwhile
    hosts = user.hosts[-4:]
    if all(now - each.trouble > TROUBLE_SECONDS for each in (node, *hosts)):
        world.wrong["told of the leave of a user who was away for less than the grace time"] += 1


def check_records(world: World) -> None:
    log = world.arbiter.log
    kept = Counter(entry.token for entries in log.values() for entry in entries)
    taken = Counter(entry.token for entries in world.arbiter.ever.values() for entry in entries)
    for token, outcome in world.outcomes.items():
        if outcome is True and kept[token] != 1 and token not in world.arbiter.lost:
            world.wrong["an acknowledged write is not in the history once"] += 1
        if outcome is False and taken[token]:
            world.wrong["a refused write is in the history"] += 1
        if world.settled.get(token, taken[token]) != bool(taken[token]):
            world.wrong["a write took effect after its outcome was settled"] += 1
        if taken[token] > 1:
            world.wrong["a write is in the history more than once"] += 1
    if world.arbiter.mixed:
        world.wrong["a path was changed in another record than that of the store"] += world.arbiter.mixed
    for node in world.living:
        if node.records.tiers.unresolved:
            world.wrong["at rest: a record is unresolved"] += 1
        for subscriber in node.records.subscribers:
            for name, believed in subscriber.believed.items():
                record = world.arbiter.records.get(name)
                if believed != ((MISSING, {}) if record is None else (record.version, record.data)):
                    world.wrong["at rest: a subscriber has another record than the arbiter"] += 1


def check_rest(world: World) -> None:
    living = world.living
    if len({node.membership.table.encode() for node in living}) > 1:
        world.wrong["at rest: tables differ"] += 1
    members = {node.membership.node for node in living}
    if any(set(node.membership.members) != members for node in living):
        world.wrong["at rest: the members are not the living nodes"] += 1
    for number in range(world.settings.partitions):
        if sum(node.membership.may_decide(number) for node in living) != 1:
            world.wrong["at rest: a partition without an owner"] += 1
    loads = [sum(map(node.membership.owns, range(world.settings.partitions))) for node in living]
    if max(loads) - min(loads) > 1:
        world.wrong["at rest: partitions are not even"] += 1
    check_records(world)
    online = {user.name for user in world.users if user.node is not None and not user.node.clock.dead}
    for node in living:
        if online - node.told:
            world.wrong["at rest: a user who is there is thought away"] += 1
        if node.told - online:
            world.wrong["at rest: a user who is away is thought there"] += 1
        if set(node.directory.known(USER)) != node.told:
            world.wrong["at rest: clients were told something else"] += 1
        for name in node.watched:
            holders = tuple(sorted(n.membership.node for n in living if name in n.procedures))
            if node.directory.state(PROCEDURE, name) != ((True, holders) if holders else GONE):
                world.wrong["at rest: wrong holders of a procedure"] += 1
