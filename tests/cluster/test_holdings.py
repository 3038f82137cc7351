"""
Tests for L{dstwist.cluster.holdings}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.digest import GONE, State
from dstwist.cluster.holdings import Holdings
from dstwist.cluster.messages import Item
from dstwist.cluster.slices import CHARACTERS_PER_MESSAGE
from dstwist.cluster.table import Assignment
from dstwist.config.cluster import ClusterSettings

SETTINGS = ClusterSettings(partitions=1, grace={"u": 2.0}, names_per_item=2)


class FakeMembership:
    """
    One partition, with an owner.
    """

    def __init__(self) -> None:
        self.assignments = [Assignment("owner", 7)]

    def heard(self, partition: int, owner: str, token: int) -> bool:
        return self.assignments[partition] <= Assignment(owner, token)


class FakePeers:
    """
    Remembers what is sent.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, Item]] = []

    def send(self, node: str, item: Item) -> None:
        self.sent.append((node, item))


class HoldingsTests(SynchronousTestCase):
    """
    L{Holdings}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.membership = FakeMembership()
        self.peers = FakePeers()
        self.told: list[tuple[str, str, State]] = []
        self.holdings = Holdings(
            self.membership,  # type: ignore[arg-type]
            self.peers,  # type: ignore[arg-type]
            self.clock,
            SETTINGS,
            lambda kind, name, state: self.told.append((kind, name, state)),
        )

    def sent(self) -> list[Item]:
        self.clock.advance(0)
        sent, self.peers.sent = self.peers.sent, []
        self.assertEqual({node for node, _ in sent} - {"owner"}, set())
        return [item for _, item in sent]

    def tell(self, *rows: tuple[str, int, list[str]]) -> None:
        self.holdings.told_states("owner", 0, 7, rows)

    def test_report(self) -> None:
        """
        What changes in one turn is reported together, and only what is different at its end.
        """
        self.holdings.hold("u", "a")
        self.holdings.hold("u", "a")
        self.holdings.watch("p", "b")
        self.assertEqual(self.sent(), [["report", 0, 7, ["hua", "wpb"], []]])
        self.holdings.release("u", "a")
        self.holdings.release("u", "a")
        self.holdings.unwatch("p", "b")
        self.holdings.watch_all("u")
        self.assertEqual(self.sent(), [["report", 0, 7, [], ["hua", "wpb"]], ["report", 0, 7, ["au", "w*u"], []]])
        self.assertEqual(self.sent(), [])

    def test_no_owner(self) -> None:
        """
        Without an owner nothing is sent.
        """
        self.membership.assignments = [Assignment(None, 0)]
        self.holdings.hold("u", "a")
        self.holdings.send_digests()
        self.assertEqual(self.sent(), [])

    def test_digests(self) -> None:
        """
        The digest follows the changes of its turn.
        """
        self.holdings.hold("u", "a")
        self.holdings.send_digests()
        report, digests = self.sent()
        self.assertEqual((report[0], digests[0], digests[1][0][:3]), ("report", "digests", [0, 7, 1]))

    def test_asked(self) -> None:
        """
        An owner that asks is sent all entries, and what this node was told is there, in parts.
        """
        for name in "abc":
            self.holdings.hold("u", name)
        self.holdings.watch_all("u")
        self.tell(("ux", 1, []), ("uy", 1, []), ("uy", -1, []))
        self.sent()
        self.holdings.asked("owner", 0, 7)
        sent = self.sent()
        self.assertEqual([item[:5] for item in sent], [["whole", 0, 7, part, 3] for part in range(3)])
        self.assertEqual(sorted(entry for item in sent for entry in item[5]), ["au", "hua", "hub", "huc", "w*u"])
        self.assertEqual([key for item in sent for key in item[6]], ["ux"])

    def test_long_names(self) -> None:
        """
        A message has fewer names if they are long.
        """
        names = [letter * CHARACTERS_PER_MESSAGE for letter in "ab"]
        for name in names:
            self.holdings.hold("u", name)
        self.assertEqual([item[3:] for item in self.sent()], [[[f"hu{name}"], []] for name in names])
        self.holdings.asked("owner", 0, 7)
        self.assertEqual([item[3:5] for item in self.sent()], [[part, 3] for part in range(3)])

    def test_question(self) -> None:
        """
        A question is answered by the names that are held, and by those that were released lately.
        """
        self.holdings.hold("u", "a")
        self.holdings.hold("u", "b")
        self.holdings.release("u", "b")
        self.clock.advance(1.5)
        self.sent()
        self.holdings.questioned("owner", 0, 7, 4, ["ua", "ub", "uc"])
        self.assertEqual(self.sent(), [["answer", 0, 7, 4, ["ua"], [["ub", 1500]]]])

    def test_released_long_ago(self) -> None:
        """
        A release is remembered for the grace time and a little longer.
        """
        self.holdings.hold("u", "b")
        self.holdings.release("u", "b")
        for seconds, released in ((3.7, [["ub", 3700]]), (0.1, [])):
            self.clock.advance(seconds)
            self.holdings.send_digests()
            self.sent()
            self.holdings.questioned("owner", 0, 7, 4, ["ub"])
            self.assertEqual(self.sent()[0][5], released)

    def test_held_again(self) -> None:
        """
        A name that is held again is not released.
        """
        self.holdings.hold("u", "a")
        self.holdings.release("u", "a")
        self.holdings.hold("u", "a")
        self.sent()
        self.holdings.questioned("owner", 0, 7, 4, ["ua"])
        self.assertEqual(self.sent()[0][4:], [["ua"], []])

    def test_told(self) -> None:
        """
        States of watched names are told when they change.
        """
        self.holdings.watch_all("u")
        self.holdings.watch("p", "x")
        self.tell(("ua", 1, []), ("ua", 1, []), ("px", 1, ["n"]), ("px", 1, ["m"]), ("px", 0, []), ("ua", -1, []))
        there: State = (True, ())
        self.assertEqual(
            self.told,
            [
                ("u", "a", there),
                ("p", "x", (True, ("n",))),
                ("p", "x", (True, ("m",))),
                ("p", "x", GONE),
                ("u", "a", GONE),
            ],
        )
        self.assertEqual((self.holdings.state("p", "x"), self.holdings.state("u", "a")), (GONE, None))

    def test_unwatched(self) -> None:
        """
        States of names that are not watched, or not any more, are not told and not kept.
        """
        self.tell(("ua", 1, []))
        self.holdings.watch("u", "a")
        self.assertIsNone(self.holdings.state("u", "a"))
        self.tell(("ua", 1, []))
        self.holdings.watch_all("u")
        self.holdings.unwatch("u", "a")
        self.assertEqual(list(self.holdings.known("u")), ["a"])
        self.holdings.watch("u", "b")
        self.tell(("ub", 1, []))
        # A name that is watched itself is not forgotten.
        self.assertEqual(list(self.holdings.unwatch_all("u")), [["a"]])
        self.assertEqual((list(self.holdings.known("u")), len(self.told)), (["b"], 2))

    def test_all_told(self) -> None:
        """
        All names of a kind are known when the owner has said so, as long as they are watched.
        """
        self.assertFalse(self.holdings.all_told("u"))
        self.holdings.watch_all("u")
        self.tell(("ua", 1, []))
        self.assertFalse(self.holdings.all_told("u"))
        self.tell(("*u", 0, []))
        self.assertTrue(self.holdings.all_told("u"))
        self.assertFalse(self.holdings.all_told("p"))
        list(self.holdings.unwatch_all("u"))
        self.assertFalse(self.holdings.all_told("u"))

    def test_lower_token(self) -> None:
        """
        Owners that were replaced are not heard, whatever they say.
        """
        self.holdings.watch_all("u")
        self.holdings.hold("u", "a")
        self.sent()
        self.holdings.told_states("owner", 0, 6, [("ux", 1, [])])
        self.holdings.told_all("owner", 0, 6, 0, 1, [("ux", 1, [])])
        self.holdings.summed("owner", 0, 6, (5, 5))
        self.holdings.asked("owner", 0, 6)
        self.holdings.questioned("owner", 0, 6, 1, ["ua"])
        self.assertEqual((self.told, self.sent()), ([], []))

    def test_sums(self) -> None:
        """
        A digest that differs from that of the states is answered by a request for all of them.
        """
        self.holdings.watch_all("u")
        self.tell(("ua", 1, []))
        self.sent()
        self.holdings.summed("owner", 0, 7, self.holdings._states[0].digest)
        self.assertEqual(self.sent(), [])
        self.holdings.summed("owner", 0, 7, (0, 0))
        self.assertEqual(self.sent(), [["unequal", 0, 7]])

    def test_all(self) -> None:
        """
        All states replace those that are there; a name that is watched by itself is kept until its state comes.
        """
        self.holdings.watch_all("u")
        self.holdings.watch("p", "x")
        self.tell(("ua", 1, []), ("ub", 1, []), ("px", 1, []))
        self.told.clear()
        self.holdings.told_all("owner", 0, 7, 0, 1, [("ub", 1, []), ("uc", 1, [])])
        self.assertEqual(self.told, [("u", "a", GONE), ("u", "c", (True, ()))])
        self.assertEqual(self.holdings.state("p", "x"), (True, ()))

    def test_part(self) -> None:
        """
        A part of all states replaces those that fall into it.
        """
        self.holdings.watch_all("u")
        self.tell(*((f"u{number}", 1, []) for number in range(20)))
        self.holdings.told_all("owner", 0, 7, 0, 2, [])
        left = len(list(self.holdings.known("u")))
        self.assertTrue(0 < left < 20)
        self.holdings.told_all("owner", 0, 7, 0, 0, [])
        self.holdings.told_all("owner", 0, 7, 1, 2, [])
        self.assertEqual(list(self.holdings.known("u")), [])

    def test_stop(self) -> None:
        """
        After the end nothing is sent.
        """
        self.holdings.hold("u", "a")
        self.holdings.stop()
        self.assertEqual(self.sent(), [])
