"""
Finds out whether one pattern matches every name that another pattern matches. The longest pattern decides, so if it
also matches all names of a shorter one, the rules of the shorter one are never used.

Only patterns of plain characters, C{.}, C{*} and path variables are compared. Line ends in names are ignored.
"""

from __future__ import annotations

import re

#: The most steps for one pair of patterns.
MAX_PAIR_STEPS = 2000

_TOKEN = re.compile(
    r"(?P<variable>\$[a-zA-Z0-9]+)|(?P<any>\*)|(?P<one>\.)|\\(?P<escaped>[^a-zA-Z0-9])|(?P<plain>[^\\^$+?()\[\]{}|])"
)

# A step is one character, or one of these. They have several characters, so they are equal to no single one.
_ANY = "any"
_NO_SLASH = "no slash"
# A character that no pattern has, and the text for each kind of step in a sample.
_RARE_CHARACTER = "\ue000"
_SAMPLES = {_ANY: f"{_RARE_CHARACTER}/{_RARE_CHARACTER}", _NO_SLASH: _RARE_CHARACTER}
# Stands for all characters that are in neither pattern.
_OTHER_CHARACTERS = ""


class Shape:
    """
    A pattern as a sequence of steps: a non-deterministic automaton.

    @ivar prefix: the text that every matching name begins with.
    @ivar sample: a matching name. A pattern that matches it very probably matches all names of this pattern.
    """

    __slots__ = ("loops", "prefix", "sample", "steps")

    def __init__(self, steps: list[str], loops: list[str | None]) -> None:
        self.steps = steps
        # Before each step, and at the end: the kind of characters that may come there any number of times.
        self.loops = loops
        fixed = 0
        while fixed < len(steps) and loops[fixed] is None and len(steps[fixed]) == 1:
            fixed += 1
        self.prefix = "".join(steps[:fixed])
        self.sample = "".join(
            ("" if loop is None else _SAMPLES[loop]) + (step if len(step) == 1 else _RARE_CHARACTER)
            for loop, step in zip(loops, [*steps, "\n"], strict=True)
        )[:-1]

    def next(self, place: int) -> tuple[str, ...]:
        """
        The one character that can follow at C{place}; empty if there are several.
        """
        if self.loops[place] is not None or (place < len(self.steps) and len(self.steps[place]) > 1):
            return ()
        return (self.steps[place],) if place < len(self.steps) else (_OTHER_CHARACTERS,)

    def after(self, places: frozenset[int], character: str) -> frozenset[int]:
        """
        The places that C{character} leads to from C{places}.
        """
        found = set()
        for place in places:
            if _takes(self.loops[place], character):
                found.add(place)
            if place < len(self.steps) and _takes(self.steps[place], character):
                found.add(place + 1)
        return frozenset(found)


def _takes(step: str | None, character: str) -> bool:
    if step is None:
        return False
    return step == _ANY or (step == _NO_SLASH and character != "/") or (step == character and len(step) == 1)


def shape_of(pattern: str) -> Shape | None:
    """
    The shape of a pattern; C{None} if the pattern has other constructs.
    """
    steps: list[str] = []
    loops: list[str | None] = [None]
    at = 0
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None:
            return None
        at = found.end()
        if found["any"]:
            loops[-1] = _ANY
        elif found["variable"]:
            steps.append(_NO_SLASH)
            loops.append(_NO_SLASH)
        else:
            steps.append(_ANY if found["one"] else found["escaped"] or found["plain"])
            loops.append(None)
    return Shape(steps, loops)


def covers(wide: Shape, narrow: Shape) -> bool:
    """
    Whether C{wide} matches every name that C{narrow} matches. C{False} also if that takes more than L{MAX_PAIR_STEPS}.
    """
    alphabet = {step for shape in (wide, narrow) for step in shape.steps if len(step) == 1} | {"/", _OTHER_CHARACTERS}
    start = (0, frozenset((0,)))
    seen, waiting = {start}, [start]
    end, last = len(narrow.steps), len(wide.steps)
    for _ in range(MAX_PAIR_STEPS):
        if not waiting:
            return True
        place, others = waiting.pop()
        if place == end and last not in others:
            return False
        for character in narrow.next(place) or alphabet:
            there = narrow.after(frozenset((place,)), character)
            if there:
                reached = wide.after(others, character)
                for next_place in there:
                    if (next_place, reached) not in seen:
                        seen.add((next_place, reached))
                        waiting.append((next_place, reached))
    return False
