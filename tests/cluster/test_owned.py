"""
Tests for L{dstwist.cluster.owned}.
"""

from __future__ import annotations

import gc
import sys
from types import FunctionType, MethodType
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.messages import Item
from dstwist.cluster.owned import Observer, OwnedPartition
from dstwist.cluster.slices import CHARACTERS_PER_MESSAGE
from dstwist.config.cluster import ClusterSettings
from dstwist.protocol.jsontext import dumps

#: Longer texts are names of a test.
LONG = 100

SETTINGS = ClusterSettings(lease_interval=0.4, grace={"u": 2.0}, names_per_item=2, absence_timeout=30)


class OwnedPartitionTests(SynchronousTestCase):
    """
    L{OwnedPartition}, on the node C{me}. Users are names of the kind C{u}, procedures of the kind C{p}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[tuple[str, Item]] = []
        self.observers: dict[str, Observer] = {}
        self.partition = OwnedPartition(
            3,
            7,
            "me",
            self.clock.seconds,
            SETTINGS,
            ("p",),
            lambda node, item: self.sent.append((node, item)),
            self.observers,
        )
        self.set_members("me", "ann", "bob")

    def set_members(self, *nodes: str) -> None:
        """
        These are the members from now on, and nothing is left of the others.
        """
        self.partition.set_members(nodes)
        for _ in self.partition.forget():
            pass

    def hear(self, **entries: list[str]) -> None:
        """
        Members send all their entries.
        """
        for node, some in entries.items():
            self.partition.sent_whole(node, 0, 1, some, ())

    def hear_all(self) -> None:
        self.hear(me=["au"], ann=["hua", "hpx"], bob=["hub", "wpx", "wpy"])
        self.decide()

    def decide(self, most: int = 100) -> list[tuple[str, Item]]:
        """
        What is sent when the owner decides.
        """
        self.partition.decide(most)
        return self.take()

    def take(self) -> list[tuple[str, Item]]:
        sent, self.sent = self.sent, []
        return sent

    def states(self) -> list[tuple[str, str, int]]:
        """
        What watchers are told when the owner decides, as (node, key, state).
        """
        told = []
        for node, item in self.decide():
            self.assertEqual(item[:3], ["states", 3, 7])
            told += [(node, key, state) for key, state, _ in item[3]]
        return sorted(told)

    def ask(self) -> int:
        """
        Ask the members; the number of the question.
        """
        self.partition.ask()
        sent = self.take()
        self.assertEqual([node for node, _ in sent], ["me", "ann", "bob"])
        return int(sent[0][1][3])

    def answer(self, number: int, *nodes: str) -> None:
        for node in nodes:
            self.partition.answered(node, number, (), ())

    def test_there_at_once(self) -> None:
        """
        A name that a member holds is there at once, although not all members are heard.
        """
        self.hear(me=["au"], ann=["hua"])
        self.assertEqual(self.states(), [("me", "ua", 1)])
        self.assertEqual(self.partition.unheard, ["bob"])

    def test_absent_when_all_are_heard(self) -> None:
        """
        A name is absent when all members are heard, and not before.
        """
        self.hear(ann=["wpy"], me=[])
        self.assertEqual(self.states(), [])
        self.hear(bob=[])
        self.assertEqual(self.states(), [("ann", "py", 0)])

    def test_many_names(self) -> None:
        """
        However many names have changed, the owner tells of a limited number at a time, and of the end behind all.
        """
        self.hear(me=["au", "w*u", *[f"hu{number}" for number in range(5)]], ann=[], bob=[])
        told = []
        while self.partition.has_changes:
            told.append([row[0] for _, item in self.decide(2) for row in item[3]])
        self.assertEqual(told, [["u0", "u1"], ["u2", "u3"], ["u4", "*u"]])
        self.assertEqual(self.partition.decide(2), 0)

    def test_shared_texts(self) -> None:
        """
        The owner keeps the text of a name once, however many members hold, watch or are told it; and forgets it.
        """
        names = [f"u{number}" + "\U0001f600" * 1000 for number in range(100)]
        for node in ("me", "ann", "bob"):
            entries = [verb + name for verb in "hw" for name in names]
            self.partition.sent_whole(node, 0, 1, [*entries, "au"], [name[:1] + name[1:] for name in names])
        for _, item in self.decide(1000):
            dumps(item)
        before = sum(map(sys.getsizeof, names))
        self.assertLess(sum(map(sys.getsizeof, long_texts(self.partition))), 1.1 * before)
        self.hear(me=[], ann=[], bob=[])
        self.clock.advance(10)
        self.partition.ask()
        for number in {item[3] for _, item in self.take()}:
            self.answer(number, "me", "ann", "bob")
        self.decide(1000)
        self.partition.reported("ann", ["hua"], [])
        self.partition.ask()
        self.assertEqual(self.take(), [])
        self.assertEqual(long_texts(self.partition), [])

    def test_holders(self) -> None:
        """
        Watchers of procedures are told the holders; watchers of users only that they are there.
        """
        self.hear(me=["au"], ann=["hua", "hpx"], bob=["hpx", "wpx"])
        rows = {node: item[3] for node, item in self.decide()}
        self.assertEqual(rows, {"me": [["ua", 1, []]], "bob": [["px", 1, ["ann", "bob"]]]})

    def test_observers(self) -> None:
        """
        The observer of a kind is told of each of its names whose holders have changed when the owner decides, and of
        all its names that are held when all members are heard. The holders have the order in which they were heard of.
        """
        told: list[tuple[str, list[str], bool]] = []
        self.observers["p"] = lambda partition, name: told.append(
            (name, list(partition.holders("p" + name)), partition.is_complete)
        )
        self.hear(bob=["hpx", "hua"], ann=["hpx", "hpy"])
        self.assertEqual(told, [])
        self.decide()
        self.assertEqual(told, [("x", ["bob", "ann"], False), ("y", ["ann"], False)])
        told.clear()
        self.hear(me=[])
        self.decide()
        self.assertEqual(told, [("x", ["bob", "ann"], True), ("y", ["ann"], True)])
        told.clear()
        self.partition.reported("bob", (), ["hpx"])
        self.set_members("me", "bob")
        self.decide()
        self.assertEqual(told, [("x", [], True), ("y", [], True)])

    def test_is_silent(self) -> None:
        """
        A member that has sent nothing for C{absenceTimeout} is silent, if another one than this node was heard since.
        """
        self.hear_all()
        self.clock.advance(30)
        self.partition.reported("me", (), ())
        self.assertFalse(self.partition.is_silent("ann"))
        self.partition.reported("bob", (), ())
        self.assertTrue(self.partition.is_silent("ann"))
        self.assertFalse(self.partition.is_silent("bob"))
        self.partition.reported("ann", (), ())
        self.assertFalse(self.partition.is_silent("ann"))

    def test_slices(self) -> None:
        """
        Many states are told in several items.
        """
        self.hear(me=["au"], ann=["hua", "hub", "huc"], bob=[])
        self.assertEqual([len(item[3]) for _, item in self.decide()], [2, 1])

    def test_long_names(self) -> None:
        """
        An item has fewer states if the names are long.
        """
        names = [letter * CHARACTERS_PER_MESSAGE for letter in "ab"]
        self.hear(me=["au"], ann=[f"hu{name}" for name in names], bob=[])
        self.assertEqual([len(item[3]) for _, item in self.decide()], [1, 1])
        self.partition.send_all("me")
        self.assertEqual([item[3:5] for _, item in self.take()], [[part, 3] for part in range(3)])

    def test_end_of_all(self) -> None:
        """
        A member that watches all names of a kind is told the end of them: after all of them, when all members are
        heard.
        """
        self.hear(me=["au", "w*u"], ann=["hua", "hub"])
        self.assertEqual(self.states(), [("me", "ua", 1), ("me", "ub", 1)])
        self.hear(bob=["huc", "hud"])
        self.assertEqual([row[0] for _, item in self.decide() for row in item[3]], ["uc", "ud", "*u"])

    def test_end_of_all_last(self) -> None:
        """
        It is told behind names of which the owner has heard later, from the last member.
        """
        self.hear(me=["au", "w*u"], ann=["hua"], bob=["hub"])
        self.assertEqual([row[0] for _, item in self.decide() for row in item[3]], ["ua", "ub", "*u"])

    def test_end_of_all_too_early(self) -> None:
        """
        The end is not told before it is known that the member watches all names.
        """
        self.hear(me=["w*u"], ann=["hua"], bob=[])
        self.assertEqual(self.states(), [])
        self.partition.reported("me", ["au"], ())
        self.assertEqual([row[0] for _, item in self.decide() for row in item[3]], ["ua", "*u"])

    def test_watched_anew(self) -> None:
        """
        A member that has ended watches and begun them anew in one turn is told everything again. Its report has only
        what is different at the end of the turn.
        """
        self.hear(me=["au", "w*u", "wpz"], ann=["hua"], bob=[])
        states = self.states()
        self.assertEqual(states, [("me", "*u", 0), ("me", "pz", 0), ("me", "ua", 1)])
        self.partition.reported("me", ["au", "w*u", "wpz"], ())
        self.assertEqual(self.states(), states)
        self.partition.reported("ann", ["hua"], ())
        self.assertEqual(self.states(), [])
        self.partition.reported("me", ["wua"], ["au", "w*u"])
        self.assertEqual(self.states(), [("me", "ua", 1)])
        self.partition.reported("me", ["au"], ["wua"])
        self.assertEqual(self.states(), [("me", "ua", 1)])

    def test_gone(self) -> None:
        """
        A name is gone when its grace time is over, and every member has answered a question after that.
        """
        self.hear_all()
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(1.9)
        self.partition.ask()
        self.assertEqual(self.take(), [])
        self.clock.advance(0.2)
        number = self.ask()
        self.answer(number, "me", "ann")
        self.assertEqual(self.states(), [])
        self.answer(number, "bob")
        self.assertEqual(self.states(), [("me", "ua", -1)])

    def test_answers_of_one_interval(self) -> None:
        """
        Answers to questions of different intervals do not add up.
        """
        self.hear_all()
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(2.1)
        self.answer(self.ask(), "me", "ann")
        self.clock.advance(1)
        number = self.ask()
        self.answer(number, "bob")
        self.assertEqual(self.states(), [])
        self.answer(number, "me", "ann")
        self.assertEqual(self.states(), [("me", "ua", -1)])

    def test_held_elsewhere(self) -> None:
        """
        A member that holds the name says so in its answer.
        """
        self.hear_all()
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(2.1)
        number = self.ask()
        self.partition.answered("bob", number, ["ua"], ())
        self.answer(number, "me", "ann")
        self.assertEqual(self.states(), [])
        self.clock.advance(2.1)
        self.partition.ask()
        self.assertEqual(self.take(), [])

    def test_released_meanwhile(self) -> None:
        """
        If a member has released the name after the grace time began, it begins anew; if before, it does not.
        """
        self.hear_all()
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(2.1)
        number = self.ask()
        self.partition.answered("ann", number, (), [("ua", 2.05)])
        self.partition.answered("bob", number, (), [("ua", 0.5)])
        self.answer(number, "me")
        self.assertEqual(self.states(), [])
        self.clock.advance(1.5)
        self.partition.ask()
        self.assertEqual(self.take(), [])
        self.clock.advance(0.11)
        self.answer(self.ask(), "me", "ann", "bob")
        self.assertEqual(self.states(), [("me", "ua", -1)])

    def test_held_and_released_since(self) -> None:
        """
        A name that was held and released since the question is not gone.
        """
        self.hear_all()
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(2.1)
        number = self.ask()
        self.partition.reported("bob", ["hua"], ())
        self.partition.reported("bob", (), ["hua"])
        self.answer(number, "me", "ann", "bob")
        self.assertEqual(self.states(), [])

    def test_dead(self) -> None:
        """
        The names of a dead node are in grace, and the node is not asked.
        """
        self.hear_all()
        self.set_members("me", "bob")
        self.assertEqual(self.states(), [("bob", "px", 1)])
        self.clock.advance(2.1)
        self.partition.ask()
        self.assertEqual({node for node, _ in self.take()}, {"me", "bob"})
        self.answer(1, "me", "bob")
        self.assertEqual(self.states(), [("bob", "px", 0), ("me", "ua", -1)])

    def test_forget(self) -> None:
        """
        The names of a dead node are removed one in each step. Until then they are held, and the node is told nothing.
        """
        self.hear(me=["au"], ann=["hpx", "hpy", "wpx"], bob=["wpx", "wpy"])
        self.decide()
        self.partition.set_members(("me", "bob"))
        self.partition.reported("bob", ["hpx"], ())
        self.assertEqual(self.states(), [("bob", "px", 1)])
        steps = self.partition.forget()
        held = []
        for _ in range(3):
            next(steps)
            held.append([list(self.partition.holders(key)) for key in ("px", "py")])
        self.assertEqual(held, [[["bob"], ["ann"]], [["bob"], []], [["bob"], []]])
        self.assertEqual((list(steps), list(self.partition.forget())), ([], []))
        self.assertEqual(self.states(), [("bob", "px", 1), ("bob", "py", 1)])

    def test_back(self) -> None:
        """
        A node that is a member again before it is forgotten has what it sends then, and nothing else; whatever it has
        is kept by the steps of before, even if it is no member another time.
        """
        self.hear(me=[], ann=["hpx", "hpy"], bob=[])
        self.partition.set_members(("me", "bob"))
        steps = self.partition.forget()
        next(steps)
        self.partition.set_members(("me", "ann", "bob"))
        self.hear(ann=["hpz"])
        self.partition.set_members(("me", "bob"))
        next(steps)
        self.partition.set_members(("me", "bob"))
        held = [list(self.partition.holders(key)) for key in ("px", "py", "pz")]
        self.assertEqual(held, [[], [], ["ann"]])
        self.assertEqual(len(list(steps)), 1)
        self.assertEqual(list(self.partition.holders("pz")), [])

    def test_new_member(self) -> None:
        """
        A member that joins while a question is open has to answer, too.
        """
        self.hear_all()
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(2.1)
        number = self.ask()
        self.partition.set_members(("me", "ann", "bob", "cat"))
        self.answer(number, "me", "ann", "bob")
        self.assertEqual(self.states(), [])

    def test_silent(self) -> None:
        """
        A member of which nothing has come for absenceTimeout is left out, if others have answered.
        """
        self.hear_all()
        self.clock.advance(29)
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(2.1)
        number = self.ask()
        self.answer(number, "me")
        self.assertEqual(self.states(), [])
        self.answer(number, "ann")
        self.assertEqual(self.states(), [("me", "ua", -1)])

    def test_not_silent(self) -> None:
        """
        A member that sends digests is not silent.
        """
        self.hear_all()
        self.clock.advance(29)
        self.assertFalse(self.partition.differs("bob", self.partition._members["bob"].entries.digest))
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(2.1)
        self.answer(self.ask(), "me", "ann")
        self.assertEqual(self.states(), [])

    def test_told_by_another_owner(self) -> None:
        """
        A name that clients were told of, but that no member holds, is in grace, and not announced as gone before that.
        """
        self.partition.sent_whole("me", 0, 1, ["au"], ["uold"])
        self.hear(ann=[], bob=[])
        self.assertEqual(self.states(), [("me", "uold", 1)])
        self.clock.advance(2.1)
        self.answer(self.ask(), "me", "ann", "bob")
        self.assertEqual(self.states(), [("me", "uold", -1)])

    def test_told_too_late(self) -> None:
        """
        A member that is heard late, and was told of a name that is gone, is told so; the others hear nothing.
        """
        self.hear_all()
        self.partition.set_members(("me", "ann", "bob", "cat"))
        self.partition.sent_whole("cat", 0, 1, ["au"], ["uold"])
        self.assertEqual(self.states(), [("cat", "ua", 1), ("cat", "ub", 1), ("cat", "uold", -1)])

    def test_parts(self) -> None:
        """
        A member is heard when all parts have arrived. A part replaces the entries that fall into it.
        """
        self.partition.sent_whole("ann", 0, 2, (), ())
        self.assertIn("ann", self.partition.unheard)
        self.partition.sent_whole("ann", 1, 2, (), ())
        self.assertNotIn("ann", self.partition.unheard)
        self.partition.sent_whole("ann", 5, 2, (), ())
        entries = [f"hu{number}" for number in range(20)]
        self.partition.reported("ann", entries, ())
        self.partition.sent_whole("ann", 0, 2, (), ())
        left = self.partition._members["ann"].entries
        self.assertTrue(0 < len(left) < 20)

    def test_differs(self) -> None:
        """
        The entries of a member are compared by their digest.
        """
        self.hear_all()
        self.assertTrue(self.partition.differs("ann", (0, 0)))
        self.partition.set_members(("me", "ann", "bob", "cat"))
        self.assertFalse(self.partition.differs("cat", (1, 1)))

    def test_sums(self) -> None:
        """
        The digests of what was told are those of members that have been told all.
        """
        self.hear(me=["au"], ann=["hua"])
        self.decide()
        self.assertEqual(list(self.partition.sums()), [])
        self.hear(bob=[])
        self.decide()
        self.partition.set_members(("me", "ann", "bob", "cat"))
        self.assertEqual(
            [(node, digest[0]) for node, digest in self.partition.sums()], [("me", 1), ("ann", 0), ("bob", 0)]
        )

    def test_all(self) -> None:
        """
        A watcher that has something else is sent everything that it was told, in parts.
        """
        self.hear(me=["au"], ann=["hua", "hub", "huc"])
        self.decide()
        self.partition.send_all("me")
        self.assertEqual(self.take(), [])
        self.hear(bob=[])
        self.decide()
        self.partition.send_all("me")
        sent = self.take()
        self.assertEqual([(node, item[:5]) for node, item in sent], [("me", ["all", 3, 7, part, 2]) for part in (0, 1)])
        self.assertEqual(sorted(row for _, item in sent for row in item[5]), [[f"u{n}", 1, []] for n in "abc"])

    def test_unwatched(self) -> None:
        """
        A node that watches no more is told no more, and its digest is that of nothing.
        """
        self.hear_all()
        self.partition.reported("me", (), ["au"])
        self.partition.reported("bob", (), ["wpx", "wpy"])
        self.partition.reported("ann", (), ["hua"])
        self.partition.reported("ann", ["huz"], ())
        self.assertEqual(self.states(), [])
        self.assertEqual({digest for _, digest in self.partition.sums()}, {(0, 0)})

    def test_watched_twice(self) -> None:
        """
        A name that is watched by itself and by its kind is told once, and by itself when it is gone.
        """
        self.hear(me=["au", "wua"], ann=["hua"], bob=[])
        self.assertEqual(self.states(), [("me", "ua", 1)])
        self.partition.reported("ann", (), ["hua"])
        self.clock.advance(2.1)
        self.answer(self.ask(), "me", "ann", "bob")
        self.assertEqual(self.states(), [("me", "ua", 0)])


def long_texts(partition: OwnedPartition) -> list[str]:
    """
    The long texts that a partition keeps.
    """
    found: dict[int, Any] = {}
    rest: list[Any] = [partition]
    while rest:
        value = rest.pop()
        if id(value) in found or isinstance(value, (type, FunctionType, MethodType)):
            continue
        found[id(value)] = value
        if not isinstance(value, str):
            rest += gc.get_referents(value)
    return [value for value in found.values() if isinstance(value, str) and len(value) > LONG]
