"""
Finds the patterns that match a name, in one pass over the name.

RE2 can match a set of expressions at once, which takes as long as to match one expression, however many there are. But
a set cannot be changed, and to compile it takes about as long as to match some names with each of its patterns. So the
patterns are kept in blocks. A block

- is matched pattern by pattern at first, and compiled when it has been asked a few times without a change;
- loses its set when it is changed, while the other blocks keep theirs;
- is split in two if it is too large to be compiled.

Matching patterns are found in the order in which they were added.
"""

from __future__ import annotations

from itertools import islice
from typing import Generic, TypeVar

import re2  # type: ignore[import-untyped]

from dstwist.patterns.javascript import MAX_COMPILED_SIZE, Pattern

T = TypeVar("T")

#: The most patterns that are compiled together. So many take a millisecond; ten thousand take a tenth of a second.
BLOCK_PATTERNS = 128

#: The number of names that are matched pattern by pattern before a block is compiled, which takes about as long.
NAMES_BEFORE_COMPILING = 8

# The bytes of memory that a compiled set may always take. Larger sets may take as much as their patterns alone.
_MIN_SET_BYTES = 1 << 20


class _Block(Generic[T]):
    __slots__ = ("_asked", "_set", "_values", "entries")

    def __init__(self, entries: dict[str, tuple[Pattern, T]]) -> None:
        self.entries = entries
        self.changed()

    def changed(self) -> None:
        self._asked = 0
        self._set: re2.Set | None = None
        self._values: list[T] = []

    def matching(self, name: str) -> list[T]:
        if self._set is None:
            self._asked += 1
            return [value for pattern, value in self.entries.values() if pattern.matches(name)]
        found = self._set.Match(name)
        return [self._values[index] for index in sorted(found)] if found else []

    def wants_compiling(self) -> bool:
        return self._asked >= NAMES_BEFORE_COMPILING and self._set is None

    def compile(self) -> bool:
        """
        Match in one pass from now on.

        @return: whether that is possible.
        """
        options = re2.Options()
        options.max_mem = max(len(self.entries) * MAX_COMPILED_SIZE, _MIN_SET_BYTES)
        options.log_errors = False
        made = re2.Set.SearchSet(options)
        try:
            for pattern, _ in self.entries.values():
                made.Add(pattern.expression)
            # This also fails if too little of that memory would be left for matching.
            made.Compile()
        except re2.error:
            self._asked = 0
            return False
        self._values = [value for _, value in self.entries.values()]
        self._set = made
        return True

    def halves(self) -> list[_Block[T]]:
        items = self.entries.items()
        middle = len(items) // 2
        return [_Block(dict(islice(items, middle))), _Block(dict(islice(items, middle, None)))]


class PatternTable(Generic[T]):
    """
    Patterns, each with its text and a value.
    """

    def __init__(self) -> None:
        self._values: dict[str, T] = {}
        self._homes: dict[str, _Block[T]] = {}
        self._blocks: list[_Block[T]] = []
        # The number of patterns that were removed since the blocks were last filled up.
        self._removed = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, text: str) -> T | None:
        return self._values.get(text)

    def add(self, text: str, pattern: Pattern, value: T) -> None:
        """
        Add C{pattern}, whose text is not in here.
        """
        if not self._blocks or len(self._blocks[-1].entries) >= BLOCK_PATTERNS:
            self._blocks.append(_Block({}))
        block = self._homes[text] = self._blocks[-1]
        self._values[text] = value
        block.entries[text] = (pattern, value)
        block.changed()

    def remove(self, text: str) -> None:
        """
        Remove the pattern with C{text}, which is in here.
        """
        del self._values[text]
        block = self._homes.pop(text)
        del block.entries[text]
        block.changed()
        self._removed += 1
        if self._removed > len(self._values):
            self._fill_up()

    def matching(self, name: str) -> list[T]:
        """
        The values of the patterns that C{name} matches.
        """
        if len(self._blocks) == 1:
            found = self._blocks[0].matching(name)
        else:
            found = [value for block in self._blocks for value in block.matching(name)]
        for number, block in enumerate(self._blocks):
            if block.wants_compiling():
                self._compile(number, block)
                # One block at a time, because compiling takes long.
                break
        return found

    def _compile(self, number: int, block: _Block[T]) -> None:
        if block.compile() or len(block.entries) < 2:
            return
        halves = block.halves()
        self._blocks[number : number + 1] = halves
        for half in halves:
            for text in half.entries:
                self._homes[text] = half

    def _fill_up(self) -> None:
        """
        Use as few blocks as possible.
        """
        entries = [item for block in self._blocks for item in block.entries.items()]
        self._blocks = [
            _Block(dict(entries[start : start + BLOCK_PATTERNS])) for start in range(0, len(entries), BLOCK_PATTERNS)
        ]
        self._homes = {text: block for block in self._blocks for text in block.entries}
        self._removed = 0
