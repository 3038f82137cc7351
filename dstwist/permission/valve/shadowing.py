"""
Whether one pattern of names matches every name that another one matches: then a rule of the longer one hides that of
the shorter one.

Only patterns of plain characters, C{.}, C{*} and path variables are compared; of others nothing is said. Line ends in
names are left out of account.
"""

from __future__ import annotations

import re

#: So many steps are taken for one pair of patterns at most.
MAX_STEPS = 2000

_TOKEN = re.compile(
    r"(?P<variable>\$[a-zA-Z0-9]+)|(?P<any>\*)|(?P<one>\.)|\\(?P<escaped>[^a-zA-Z0-9])|(?P<plain>[^\\^$+?()\[\]{}|])"
)

# What a step may be: one character, or one of these, which no single character is equal to.
_ANY = "any"
_NO_SLASH = "no slash"
# A character that no pattern has, and what is put in the place of steps.
_RARE = "\ue000"
_SAMPLES = {_ANY: f"{_RARE}/{_RARE}", _NO_SLASH: _RARE}
# Stands for each character that is in neither pattern.
_OTHER = ""


class Shape:
    """
    A pattern as a row of steps.

    @ivar prefix: what every matching name begins with.
    @ivar sample: a name that matches, and hardly any other pattern that does not match all of them.
    """

    __slots__ = ("loops", "prefix", "sample", "steps")

    def __init__(self, steps: list[str], loops: list[str | None]) -> None:
        self.steps = steps
        # Before each step, and at the end: what may come there any number of times.
        self.loops = loops
        fixed = 0
        while fixed < len(steps) and loops[fixed] is None and len(steps[fixed]) == 1:
            fixed += 1
        self.prefix = "".join(steps[:fixed])
        self.sample = "".join(
            ("" if loop is None else _SAMPLES[loop]) + (step if len(step) == 1 else _RARE)
            for loop, step in zip(loops, [*steps, "\n"], strict=True)
        )[:-1]

    def next(self, place: int) -> tuple[str, ...]:
        """
        The one character that can come at C{place}; none if there are several.
        """
        if self.loops[place] is not None or (place < len(self.steps) and len(self.steps[place]) > 1):
            return ()
        return (self.steps[place],) if place < len(self.steps) else (_OTHER,)

    def after(self, places: frozenset[int], character: str) -> frozenset[int]:
        """
        Where one may be after C{character}, being at one of C{places} before it.
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
    The shape of a pattern, if it is of the kind that is compared.
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
    Whether C{wide} matches every name that C{narrow} matches, as far as that can be told with little work.
    """
    alphabet = {step for shape in (wide, narrow) for step in shape.steps if len(step) == 1} | {"/", _OTHER}
    start = (0, frozenset((0,)))
    seen, waiting = {start}, [start]
    end, last = len(narrow.steps), len(wide.steps)
    for _ in range(MAX_STEPS):
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
