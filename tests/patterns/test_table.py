"""
Many patterns and one name.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from dstwist.patterns.javascript import InvalidPattern, Pattern, compile_pattern
from dstwist.patterns.table import BLOCK_PATTERNS, NAMES_BEFORE_COMPILING, PatternTable
from tests.patterns.test_javascript import CASES, some_pattern


class MatchingTests(SynchronousTestCase):
    """
    L{PatternTable}. The value of each pattern is its text; it is counted how many are matched one by one.
    """

    def setUp(self) -> None:
        self.table: PatternTable[str] = PatternTable()
        self.singles = 0

    def add(self, *texts: str) -> None:
        for text in texts:
            expression, matches = compile_pattern(text, 1000)

            def counted(name: str, matches: Callable[[str], bool] = matches) -> bool:
                self.singles += 1
                return matches(name)

            self.table.add(text, Pattern(expression, counted), text)

    def ask(self, name: str, times: int = NAMES_BEFORE_COMPILING) -> list[str]:
        """
        The patterns that match C{name}, each time it is asked.
        """
        found = [self.table.matching(name) for _ in range(times)]
        self.assertEqual(found, [found[0]] * times)
        return found[0]

    def cost(self, name: str) -> int:
        """
        How many patterns are matched one by one for C{name}.
        """
        before = self.singles
        self.table.matching(name)
        return self.singles - before

    def test_order(self) -> None:
        """
        Patterns come in the order in which they were added, however often that was asked and in how many blocks.
        """
        texts = (
            [f"{number % 10}.*" for number in range(10)]
            + [f"^x{number}" for number in range(2 * BLOCK_PATTERNS)]
            + ["x", "^"]
        )
        random.Random(5).shuffle(texts)
        self.add(*texts)
        for name in ("x17", "3", "", "y"):
            expected = [text for text in texts if compile_pattern(text, 10).matches(name)]
            self.assertEqual(self.ask(name, 3 * NAMES_BEFORE_COMPILING), expected)
        self.assertEqual(self.cost("x17"), 0)

    def test_nothing(self) -> None:
        """
        No pattern matches nothing.
        """
        self.assertEqual(self.ask("a"), [])
        self.add("b")
        self.assertEqual(self.ask("a", 2 * NAMES_BEFORE_COMPILING), [])
        self.table.remove("b")
        self.assertEqual(self.ask("b", 2 * NAMES_BEFORE_COMPILING), [])
        self.assertEqual((len(self.table), self.table.get("b")), (0, None))

    def test_one_pass(self) -> None:
        """
        A name is matched with all patterns in one pass, once that has paid.
        """
        self.add(*(f"a{number}" for number in range(BLOCK_PATTERNS)))
        self.assertEqual(
            [self.cost("a") for _ in range(NAMES_BEFORE_COMPILING + 1)], [BLOCK_PATTERNS] * NAMES_BEFORE_COMPILING + [0]
        )

    def test_changes(self) -> None:
        """
        A change is seen at once, and costs no more than the block in which it is: the others stay compiled.
        """
        self.add(*(f"^a{number}$" for number in range(2 * BLOCK_PATTERNS)))
        self.ask("a1", 2 * NAMES_BEFORE_COMPILING)
        self.assertEqual(self.cost("a1"), 0)
        self.table.remove("^a1$")
        self.assertEqual(self.table.matching("a1"), [])
        self.assertEqual(self.cost("a1"), BLOCK_PATTERNS - 1)
        self.add("^a1")
        self.assertEqual(self.table.matching("a1"), ["^a1"])
        self.assertEqual(self.cost("a1"), BLOCK_PATTERNS - 1 + 1)
        self.ask("a1")
        self.assertEqual(self.cost("a1"), 0)

    def test_restless(self) -> None:
        """
        While patterns come and go all the time nothing is compiled in vain.
        """
        self.add("a")
        for number in range(20):
            self.add(f"b{number}")
            self.assertEqual(self.table.matching("ab"), ["a"])
            self.table.remove(f"b{number}")
        self.assertEqual(self.cost("ab"), 1)

    def test_filled_up(self) -> None:
        """
        When most patterns have gone, the rest is matched in as few passes as if they had never been.
        """
        self.add(*(f"^a{number}$" for number in range(10 * BLOCK_PATTERNS)))
        for number in range(10 * BLOCK_PATTERNS):
            if number % BLOCK_PATTERNS:
                self.table.remove(f"^a{number}$")
        self.assertEqual(len(self.table), 10)
        self.assertLess(len(self.table._blocks), 3)
        self.assertEqual([self.table.matching(f"a{number}") for number in (0, 1)], [["^a0$"], []])
        for number in range(0, 10 * BLOCK_PATTERNS, BLOCK_PATTERNS):
            self.table.remove(f"^a{number}$")
        self.assertEqual((self.table._blocks, self.table._homes, self.table._values), ([], {}, {}))

    def test_too_large(self) -> None:
        """
        Patterns that are too large to be compiled together are matched in several passes, and can all be removed.
        """
        texts = [f"(a|b{number}){{40}}.{{20}}c{number}" for number in range(BLOCK_PATTERNS)]
        self.add(*texts)
        name = "a" * 60 + "c7"
        self.assertEqual(self.ask(name, 20 * NAMES_BEFORE_COMPILING), ["(a|b7){40}.{20}c7"])
        self.assertEqual(self.cost(name), 0)
        self.assertGreater(len(self.table._blocks), 1)
        for text in texts:
            self.table.remove(text)
        self.assertEqual(self.ask(name), [])
        self.assertEqual((self.table._blocks, self.table._homes), ([], {}))

    def test_same(self) -> None:
        """
        In one pass matches what matches one by one, whatever the patterns and names.
        """
        rng = random.Random(7)
        names = sorted({name for _, matching, others in CASES for name in matching + others})
        names += ["".join(rng.choices("ab/1_-{},]é \n\b\\cz", k=rng.randrange(12))) for _ in range(100)]
        singles: dict[str, Pattern] = {}
        for text in [pattern for pattern, _, _ in CASES] + [some_pattern(rng) for _ in range(2000)]:
            try:
                singles.setdefault(text, compile_pattern(text, 1000))
            except InvalidPattern:
                continue
        for text, pattern in singles.items():
            self.table.add(text, pattern, text)
        for _ in range(len(singles) // BLOCK_PATTERNS + NAMES_BEFORE_COMPILING + 1):
            self.table.matching("")
        self.assertTrue(all(block._set is not None for block in self.table._blocks))
        for name in names:
            expected = [text for text, pattern in singles.items() if pattern.matches(name)]
            self.assertEqual(self.table.matching(name), expected, ascii(name))
