"""
Tests for L{dstwist.cluster.directory}.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryNetwork
from dstwist.cluster.digest import GONE, State
from dstwist.cluster.directory import Directory
from dstwist.cluster.holdings import Holdings
from dstwist.cluster.members import Membership
from dstwist.cluster.messages import Envelope, Item, encode
from dstwist.cluster.owned import OwnedPartition
from dstwist.cluster.peers import Peers
from dstwist.cluster.table import partition_of
from dstwist.cluster.table_memory import MemoryTable
from dstwist.config.cluster import ClusterSettings
from dstwist.scheduling.turns import TIME_SLICE
from tests.cluster.simulation.time import BusyTime

SETTINGS = ClusterSettings(partitions=4, grace={"u": 2.0})

THERE: State = (True, ())


class Member:
    """
    One node of a test.
    """

    def __init__(self, tests: DirectoryTests, name: str) -> None:
        self.told: list[tuple[str, State]] = []
        self.bus = tests.network.bus()
        rng = random.Random(len(name))
        self.membership = Membership(name, "1.0", tests.store, self.bus, tests.clock, SETTINGS, rng)
        self.peers = Peers(name, self.membership, self.bus, tests.clock, SETTINGS)
        self.directory = Directory(self.membership, self.peers, tests.clock, SETTINGS, ("p",), rng)
        for kind in "up":
            self.directory.on_told(kind, lambda name, state: self.told.append((name, state)))
        self.bus.start()
        self.membership.start()
        self.directory.start()

    def stop(self) -> None:
        self.membership.stop()
        self.directory.stop()
        self.peers.stop()


class DirectoryTests(SynchronousTestCase):
    """
    L{Directory} on three nodes, on a bus and a table that do not fail. The simulation
    (L{tests.cluster.test_simulation}) has the failures.
    """

    def setUp(self) -> None:
        self.clock = BusyTime()
        self.network = MemoryNetwork(self.clock)
        self.store = MemoryTable()
        self.ann, self.bob, self.cat = (Member(self, name) for name in ("ann", "bobby", "catherine"))
        self.wait(8)

    def wait(self, seconds: float) -> None:
        self.clock.run(self.clock.now + seconds)

    def test_presence(self) -> None:
        """
        A node that watches all names of a kind is told of each that comes, at once, and goes, after the grace time.
        """
        self.ann.directory.watch_all("u")
        self.wait(0.1)
        for name in "abcdef":
            self.bob.directory.hold("u", name)
        self.wait(0.1)
        self.assertEqual(sorted(self.ann.told), [(name, THERE) for name in "abcdef"])
        self.assertEqual(sorted(self.ann.directory.known("u")), list("abcdef"))
        self.ann.told.clear()
        for name in "abc":
            self.bob.directory.release("u", name)
        self.wait(1.9)
        self.assertEqual(self.ann.told, [])
        self.wait(1.6)
        self.assertEqual(sorted(self.ann.told), [(name, GONE) for name in "abc"])

    def count_turns(self) -> list[int]:
        """
        The number of names that owners tell in each turn from now on.
        """
        turns: list[int] = []
        turn, decide = Directory._decide, OwnedPartition.decide

        def counted(partition: OwnedPartition, most: int) -> int:
            count = decide(partition, most)
            turns[-1] += count
            return count

        def counting(directory: Directory) -> None:
            turns.append(0)
            turn(directory)

        self.patch(Directory, "_decide", counting)
        self.patch(OwnedPartition, "decide", counted)
        return turns

    def test_very_many(self) -> None:
        """
        An owner tells very many names over several turns, also if clients have chosen names that are all in one
        partition.
        """
        most = SETTINGS.names_per_item
        spread = [f"user{number}" for number in range(4 * most)]
        crowded = [name for name in (f"u{number}" for number in range(20 * most)) if partition_of(name, 4) == 2]
        names = [*spread, *crowded[: 3 * most]]
        for name in names:
            self.bob.directory.hold("u", name)
        self.wait(1)
        turns = self.count_turns()
        self.ann.directory.watch_all("u")
        self.wait(0.2)
        self.assertEqual(sorted(name for name, _ in self.ann.told), sorted(names))
        # The end of the kind, in each partition.
        self.assertLessEqual(max(turns), most + 4)

    def most(self, owner: type, method: str, calls: int, begin: Callable[[], object] = lambda: None) -> int:
        """
        Call C{begin}, and let time pass until C{method} was called C{calls} times. Everything takes long.

        @return: how often it was called in one turn at most.
        """
        count = 0
        called = getattr(owner, method)

        def counted(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            return called(*arguments)

        self.patch(owner, method, counted)
        self.clock.tick = TIME_SLICE / 4
        begin()
        most, total, count = count, count, 0
        while total < calls:
            self.clock.run_next()
            most, total, count = max(most, count), total + count, 0
        self.clock.tick = 0.0
        return most

    def test_dead(self) -> None:
        """
        What a dead node had is removed over several turns.
        """
        for number in range(100):
            self.bob.directory.hold("u", f"user{number}")
        self.wait(1)
        self.bob.stop()
        self.bob.bus.stop()
        self.assertLess(self.most(OwnedPartition, "_remove", 40), 8)
        self.wait(5)
        self.assertEqual(self.ann.directory.absences()[0] + self.cat.directory.absences()[0], 0)

    def test_wholes(self) -> None:
        """
        A node that is asked for many partitions at once sends them over several turns.
        """
        ann, token = self.ann.directory, self.ann.membership.assignments[0].token

        def ask() -> None:
            for number in range(40):
                ann._asked(f"n{number}", [[0, token]])

        self.assertLess(self.most(Holdings, "asked", 40, ask), 8)

    def test_wholes_of_owner(self) -> None:
        """
        So does an owner.
        """
        ann, bob = self.ann.directory, self.bob.membership.node
        partition = next(iter(ann._owned.values()))
        self.patch(ann, "_partition", lambda *place: partition)

        def ask() -> None:
            for number in range(40):
                ann._unequal(bob, number, 1)

        self.assertLess(self.most(OwnedPartition, "send_all", 40, ask), 8)

    def test_asked_twice(self) -> None:
        """
        A node that is asked for a partition again, before it has sent it, sends it once. An owner does the same.
        """
        ann, bob = self.ann.directory, self.bob.membership.node
        asked: list[Any] = []
        self.patch(Holdings, "asked", lambda holdings, *place: asked.append(place))
        self.patch(OwnedPartition, "send_all", lambda partition, node: asked.append((node, partition.number)))
        number, (_, token) = next(
            (number, each)
            for number, each in enumerate(self.ann.membership.assignments)
            if each.owner == self.ann.membership.node
        )
        ann._serving = True
        for _ in range(3):
            ann._asked(bob, [[0, 1], [1, 1]])
            ann._unequal(bob, number, token)
        for _ in ann._work():
            pass
        self.assertEqual(asked, [(bob, 0, 1), (bob, 1, 1), (bob, number)])

    def test_repeats(self) -> None:
        """
        The digests of the partitions of an owner are sent over several turns, if that takes long.
        """
        for member in (self.bob, self.cat):
            member.stop()
            member.bus.stop()
        self.wait(12)
        self.assertTrue(all(map(self.ann.membership.owns, range(SETTINGS.partitions))))
        self.assertLess(self.most(OwnedPartition, "ask", 20), SETTINGS.partitions)

    def test_moved(self) -> None:
        """
        A name that moves to another node within the grace time is there all the time.
        """
        self.ann.directory.watch_all("u")
        self.bob.directory.hold("u", "a")
        self.wait(0.1)
        self.bob.directory.release("u", "a")
        self.wait(1.5)
        self.cat.directory.hold("u", "a")
        self.wait(10)
        self.assertEqual(self.ann.told, [("a", THERE)])

    def test_holders(self) -> None:
        """
        A node that watches a procedure is told which nodes provide it, and that none does.
        """
        self.ann.directory.watch("p", "x")
        self.assertIsNone(self.ann.directory.state("p", "x"))
        self.wait(0.1)
        self.assertEqual(self.ann.directory.state("p", "x"), GONE)
        self.bob.directory.hold("p", "x")
        self.cat.directory.hold("p", "x")
        self.wait(0.1)
        nodes = tuple(sorted((self.bob.membership.node, self.cat.membership.node)))
        self.assertEqual(self.ann.directory.state("p", "x"), (True, nodes))
        self.bob.directory.release("p", "x")
        self.wait(0.1)
        self.assertEqual(self.ann.directory.state("p", "x"), (True, (self.cat.membership.node,)))
        self.cat.directory.release("p", "x")
        self.wait(1.5)
        self.assertEqual(self.ann.directory.state("p", "x"), GONE)

    def test_death(self) -> None:
        """
        The names of a node that dies are gone when the others have found it dead, and the grace time is over. The names
        of other nodes are there all the time, although partitions move.
        """
        self.ann.directory.watch_all("u")
        for name in "abcd":
            self.bob.directory.hold("u", name)
            self.cat.directory.hold("u", name.upper())
        self.wait(1)
        self.ann.told.clear()
        self.bob.stop()
        self.bob.bus.stop()
        self.wait(7)
        self.assertEqual(self.ann.told, [])
        self.wait(6)
        self.assertEqual(sorted(self.ann.told), [(name, GONE) for name in "abcd"])

    def test_orderly_stop(self) -> None:
        """
        Nothing is announced because partitions are handed over.
        """
        self.ann.directory.watch_all("u")
        for name in "abcd":
            self.cat.directory.hold("u", name)
        self.wait(1)
        self.ann.told.clear()
        self.bob.membership.hand_over()
        self.wait(2)
        self.bob.membership.leave()
        self.wait(10)
        self.assertEqual(self.ann.told, [])
        self.assertEqual(sorted(self.ann.directory.known("u")), list("abcd"))

    def test_owner_observes(self) -> None:
        """
        One node, which owns the partition of a name, is told of the holders of the name as each kind; another one, when
        the first has died.
        """
        told: dict[str, set[tuple[str, str, tuple[str, ...]]]] = {}
        for member in (self.ann, self.bob, self.cat):
            for kind in "uv":
                member.directory.observe_owned(
                    kind,
                    lambda partition, name, owner=member, kind=kind: told.setdefault(name, set()).add(  # type: ignore[misc]
                        (owner.membership.node, kind, tuple(partition.holders(kind + name)))
                    ),
                )
        holder, dead = self.bob.membership.node, self.cat.membership.node
        for name in "abcdefgh":
            self.bob.directory.hold("u", name)
            self.bob.directory.hold("v", name)
        self.wait(0.5)
        owners = {name: next(iter(rows))[0] for name, rows in told.items()}
        self.assertEqual(
            told, {name: {(owners[name], "u", (holder,)), (owners[name], "v", (holder,))} for name in "abcdefgh"}
        )
        told.clear()
        self.cat.stop()
        self.cat.bus.stop()
        self.wait(10)
        self.assertIn(dead, owners.values())
        self.assertEqual(sorted(told), sorted(name for name, owner in owners.items() if owner == dead))
        self.assertEqual({holders for rows in told.values() for _, _, holders in rows}, {(holder,)})

    def test_joins(self) -> None:
        """
        A node that joins is told what is there.
        """
        self.bob.directory.hold("u", "a")
        self.wait(1)
        dan = Member(self, "dan")
        dan.directory.watch_all("u")
        self.wait(3)
        self.assertEqual(dan.told, [("a", THERE)])

    def test_alone(self) -> None:
        """
        A node that is alone is its own owner.
        """
        for member in (self.bob, self.cat):
            member.stop()
        self.wait(10)
        self.ann.directory.watch_all("u")
        self.ann.directory.hold("u", "a")
        self.wait(0.1)
        self.ann.directory.release("u", "a")
        self.wait(5)
        self.assertEqual(self.ann.told, [("a", THERE), ("a", GONE)])

    def test_found_dead(self) -> None:
        """
        A node that was found dead, and lives, reports all that it holds; nothing is announced.
        """
        self.ann.directory.watch_all("u")
        for name in "abcd":
            self.bob.directory.hold("u", name)
        self.wait(1)
        table = self.ann.membership.table
        others = {node: member for node, member in table.members.items() if node != self.bob.membership.node}
        table = table.planned(table.version + 1, others, others)
        self.store.document = table.encode().replace(
            b'"version":%d' % table.version, b'"version":%d' % (table.version + 1)
        )
        self.ann.told.clear()
        self.wait(10)
        self.assertEqual(len(self.ann.membership.members), 3)
        self.assertEqual(self.ann.told, [])

    def test_no_such_partition(self) -> None:
        """
        A message about a partition that does not exist is dropped.
        """
        items: list[Item] = [
            ["report", 9, 1, ["hua"], []],
            ["digests", [[9, 1, 0, 0]]],
            ["ask", [[9, 1]]],
            ["question", 9, 1, 1, ["ua"]],
            ["states", 9, 1, [["ua", 1, []]]],
            ["all", 9, 1, 0, 1, []],
            ["sums", [[9, 1, 0, 0]]],
            ["unequal", 9, 1],
        ]
        sender, receiver = self.bob.membership.node, self.ann.membership.node
        self.bob.bus.send("ann", encode(Envelope(sender, receiver, 10**6, items)))
        self.wait(1)
        self.assertEqual(self.ann.told, [])
