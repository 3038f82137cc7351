"""
Tests for L{dstwist.cluster.peers}.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster import fields
from dstwist.cluster.bus_memory import MemoryBus, MemoryNetwork
from dstwist.cluster.fields import MAX_STEP
from dstwist.cluster.members import Membership
from dstwist.cluster.messages import Envelope, Item, encode
from dstwist.cluster.peers import Peers
from dstwist.cluster.slices import CHARACTERS_PER_MESSAGE
from dstwist.cluster.table_memory import MemoryTable
from dstwist.cluster.waiting_items import size_of
from dstwist.config.cluster import ClusterSettings
from tests.fakes import BusyClock
from tests.logs import Lines

SETTINGS = ClusterSettings(partitions=2, items_per_turn=2, names_per_item=4, max_waiting_bytes=2**21)


class PeersTests(SynchronousTestCase):
    """
    L{Peers}.
    """

    def setUp(self) -> None:
        self.lines = Lines(self)
        self.clock = BusyClock()
        self.network = MemoryNetwork(self.clock)
        self.store = MemoryTable()
        self.got: dict[str, list[tuple[str, Item]]] = {"ann": [], "bob": []}
        self.ann, self.bob = self.node("ann"), self.node("bob")
        self.clock.advance(1.2)
        self.clock.advance(0.1)

    def node(self, name: str) -> Peers:
        bus = self.network.bus()
        membership = Membership(name, "1.0", self.store, bus, self.clock, SETTINGS, random.Random(len(name)))
        peers = Peers(name, membership, bus, self.clock, SETTINGS)
        peers.handle(
            "unequal",
            (fields.number, fields.number),
            lambda sender, *rest: self.got[name].append((sender, ["unequal", *rest])),
        )
        bus.start()
        membership.start()
        self.addCleanup(membership.stop)
        setattr(self, f"{name}_bus", bus)
        setattr(self, f"{name}_membership", membership)
        return peers

    ann_bus: MemoryBus
    bob_bus: MemoryBus
    ann_membership: Membership
    bob_membership: Membership

    def turn(self, times: int = 2) -> None:
        for _ in range(times):
            self.clock.advance(0.001)

    def items(self, name: str) -> list[Item]:
        return [item for _, item in self.got[name]]

    def test_send(self) -> None:
        """
        The items of one turn arrive together, in their order, with their sender.
        """
        self.ann.send(self.bob_membership.node, ["unequal", 1, 1])
        self.ann.send(self.bob_membership.node, ["unequal", 1, 2])
        self.assertEqual(self.got["bob"], [])
        self.turn()
        sender = self.ann_membership.node
        self.assertEqual(self.got["bob"], [(sender, ["unequal", 1, 1]), (sender, ["unequal", 1, 2])])

    def test_turns(self) -> None:
        """
        Many items are spread over turns, in their order.
        """
        for number in range(5):
            self.ann.send(self.bob_membership.node, ["unequal", 1, number])
        self.turn()
        self.assertEqual(len(self.got["bob"]), 2)
        self.turn(4)
        self.assertEqual([item[2] for item in self.items("bob")], [0, 1, 2, 3, 4])

    def test_names(self) -> None:
        """
        Items with many names are spread over more turns.
        """
        got: list[int] = []
        self.bob.handle("names", (fields.list_of(fields.text),), lambda sender, names: got.append(len(names)))
        for count in (5, 1, 4, 1):
            self.ann.send(self.bob_membership.node, ["names", ["x"] * count])
        self.turn()
        for expected in ([5], [5, 1, 4], [5, 1, 4, 1]):
            self.assertEqual(got, expected)
            self.turn(1)

    def test_long_texts(self) -> None:
        """
        Items with long texts are spread over more turns.
        """
        got: list[int] = []
        self.bob.handle("text", (fields.text,), lambda sender, text: got.append(len(text)))
        for count in (CHARACTERS_PER_MESSAGE, 1, 1):
            self.ann.send(self.bob_membership.node, ["text", "x" * count])
        self.turn()
        self.assertEqual(got, [CHARACTERS_PER_MESSAGE])
        self.turn(1)
        self.assertEqual(got, [CHARACTERS_PER_MESSAGE, 1, 1])

    def test_long_names(self) -> None:
        """
        So are items with lists of long names.
        """
        got: list[int] = []
        self.bob.handle("names", (fields.list_of(fields.text),), lambda sender, names: got.append(len(names)))
        for count in (1, 2):
            self.ann.send(self.bob_membership.node, ["names", ["x" * CHARACTERS_PER_MESSAGE] * count])
        self.turn()
        self.assertEqual(got, [1])
        self.turn(1)
        self.assertEqual(got, [1, 2])

    def test_rows(self) -> None:
        """
        Rows of one kind that follow each other share an item, up to a number; the order of all items is kept.
        """
        rows = fields.list_of(fields.row(fields.number))
        for kind in ("a", "b"):
            self.bob.handle(
                kind, (rows,), lambda sender, some, kind=kind: self.got["bob"].append((sender, [kind, some]))
            )
        for number, kind in enumerate("aaaaabba"):
            self.ann.send_row(self.bob_membership.node, kind, [number])
        self.turn(6)
        self.assertEqual(
            self.items("bob"), [["a", [[0], [1], [2], [3]]], ["a", [[4]]], ["b", [[5], [6]]], ["a", [[7]]]]
        )

    def test_self(self) -> None:
        """
        A node can send items to itself, and to all members.
        """
        self.ann.send_all(["unequal", 1, 1])
        self.turn()
        self.assertEqual((self.items("ann"), self.items("bob")), ([["unequal", 1, 1]], [["unequal", 1, 1]]))

    def deliver(self, sender: str, number: int, receiver: str | None = None) -> None:
        receiver = self.bob_membership.node if receiver is None else receiver
        self.ann_bus.send("bob", encode(Envelope(sender, receiver, number, [["unequal", 1, number]])))
        self.turn()

    def test_twice(self) -> None:
        """
        A message that is not newer than the last one is dropped.
        """
        for number in (3, 3, 2, 4):
            self.deliver(self.ann_membership.node, number)
        self.assertEqual([item[2] for item in self.items("bob")], [3, 4])

    def test_impossible_number(self) -> None:
        """
        A message with a number that its sender cannot have reached is dropped, and logged. So the next ones count.
        """
        for number in (2, MAX_STEP + 3, 3):
            self.deliver(self.ann_membership.node, number)
        self.assertEqual([item[2] for item in self.items("bob")], [2, 3])
        self.assertIn("its number cannot be that of a message of ann#", self.lines.last("warn"))

    def test_most_bytes(self) -> None:
        """
        If very many bytes wait, further items are not sent. The log says so, and they are counted.
        """
        node = self.bob_membership.node
        item = ["text", "x" * 100_000]
        got: list[int] = []
        self.bob.handle("text", (fields.text,), lambda sender, text: got.append(len(text)))
        most = SETTINGS.max_waiting_bytes // size_of(item)
        for _ in range(most + 2):
            self.ann.send(node, item)
        self.ann.send_row(node, "text", item)
        self.ann.send_urgent(self.ann_membership.node, item)
        self.assertEqual(self.ann.dropped, 4)
        self.assertIn("bytes of others wait (maxWaitingBytes)", self.lines.last("warn"))
        self.turn(2 * most)
        self.assertEqual(len(got), most)
        self.ann.send(node, item)
        self.turn()
        self.assertEqual((len(got), self.ann.dropped), (most + 1, 4))

    def test_all(self) -> None:
        """
        The sender of an item for all members is told whether there was room for it for each of them.
        """
        got: list[int] = []
        for peers in (self.ann, self.bob):
            peers.handle("text", (fields.text,), lambda sender, text: got.append(len(text)))
        self.assertTrue(self.ann.send_all(["text", "x"]))
        self.assertFalse(self.ann.send_all(["text", "x" * (SETTINGS.max_waiting_bytes // 2)]))
        self.turn()
        self.assertEqual((len(got), self.ann.dropped), (3, 1))

    def test_lost_member(self) -> None:
        """
        The bytes for a member that has gone do not count.
        """
        self.ann.send(self.bob_membership.node, ["text", "x" * (SETTINGS.max_waiting_bytes - 1000)])
        read = self.ann_membership.table
        others = {self.ann_membership.node: read.members[self.ann_membership.node]}
        self.ann_membership._adopt(replace(read, version=read.version + 1, members=others))
        self.ann.send(self.ann_membership.node, ["text", "x" * 2000])
        self.assertEqual(self.ann.dropped, 0)

    def test_urgent(self) -> None:
        """
        Urgent items overtake the others, each of both in their order. One of the others is sent with each message.
        """
        node = self.bob_membership.node
        for number in range(3):
            self.ann.send(node, ["unequal", 0, number])
        for number in range(6):
            self.ann.send_urgent(node, ["unequal", 1, number])
        self.turn(8)
        self.assertEqual(
            [item[1:] for item in self.items("bob")],
            [[1, 0], [1, 1], [0, 0], [1, 2], [1, 3], [0, 1], [1, 4], [1, 5], [0, 2]],
        )

    def test_strangers(self) -> None:
        """
        Messages of nodes that are not in the table are dropped, and so are messages for an earlier life of this node.
        """
        self.deliver("cat#1", 1)
        self.deliver(self.ann_membership.node, 1, "bob#0")
        self.assertEqual(self.got["bob"], [])

    def test_new_life(self) -> None:
        """
        A node that was found dead sends and receives under its new name, and drops what was queued under the old one.
        """
        old = self.bob_membership.node
        read = self.ann_membership.table
        others = {self.ann_membership.node: read.members[self.ann_membership.node]}
        table = replace(read.planned(99, others, others), version=99)
        self.store.document = table.encode()
        self.bob.send(self.ann_membership.node, ["unequal", 1, 1])
        self.bob_membership.look()
        for _ in range(40):
            self.clock.advance(0.1)
        new = self.bob_membership.node
        self.assertNotEqual(new, old)
        self.got["ann"].clear()
        self.bob.send(self.ann_membership.node, ["unequal", 1, 2])
        self.ann.send(new, ["unequal", 1, 3])
        self.ann.send(old, ["unequal", 1, 4])
        self.turn(3)
        self.assertEqual((self.got["ann"], self.items("bob")), ([(new, ["unequal", 1, 2])], [["unequal", 1, 3]]))

    def test_unreadable(self) -> None:
        """
        A message that cannot be read is dropped, and logged.
        """
        self.ann_bus.send("bob", b"nonsense")
        self.turn()
        self.assertEqual(self.got["bob"], [])
        self.assertEqual(len(self.lines.of("warn")), 1)

    def test_unreadable_items(self) -> None:
        """
        Items that cannot be read are passed over, with one line in the log. The others are handled: they may be of
        other clients.
        """
        items: list[Any] = [["unequal", 1, 1], ["unequal"], [], {}, ["unequal", 1, -1], [1], ["unequal", 1, 2]]
        self.ann_bus.send("bob", encode(Envelope(self.ann_membership.node, self.bob_membership.node, 9, items)))
        self.turn()
        self.assertEqual(self.items("bob"), [["unequal", 1, 1], ["unequal", 1, 2]])
        self.assertEqual(len(self.lines.of("warn")), 1)

    def test_unknown(self) -> None:
        """
        An item of an unknown kind is passed over, and logged.
        """
        items: list[Item] = [["nonsense"], ["unequal", 1, 1]]
        self.ann_bus.send("bob", encode(Envelope(self.ann_membership.node, self.bob_membership.node, 9, items)))
        self.turn()
        self.assertEqual(self.items("bob"), [["unequal", 1, 1]])
        self.assertIn("sends messages of a kind that this node does not know", self.lines.last("warn"))

    def test_error(self) -> None:
        """
        An item that cannot be handled is logged, and the next one is handled.
        """

        def fail(sender: str) -> None:
            raise ValueError(sender)

        self.bob.handle("broken", (), fail)
        self.ann.send(self.bob_membership.node, ["broken"])
        self.ann.send(self.bob_membership.node, ["unequal", 1, 1])
        self.turn()
        self.assertEqual(self.items("bob"), [["unequal", 1, 1]])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_table(self) -> None:
        """
        A node hears of a new table at once.
        """
        announced: list[int] = []
        self.turn()
        self.bob_membership.announced = announced.append  # type: ignore[method-assign,assignment]
        self.ann.send(self.bob_membership.node, ["table", 7])
        self.turn()
        self.assertEqual((announced[-1:], self.got["bob"]), ([7], []))

    def test_stop(self) -> None:
        """
        After the end nothing is sent, and nothing is handled.
        """
        self.ann.send(self.bob_membership.node, ["unequal", 1, 1])
        self.bob.send(self.ann_membership.node, ["unequal", 1, 1])
        self.ann.stop()
        before = len(self.clock.getDelayedCalls())
        self.ann.send(self.bob_membership.node, ["unequal", 1, 2])
        self.assertEqual(len(self.clock.getDelayedCalls()), before)
        self.turn()
        self.assertEqual(self.got, {"ann": [], "bob": []})

    def test_stop_by_item(self) -> None:
        """
        An item that this node sends to itself may be the end of it.
        """
        self.ann.handle("end", (), lambda sender: self.ann.stop())
        self.ann.send(self.ann_membership.node, ["end"])
        self.ann.send(self.ann_membership.node, ["unequal", 1, 1])
        self.ann.send(self.bob_membership.node, ["unequal", 1, 1])
        self.turn()
        self.assertEqual(self.got["bob"], [])
