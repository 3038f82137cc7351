"""
A node of a simulated cluster, and its users.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dstwist.cluster.digest import State
from dstwist.cluster.directory import Directory
from dstwist.cluster.kinds import EXACT
from dstwist.cluster.members import Membership
from dstwist.cluster.messages import Item
from dstwist.cluster.peers import Peers
from tests.cluster.simulation import checks
from tests.cluster.simulation.engines import SimTable
from tests.cluster.simulation.plan import PROCEDURE, USER
from tests.cluster.simulation.records import Records
from tests.cluster.simulation.time import NodeClock

if TYPE_CHECKING:
    from tests.cluster.simulation.world import World


@dataclass
class User:
    """
    A user, who is connected to at most one node at a time.

    @ivar left: when the last connection ended.
    @ivar long_away: when the user was last away for the grace time.
    """

    name: str
    node: Node | None = None
    left: float = -100.0
    long_away: float = 0.0
    hosts: list[Node] = field(default_factory=list)


class StrictPeers(Peers):
    """
    Messages of one node. A message that cannot be handled ends the history.
    """

    def _handle(self, sender: str, item: Item) -> None:
        self._handlers[item[0]](sender, *item[1:])


class Node:
    """
    One node, made of product code, and the clients it has.

    @ivar told: the users that its clients were told are online.
    @ivar stops: it stops in order, and takes no more clients.
    @ivar trouble: until when its clients may be told something wrong.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.clock = NodeClock(world.time)
        self.bus = world.network.bus()
        world.network.clocks[self.bus] = self.clock
        self.trouble = world.time.now
        self.stops = False
        self.told: set[str] = set()
        self.procedures: set[str] = set()
        self.watched: set[str] = set()
        rng = random.Random(world.random.random())
        self.table = SimTable(world.engine, self.clock)
        self.membership = Membership(name, "1.0", self.table, self.bus, self.clock, world.settings, rng)
        self.peers = StrictPeers(name, self.membership, self.bus, self.clock, world.settings)
        self.directory = Directory(self.membership, self.peers, self.clock, world.settings, EXACT, rng)
        self.directory.on_told(USER, self.on_told)
        self.joined_as = self.membership.node
        self.membership.observe(self.on_membership)
        self.bus.start()
        if world.network.away:
            self.bus.disconnect()
        self.directory.watch_all(USER)
        self.membership.start()
        self.directory.start()
        self.records = Records(world, self, world.joins)

    @property
    def awake(self) -> bool:
        return not self.clock.dead and not self.stops and self.clock.sleeps_until <= self.world.time.now

    def on_membership(self) -> None:
        if self.membership.node != self.joined_as:
            self.joined_as = self.membership.node
            checks.check_death(self.world, self)
            self.trouble = self.world.time.now

    def on_told(self, name: str, state: State) -> None:
        online, _ = state
        if online == (name in self.told):
            return
        if online:
            self.told.add(name)
        else:
            self.told.discard(name)
            checks.check_leave(self.world, self, name)

    def hold(self, name: str, on: bool) -> None:
        (self.procedures.add if on else self.procedures.discard)(name)
        (self.directory.hold if on else self.directory.release)(PROCEDURE, name)

    def watch(self, name: str, on: bool) -> None:
        (self.watched.add if on else self.watched.discard)(name)
        (self.directory.watch if on else self.directory.unwatch)(PROCEDURE, name)

    def die(self) -> None:
        self.clock.dead = True
        self.trouble = self.world.time.now
        self.bus.stop()
