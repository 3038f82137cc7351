"""
Tests for L{dstwist.cluster.shared_patterns}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.messages import Item
from dstwist.cluster.shared_patterns import SharedPatterns, entry
from dstwist.cluster.slices import CHARACTERS_PER_MESSAGE
from tests.cluster.stage import Stage
from tests.logs import Lines


class SharedPatternsTests(SynchronousTestCase):
    """
    L{SharedPatterns} on nodes that share a bus.
    """

    def build(self, count: int = 2) -> list[SharedPatterns]:
        self.stage = Stage(self, count)
        self.news: list[list[str]] = []
        shared = [self.share(number) for number in range(count)]
        self.stage.start()
        return shared

    def share(self, number: int, max_length: int = 100) -> SharedPatterns:
        patterns = SharedPatterns("r", self.stage.nodes[number], max_length)
        news: list[str] = []
        self.news.append(news)
        patterns.observe(lambda: news.append("pattern"), lambda: news.append("listener"), lambda: news.append("gone"))
        self.addCleanup(patterns.stop)
        return patterns

    def node(self, number: int) -> str:
        return self.stage.nodes[number].membership.node

    def take_news(self, number: int) -> list[str]:
        news = list(self.news[number])
        self.news[number].clear()
        return news

    def test_entry(self) -> None:
        """
        An entry is a number and a pattern.
        """
        for value in ("1 a", "10 ", "12 a b", "0  "):
            self.assertTrue(entry(value), value)
        for other in ("", "1", " a", "a b", "-1 a", "\u00b2 a", "1" * 16 + " a", None, 1, ["1 a"]):
            self.assertFalse(entry(other), other)

    def test_shared(self) -> None:
        """
        Each node knows the patterns of all nodes, and the latest registrations for those that a name matches.
        """
        ann, bob = self.build()
        self.assertFalse(ann.matches("a/1"))
        ann.put("^a/", 3)
        ann.put("1$", 7)
        bob.put("^a/", 5)
        bob.put("^b/", 9)
        self.stage.turn()
        for patterns in (ann, bob):
            self.assertEqual(patterns.listeners("a/1"), {self.node(0): 7, self.node(1): 5})
            self.assertEqual(patterns.listeners("b/2"), {self.node(1): 9})
            self.assertEqual([patterns.matches(name) for name in ("a/1", "b/2", "c")], [True, True, False])

    def test_at_once(self) -> None:
        """
        The patterns of this node match at once.
        """
        ann, _ = self.build()
        ann.put("^a/", 1)
        self.assertTrue(ann.matches("a/1"))
        ann.remove("^a/")
        self.assertFalse(ann.matches("a/1"))

    def test_observers(self) -> None:
        """
        Observers hear of a new pattern, of a new listener for a pattern that is known, and of a pattern to which no
        client of any node listens any more.
        """
        ann, bob = self.build()
        ann.put("^a/", 1)
        self.stage.turn()
        self.assertEqual(self.take_news(1), ["pattern", "listener"])
        ann.put("^a/", 2)
        self.stage.turn()
        self.assertEqual(self.take_news(1), ["listener"])
        bob.put("^a/", 1)
        self.assertEqual(self.take_news(1), ["listener"])
        ann.remove("^a/")
        self.stage.turn()
        self.assertEqual(self.take_news(1), [])
        bob.remove("^a/")
        bob.remove("^a/")
        self.assertEqual(self.take_news(1), ["gone"])

    def test_changes_of_a_turn(self) -> None:
        """
        A pattern that comes and goes in one turn, or goes and comes, is as it is at the end.
        """
        ann, bob = self.build()
        ann.put("^a/", 1)
        ann.remove("^a/")
        ann.put("^b/", 2)
        self.stage.turn()
        self.assertEqual([bob.matches(name) for name in ("a/", "b/")], [False, True])
        ann.remove("^b/")
        ann.put("^b/", 3)
        self.stage.turn()
        self.assertEqual(bob.listeners("b/"), {self.node(0): 3})

    def test_w42_lost(self) -> None:
        """
        What gets lost is made up for at the next digest, whether patterns have come or gone.
        """
        ann, bob = self.build()
        ann.put("^a/", 1)
        self.stage.turn()
        self.stage.bus(0).disconnect()
        ann.put("^b/", 2)
        ann.remove("^a/")
        self.stage.turn()
        self.stage.bus(0).reconnect()
        self.stage.turn()
        self.assertEqual([bob.matches(name) for name in ("a/", "b/")], [True, False])
        self.stage.advance(1.5)
        self.assertEqual([bob.matches(name) for name in ("a/", "b/")], [False, True])

    def test_many(self) -> None:
        """
        Many patterns are sent in parts, and patterns that have gone are missing in their part.
        """
        ann, bob = self.build()
        self.stage.bus(0).disconnect()
        for number in range(1200):
            ann.put(f"^{number}/", number)
        self.stage.advance(0.5)
        self.stage.bus(0).reconnect()
        self.stage.advance(1.5)
        self.assertTrue(all(bob.matches(f"{number}/") for number in range(1200)))
        self.stage.bus(0).disconnect()
        for number in range(0, 1200, 2):
            ann.remove(f"^{number}/")
        self.stage.advance(0.5)
        self.stage.bus(0).reconnect()
        self.stage.advance(1.5)
        self.assertEqual([bob.matches(f"{number}/") for number in range(1200)], [False, True] * 600)

    def test_long_patterns(self) -> None:
        """
        Messages with patterns are limited in their characters, as all messages between nodes: changes, and the whole.
        """
        self.stage = Stage(self, 2)
        self.news = []
        ann, bob = (self.share(number, 2000) for number in range(2))
        self.stage.start()
        sent: list[list[str]] = []
        peers = self.stage.nodes[0].peers
        send = peers.send

        def note(node: str, item: Item) -> None:
            # The only fields that are lists are those with patterns.
            sent.extend(field for field in item[1:] if isinstance(field, list))
            send(node, item)

        self.patch(peers, "send", note)
        for number in range(300):
            ann.put(f"^{number}/" + "x" * 1000, 1)
        self.stage.advance(1)
        self.assertTrue(bob.matches("299/" + "x" * 1000))
        ann._asked(self.node(1))
        self.assertGreaterEqual(sum(map(len, sent)), 600)
        self.assertLessEqual(max(sum(map(len, lines)) for lines in sent), CHARACTERS_PER_MESSAGE)

    def test_w47_new_node(self) -> None:
        """
        A node that joins knows the patterns of the others before it takes clients, and the others know its own.
        """
        ann, _ = self.build()
        ann.put("^a/", 1)
        cat = self.stage.make_node()
        patterns = self.share(2)
        patterns.put("^c/", 1)
        started = cat.start()
        while not started.called:
            self.stage.advance(0.001)
        self.stage.turn()
        self.assertTrue(patterns.matches("a/"))
        self.assertTrue(ann.matches("c/"))
        self.addCleanup(cat.membership.stop)

    def test_dead_node(self) -> None:
        """
        The patterns of a dead node are forgotten; those of others stay.
        """
        ann, bob, cat = self.build(3)
        bob.put("^a/", 1)
        cat.put("^a/", 1)
        bob.put("^b/", 2)
        self.stage.turn()
        self.stage.kill(1)
        self.stage.advance(12)
        self.assertEqual(ann.listeners("a/"), {self.node(2): 1})
        self.assertFalse(ann.matches("b/"))

    def test_found_dead(self) -> None:
        """
        A node that was found dead and joins anew has its patterns.
        """
        ann, bob = self.build()
        bob.put("^a/", 1)
        self.stage.turn()
        before = self.node(1)
        table = self.stage.nodes[0].membership.table
        others = {node: member for node, member in table.members.items() if node != before}
        self.stage.table.document = (
            table.planned(table.version + 1, others, others)
            .encode()
            .replace(b'"version":%d' % table.version, b'"version":%d' % (table.version + 1))
        )
        self.stage.advance(10)
        self.assertNotEqual(self.node(1), before)
        self.assertEqual(ann.listeners("a/"), {self.node(1): 1})
        self.assertEqual(bob.listeners("a/"), {self.node(1): 1})

    def test_bad_pattern(self) -> None:
        """
        A pattern of another node that this one cannot use, because it is too long here, matches nothing, and is logged.
        """
        lines = Lines(self)
        self.stage = Stage(self, 2)
        self.news = []
        ann, bob = self.share(0, 1000), self.share(1, 10)
        self.stage.start()
        ann.put("x" * 11, 2)
        ann.put("^b/", 3)
        self.stage.advance(3)
        self.assertEqual([bob.matches(name) for name in ("x" * 20, "b/")], [False, True])
        (warned,) = [line for line in lines.of("warn") if "cannot use" in line]
        self.assertIn(f"{self.node(0)} listens to a pattern that this node cannot use: {'x' * 11}: ", warned)
        ann.remove("x" * 11)
        self.stage.advance(3)
        self.assertEqual(self.take_news(1), ["pattern", "listener"])
