"""
Tests for L{dstwist.cluster.comparison}.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.comparison import Comparison
from dstwist.cluster.record_news import NewsGate
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StoreError
from dstwist.record import Record


class ComparisonTests(SynchronousTestCase):
    """
    L{Comparison}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        settings = ClusterSettings(compare_interval=60, heads_batch=2, heads_window=2)
        self.looked: list[str] = []
        self.asked: list[tuple[list[str], Deferred[dict[str, int]]]] = []
        self.gate = NewsGate(self.clock, settings, lambda news: None, self.read, lambda *told: None, lambda *back: None)
        self.comparison = Comparison(self.gate, self.heads, self.clock, settings)
        self.at_once = False
        self.addCleanup(self.comparison.stop)

    def read(self, name: str) -> Deferred[Record | None]:
        self.looked.append(name)
        return succeed(Record(5, {}))

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        if self.at_once:
            self.asked.append((list(names), Deferred()))
            return succeed(dict.fromkeys(names, 5))
        self.asked.append((list(names), Deferred()))
        return self.asked[-1][1]

    def open(self, names: str) -> None:
        for name in names:
            self.gate.begin(name)
            self.gate.opened(name, 5)

    def names(self) -> list[str]:
        return ["".join(names) for names, _ in self.asked]

    def answer(self, **heads: int) -> None:
        names, answered = self.asked.pop(0)
        answered.callback({name: heads.get(name, 5) for name in names})

    def test_at_once(self) -> None:
        """
        A record that is reported is compared at once, and read if the arbiter has another version.
        """
        self.open("ab")
        self.comparison.compare("b")
        self.answer(b=5)
        self.assertEqual(self.looked, [])
        self.comparison.compare("a")
        self.answer(a=6)
        self.assertEqual((self.looked, self.comparison.waiting), (["a"], 0))

    def test_distrusted(self) -> None:
        """
        A record that may be another one of the same version is read.
        """
        self.open("ab")
        self.gate.distrust("a")
        self.comparison.compare("a")
        self.comparison.compare("b")
        self.answer()
        self.answer()
        self.assertEqual(self.looked, ["a"])

    def test_unknown(self) -> None:
        """
        A record without subscribers is not compared, and one whose subscribers have left is not read.
        """
        self.comparison.compare("a")
        self.assertEqual(self.asked, [])
        self.open("a")
        self.comparison.compare("a")
        self.gate.closed("a")
        self.answer(a=9)
        self.assertEqual(self.looked, [])

    def test_window(self) -> None:
        """
        Only some batches are under way at a time, in the order of the reports.
        """
        self.open("fedcba")
        for name in "abcdef":
            self.comparison.compare(name)
        self.assertEqual((self.names(), self.comparison.waiting), (["a", "b"], 4))
        self.answer()
        self.assertEqual(self.names(), ["b", "cd"])
        self.answer()
        self.answer()
        self.assertEqual(self.names(), ["ef"])

    def test_interval(self) -> None:
        """
        In each interval all records are compared once.
        """
        self.open("abcdef")
        self.at_once = True
        self.comparison.start()
        for _ in range(60):
            self.clock.advance(1)
        self.assertEqual(sorted("".join(self.names())), list("abcdef"))
        for _ in range(60):
            self.clock.advance(1)
        self.assertEqual(sorted("".join(self.names())), list("aabbccddeeff"))

    def test_failed(self) -> None:
        """
        If the arbiter cannot be asked, the same records are compared in the next step.
        """
        self.open("abc")
        self.comparison.start()
        self.comparison.compare("c")
        self.comparison.compare("b")
        self.asked.pop(0)[1].errback(StoreError("away"))
        self.asked.pop(0)[1].errback(StoreError("away"))
        self.assertEqual(self.asked, [])
        self.clock.advance(1)
        self.assertEqual(sorted(self.names()[0]), ["b", "c"])

    def test_not_read(self) -> None:
        """
        A record that could not be read is compared in the next step.
        """
        self.open("ab")
        self.comparison.start()
        self.gate.read_failed("b")
        self.assertEqual(self.asked, [])
        self.clock.advance(1)
        self.assertEqual(self.names()[0], "b")

    def test_many(self) -> None:
        """
        A store that answers at once is asked in a loop, not in a recursion.
        """
        self.at_once = True
        names = [str(number) for number in range(5000)]
        self.gate._versions.update(dict.fromkeys(names, 5))
        self.comparison._urgent.update(dict.fromkeys(names))
        self.comparison.compare("0")
        self.assertEqual((self.comparison.waiting, len(self.asked)), (0, 2500))

    def test_stop(self) -> None:
        """
        After the end nothing is asked.
        """
        self.open("abc")
        self.comparison.start()
        self.comparison.compare("a")
        self.comparison.compare("b")
        self.comparison.compare("c")
        self.comparison.stop()
        self.answer()
        self.clock.advance(100)
        self.assertEqual(self.names(), ["b"])
