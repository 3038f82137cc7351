"""
Tests for L{dstwist.cluster.node_searches}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.node import ClusterNode
from dstwist.cluster.node_searches import NodeSearches
from dstwist.cluster.owned import OwnedPartition
from dstwist.cluster.shared_patterns import SharedPatterns
from dstwist.cluster.table import partition_of
from tests.cluster.stage import Stage


class First:
    """
    A source of chance that always takes the first.
    """

    def choice(self, nodes: Sequence[str]) -> str:
        return nodes[0]


class Member:
    """
    A node that keeps what it is asked and told.

    @ivar asked: the searches: the number of the search, that of the ask, the name, and whether other nodes want it.
    @ivar told: the names that it was told to end.
    """

    def __init__(self, node: ClusterNode) -> None:
        self.node = node
        self.patterns = SharedPatterns("r", node, 100)
        self.searches = NodeSearches("r", "s", node, self.patterns, First())  # type: ignore[arg-type]
        self.asked: list[tuple[int, int, str, bool]] = []
        self.told: list[str] = []
        self.owner = ""
        self.place: list[int] = []
        accepts = (lambda value: True,)
        node.peers.handle("search.r", accepts, self._search)
        node.peers.handle("end.r", accepts, self._end)

    def _search(self, owner: str, rows: list[Any]) -> None:
        for partition, token, search, ask, name, others in rows:
            self.owner, self.place = owner, [partition, token]
            self.asked.append((search, ask, name, others))

    def _end(self, owner: str, rows: list[Any]) -> None:
        self.told += [name for _, _, name in rows]

    def take(self) -> list[tuple[int, int, str, bool]]:
        asked, self.asked = self.asked, []
        return asked

    def send(self, kind: str, *fields: Any) -> None:
        """
        Send the owner that asked last a row.
        """
        self.node.peers.send_row(self.owner, kind, [*self.place, *fields])

    def provide(self, name: str) -> None:
        self.node.directory.hold("s", name)

    def stop(self) -> None:
        self.patterns.stop()
        self.searches.stop()


class NodeSearchesTests(SynchronousTestCase):
    """
    L{NodeSearches} for one name, which the first node owns.
    """

    def setUp(self) -> None:
        self.stage = Stage(self, 3)
        self.ann, self.bob, self.cat = self.members = [Member(node) for node in self.stage.nodes]
        for member in self.members:
            self.addCleanup(member.stop)
        self.stage.start()
        owns = self.ann.node.membership.owns
        self.name = next(f"a{number}" for number in range(100) if owns(partition_of(f"a{number}", 4)))

    def asked(self) -> list[int]:
        """
        The nodes that were asked since the last call.
        """
        self.stage.advance(0.1)
        return [number for number, member in enumerate(self.members) for _ in member.take()]

    def want(self, member: Member) -> None:
        member.node.directory.hold("r", self.name)

    def listen(self, member: Member, number: int = 1) -> None:
        member.patterns.put("^a", number)

    def decline(self, member: Member) -> None:
        search, ask, name, _ = member.asked[-1]
        member.take()
        member.send("unprovided.r", ask, name)

    def test_order(self) -> None:
        """
        The node that wanted the name first is asked first, then each other one that has a matching pattern.
        """
        for member in self.members:
            self.listen(member)
        self.stage.turn()
        self.want(self.cat)
        self.stage.turn()
        self.want(self.ann)
        self.stage.turn()
        ((search, _, name, others),) = self.cat.asked
        self.assertEqual((name, others), (self.name, False))
        self.decline(self.cat)
        self.stage.turn()
        ((same, _, _, others),) = self.ann.asked
        self.assertEqual((same, others), (search, True))
        self.decline(self.ann)
        self.stage.turn()
        self.assertEqual(self.bob.asked[0][::3], (search, True))
        self.decline(self.bob)
        self.assertEqual(self.asked(), [])
        self.stage.advance(10)
        self.assertEqual(self.asked(), [])

    def test_no_pattern(self) -> None:
        """
        A name that no pattern matches waits for a listener.
        """
        self.bob.patterns.put("^b", 1)
        self.want(self.ann)
        self.assertEqual(self.asked(), [])
        self.listen(self.bob)
        self.assertEqual(self.asked(), [1])

    def test_repeated(self) -> None:
        """
        An ask is repeated, with the same number, until it is answered. It is repeated ever more rarely: if many answers
        wait, they wait no longer because of that.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.advance(0.5)
        asked = list(self.bob.asked)
        for repeats, seconds in ((1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (2, 32)):
            self.bob.take()
            self.stage.advance(seconds)
            self.assertEqual((repeats, self.bob.asked), (repeats, asked * repeats))
        self.decline(self.bob)
        self.stage.advance(40)
        self.assertEqual(self.asked(), [])

    def test_next_repeated(self) -> None:
        """
        The next node that is asked is asked again as soon as the first one was.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.advance(20)
        self.listen(self.cat)
        self.decline(self.bob)
        self.stage.turn()
        self.assertEqual(self.asked(), [2])
        self.stage.advance(1)
        self.assertEqual(self.asked(), [2])

    def test_looks(self) -> None:
        """
        When a name has a provider, no ask is left over that would be looked at later.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.turn()
        looks: list[str] = []
        decide = self.ann.searches._decide

        def look(partition: OwnedPartition, name: str) -> None:
            looks.append(name)
            decide(partition, name)

        self.patch(self.ann.searches, "_decide", look)
        self.bob.provide(self.name)
        self.stage.advance(20)
        self.assertEqual(looks, [self.name])

    def test_bus_was_lost(self) -> None:
        """
        After the bus of the asked node or that of the owner was lost, asks are repeated as soon as new ones.
        """
        for lost, node in ((1, self.bob), (0, self.ann)):
            self.listen(self.bob)
            self.want(self.ann)
            self.stage.advance(20)
            self.stage.bus(lost).disconnect()
            self.stage.advance(1)
            self.stage.bus(lost).reconnect()
            self.bob.take()
            self.stage.advance(3.5)
            self.assertEqual(self.asked(), [1, 1])
            node.node.directory.release("r", self.name)
            self.stage.advance(3)
            self.bob.patterns.remove("^a")

    def test_others_not_repeated(self) -> None:
        """
        Asks to other nodes than the one whose bus was lost are not.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.advance(20)
        self.stage.bus(2).disconnect()
        self.stage.advance(1)
        self.stage.bus(2).reconnect()
        self.bob.take()
        self.stage.advance(3.5)
        self.assertEqual(self.asked(), [])

    def test_old_answer(self) -> None:
        """
        The answer to an earlier ask does not count.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.turn()
        old = self.bob.asked[-1][1]
        self.decline(self.bob)
        self.stage.turn()
        self.bob.send("again.r", self.name)
        self.stage.turn()
        new = self.bob.asked[-1][1]
        self.assertNotEqual(new, old)
        self.listen(self.cat)
        self.stage.turn()
        self.bob.send("unprovided.r", old, self.name)
        self.assertEqual(self.asked(), [1])
        self.bob.send("unprovided.r", new, self.name)
        self.assertEqual(self.asked(), [2])

    def test_answer_of_another_node(self) -> None:
        """
        An answer of a node that is not asked does not count.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.turn()
        self.cat.owner, self.cat.place = self.bob.owner, self.bob.place
        self.cat.send("unprovided.r", self.bob.asked[-1][1], self.name)
        self.listen(self.cat)
        self.assertEqual(self.asked(), [1])

    def test_provided(self) -> None:
        """
        The search is over when the name is provided; the nodes that have declined are told, and may forget the name.
        """
        self.listen(self.ann)
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.turn()
        self.decline(self.ann)
        self.stage.turn()
        self.bob.provide(self.name)
        self.stage.turn()
        self.bob.take()
        self.stage.advance(3)
        self.assertEqual([member.told for member in self.members], [[self.name], [], []])
        self.assertEqual(self.asked(), [])

    def test_provider_gone(self) -> None:
        """
        When the provider has left, all nodes are asked again, with another number of the search.
        """
        self.listen(self.ann)
        self.want(self.ann)
        self.stage.turn()
        ((search, *_),) = self.ann.take()
        self.bob.provide(self.name)
        self.stage.turn()
        self.bob.node.directory.release("s", self.name)
        self.stage.turn()
        ((new, *_),) = self.ann.take()
        self.assertNotEqual(new, search)

    def test_unwanted(self) -> None:
        """
        When no node wants the name any more, the node that is asked is told. It is a new search when the name
        is wanted again.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.turn()
        ((search, *_),) = self.bob.take()
        self.ann.node.directory.release("r", self.name)
        self.stage.advance(3)
        self.assertEqual((self.bob.told, self.asked()), ([self.name], []))
        self.want(self.ann)
        self.stage.turn()
        self.assertNotEqual(self.bob.take()[0][0], search)

    def test_new_listener(self) -> None:
        """
        A node that has declined is asked again when it has a later registration; it is the same search.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.turn()
        search = self.bob.asked[0][0]
        self.decline(self.bob)
        self.stage.turn()
        self.bob.patterns.put("^b", 2)
        self.assertEqual(self.asked(), [])
        self.listen(self.bob, 3)
        self.stage.turn()
        self.assertEqual([asked[0] for asked in self.bob.take()], [search])

    def test_again(self) -> None:
        """
        A node that may be asked again is, unless the name is provided: then it is told.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.turn()
        self.decline(self.bob)
        self.stage.turn()
        self.bob.send("again.r", self.name)
        self.assertEqual(self.asked(), [1])
        self.bob.send("again.r", self.name)
        self.assertEqual(self.asked(), [])
        self.cat.provide(self.name)
        self.stage.turn()
        self.bob.told.clear()
        self.bob.send("again.r", self.name)
        self.assertEqual((self.asked(), self.bob.told), ([], [self.name]))

    def test_two_providers(self) -> None:
        """
        The second provider is told to end each interval, until it does.
        """
        self.want(self.ann)
        self.listen(self.cat)
        self.stage.turn()
        self.bob.provide(self.name)
        self.stage.turn()
        self.cat.provide(self.name)
        self.stage.turn()
        self.cat.told.clear()
        self.stage.advance(3.1)
        self.assertEqual((self.bob.told, self.cat.told), ([], [self.name] * 3))
        self.cat.node.directory.release("s", self.name)
        self.stage.turn()
        self.cat.told.clear()
        self.stage.advance(3.1)
        self.assertEqual((self.bob.told, self.cat.told), ([], []))

    def rest(self, provider: Member) -> None:
        """
        A node provides the name, asks for rest, and stops. Listeners of two other nodes are there.
        """
        self.listen(self.bob)
        self.listen(self.cat)
        self.want(self.ann)
        self.stage.turn()
        (asked,) = (member for member in self.members if member.asked)
        provider.owner, provider.place = asked.owner, asked.place
        provider.provide(self.name)
        self.stage.turn()
        provider.send("rest.r", self.name)
        self.asked()
        provider.node.directory.release("s", self.name)

    def test_rest(self) -> None:
        """
        If the provider asks for that before it stops, and its node alone wants the name, no listener that is there is
        searched then. A later provider that stops does not rest.
        """
        self.rest(self.ann)
        self.stage.advance(3)
        self.assertEqual(self.asked(), [])
        self.bob.provide(self.name)
        self.stage.turn()
        self.bob.node.directory.release("s", self.name)
        self.assertEqual(len(self.asked()), 1)

    def test_no_rest(self) -> None:
        """
        It does not rest if another node wants the name, or if the node has stopped to provide it already.
        """
        self.rest(self.bob)
        self.assertEqual(len(self.asked()), 1)
        self.ann.owner, self.ann.place = self.bob.owner, self.bob.place
        self.ann.send("rest.r", self.name)
        self.bob.provide(self.name)
        self.stage.turn()
        self.bob.node.directory.release("s", self.name)
        self.assertEqual(len(self.asked()), 1)

    def test_new_listener_while_resting(self) -> None:
        """
        A new listener is searched although the name rests.
        """
        self.rest(self.ann)
        self.listen(self.bob, 2)
        self.assertEqual(self.asked(), [1])

    def test_wakes(self) -> None:
        """
        All nodes are asked when another node wants the name, or when one says that it may be asked again.
        """
        for wake in (lambda: self.want(self.bob), lambda: self.ann.send("again.r", self.name)):
            self.rest(self.ann)
            self.assertEqual(self.asked(), [])
            wake()
            self.stage.turn()
            first, second = (self.bob, self.cat) if self.bob.asked else (self.cat, self.bob)
            self.decline(first)
            self.stage.turn()
            self.assertEqual((len(first.asked), len(second.asked)), (0, 1))
            self.bob.node.directory.release("r", self.name)
            self.ann.node.directory.release("r", self.name)
            self.stage.advance(3)
            for member in self.members:
                member.take()

    def test_silent(self) -> None:
        """
        A node that is silent for C{absenceTimeout}, although others are not, is passed over, and asked when it is back.
        """
        self.listen(self.cat)
        self.want(self.ann)
        self.stage.turn()
        self.listen(self.bob)
        self.stage.turn()
        self.cat.take()
        bus = self.stage.bus(2)
        send = bus.send
        self.patch(bus, "send", lambda address, payload: None)
        self.stage.advance(29)
        self.assertNotIn(1, self.asked())
        self.stage.advance(3)
        self.cat.take()
        self.assertGreater(len(self.bob.asked), 0)
        self.decline(self.bob)
        self.stage.advance(3)
        self.assertEqual(self.asked(), [])
        self.patch(bus, "send", send)
        self.stage.advance(3)
        self.assertIn(2, self.asked())

    def test_stop(self) -> None:
        """
        A node that has stopped asks no other one.
        """
        self.listen(self.bob)
        self.want(self.ann)
        self.stage.turn()
        for member in self.members:
            member.stop()
        self.bob.take()
        self.stage.advance(3)
        self.assertEqual(self.asked(), [])
