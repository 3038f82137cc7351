"""
A whole permissions file, checked and compiled: L{load_permissions}. Which of its rules decides: L{RuleSet.find}.

::

    record:                            section
      "*":                             pattern of names
        read: true                     rule
      "user/$id":
        write: "user.id === $id"

Of all patterns that match a name and have a rule of the kind that is asked for, the longest decides; of several that
long, the last. Nothing is inherited. If there is none, the answer is no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

from dstwist.config.fields import suggestion
from dstwist.config.file import UNREADABLE, join
from dstwist.errors import ConfigError, RuleError
from dstwist.permission.valve.actions import GUARDS, NAMELESS, SECTIONS, action_name
from dstwist.permission.valve.checks import RULES, checked
from dstwist.permission.valve.compiler import compiled, names_in, nodes_of
from dstwist.permission.valve.paths import PathPattern
from dstwist.permission.valve.scope import Code, Scope
from dstwist.permission.valve.tree import Node
from dstwist.permission.valve.values import ActionName, Meter, truthy, type_of
from dstwist.protocol.constants import Topic
from dstwist.protocol.typed import UNDEFINED

#: Longer names are looked up anew each time, so that what is remembered has a bound in bytes as well.
MAX_REMEMBERED_NAME = 100

_NO_USER = {"isAuthenticated": False, "id": None, "data": None}


class Rule:
    """
    One rule.

    @ivar where: its place in the file: C{record["user/$id"].write}.
    @ivar text: as it is there.
    @ivar place: the file and the line, if they are known, as C{ (permissions.yml: line 12)}.
    @ivar constant: what it always decides, if it does.
    @ivar reads: the names in it, with C{_()} if it refers to other records.
    @ivar waits: it may need a record, or the data of the message: more than the message's name.
    @ivar size: how many operations it has.
    """

    __slots__ = ("code", "constant", "pattern", "place", "reads", "size", "text", "tree", "waits", "where")

    def __init__(self, where: str, text: str, checked_rule: bool | Node, pattern: PathPattern) -> None:
        self.where = where
        self.text = text
        self.place = ""
        self.pattern = pattern
        self.tree: Node | None = None
        self.constant: bool | None = None
        self.reads: frozenset[str] = frozenset()
        self.size = 0
        if isinstance(checked_rule, bool):
            self.constant = checked_rule
        else:
            self.tree = checked_rule
            self.reads = names_in(checked_rule)
            self.size = sum(1 for _ in nodes_of(checked_rule))
            self.code: Code = compiled(checked_rule, pattern.variables)
            if not self.reads:
                self._fold()
        # Path variables have these names as well, if they are in the pattern.
        self.waits = not self.reads.isdisjoint(("data", "oldData", "now", "_()"))

    def _fold(self) -> None:
        """
        A rule that asks for nothing always decides the same, unless it fails.
        """
        try:
            self.constant = self.decide_nothing()
        except (RuleError, RecursionError):
            pass

    def decide_nothing(self) -> bool:
        """
        What a rule says that asks for nothing.

        @raise RuleError: it always fails. So may a L{RecursionError}.
        """
        return truthy(self.code(Scope(_NO_USER, None, UNDEFINED, (), Meter(100_000))))


Found = tuple[Rule, tuple[Any, ...]]


class RuleSet:
    """
    The rules of one kind in a section, by pattern. What was found for a name is remembered, up to C{limit} names, for
    as long as it is asked for at least once within C{interval} seconds.
    """

    __slots__ = ("_entries", "_evacuate", "_interval", "_limit", "_older", "_recent", "_seconds")

    def __init__(self, rules: list[Rule]) -> None:
        # The first that matches is the one. Sorting is stable, so of several of a length the last in the file is first.
        self._entries = rules[::-1]
        self._entries.sort(key=lambda rule: -rule.pattern.weight)
        self._recent: dict[str, Found] = {}
        self._older: dict[str, Found] = {}
        self._seconds: Callable[[], float] = lambda: 0.0
        self._interval = 60.0
        self._limit = 10_000
        self._evacuate = 60.0

    def remember(self, limit: int, interval: float, seconds: Callable[[], float]) -> None:
        """
        Set how much is remembered, and for how long.
        """
        # Two generations, each with half of them.
        self._limit = max(limit // 2, 1)
        self._interval = interval
        self._seconds = seconds
        self._evacuate = seconds() + interval

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Rule]:
        """
        The rules, those that come first where several match first.
        """
        return iter(self._entries)

    @property
    def remembered(self) -> int:
        """
        How many names are remembered.
        """
        return len(self._recent) + len(self._older)

    def find(self, name: str) -> Found | None:
        """
        The rule for a name, and what its pattern's groups hold; C{None} if there is none.
        """
        found = self._recent.get(name)
        if found is not None:
            return found
        return self._look_up(name)

    def _look_up(self, name: str) -> Found | None:
        # What is asked for is young again; what nobody asked for since the last time is forgotten. Only here something
        # can be added, so that nothing needs to be done at other times.
        now = self._seconds()
        if now >= self._evacuate or len(self._recent) >= self._limit:
            self._evacuate = now + self._interval
            self._older = self._recent
            self._recent = {}
        found = self._older.pop(name, None) or self.search(name)
        if found is not None and len(name) <= MAX_REMEMBERED_NAME:
            self._recent[name] = found
        return found

    def search(self, name: str) -> Found | None:
        """
        What L{find} does, without remembering anything.
        """
        for rule in self._entries:
            groups = rule.pattern.match(name)
            if groups is not None:
                return rule, groups
        return None

    def matching(self, name: str) -> list[Found]:
        """
        All rules that a name has, the one that decides first.
        """
        found = [(rule, rule.pattern.match(name)) for rule in self._entries]
        return [(rule, groups) for rule, groups in found if groups is not None]


class Guard:
    """
    What stands before one action.

    @ivar kind: which rule it is: C{write}.
    @ivar named: the action is about a name.
    """

    __slots__ = ("action", "find", "kind", "named", "rules", "topic")

    def __init__(self, topic: Topic, action: IntEnum, kind: str, rules: RuleSet) -> None:
        self.topic = topic
        self.kind = kind
        self.rules = rules
        self.find = rules.find
        self.named = (topic, action) not in NAMELESS
        self.action: ActionName = action_name(topic, action)


class Rules:
    """
    All rules of a file.

    @ivar guards: by topic and action; what is not in there is allowed.
    """

    def __init__(self, rules: dict[tuple[str, str], list[Rule]]) -> None:
        self.sets = {key: RuleSet(found) for key, found in rules.items()}
        self.guards: dict[Topic, dict[IntEnum, Guard]] = {
            topic: {
                action: Guard(topic, action, kind, self.sets[SECTIONS[topic], kind]) for action, kind in guards.items()
            }
            for topic, guards in GUARDS.items()
        }

    @property
    def count(self) -> int:
        """
        How many there are.
        """
        return sum(len(rules) for rules in self.sets.values())

    def remember(self, limit: int, interval: float, seconds: Callable[[], float]) -> None:
        """
        Set how many names are remembered in all, and for how long.
        """
        for rules in self.sets.values():
            rules.remember(limit // len(self.sets), interval, seconds)


def load_permissions(mapping: Any, path: str = "", place: Callable[[str], str] | None = None) -> Rules:
    """
    The rules of a permissions file.

    @param mapping: what is in the file, as L{dstwist.config.file.Reading} reads it.
    @param path: of the key in the configuration whose value this is.
    @param place: what tells the file and the line of a path in there.
    @raise ConfigError: it cannot be used. The error tells all that is wrong, a line a problem.
    """
    problems: list[ConfigError] = []
    rules = _load(mapping, path, problems)
    if place is not None:
        problems = [ConfigError(problem.path, problem.problem, place(problem.path)) for problem in problems]
    if len(problems) > 1:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise ConfigError("", f"{len(problems)} problems in the permissions:{lines}")
    for problem in problems:
        raise problem
    if place is not None:
        for found in rules.values():
            for rule in found:
                rule.place = f" ({place(f'{path}.{rule.where}' if path else rule.where)})"
    return Rules(rules)


def _load(mapping: Any, path: str, problems: list[ConfigError]) -> dict[tuple[str, str], list[Rule]]:
    rules: dict[tuple[str, str], list[Rule]] = {
        (section, kind): [] for section, kinds in RULES.items() for kind in kinds
    }
    if not isinstance(mapping, (dict, list)):
        problem = f"config should be an object literal, but was of type {type_of(mapping)}"
        if isinstance(mapping, str) and mapping.endswith((".yml", ".yaml", ".json")):
            problem += f"; to load that file write fileLoad({mapping})"
        problems.append(ConfigError(path, problem))
        return rules
    sections = mapping if isinstance(mapping, dict) else {}
    for section in RULES:
        if not isinstance(sections.get(section), (dict, list)):
            if sections.get(section) is not UNREADABLE:
                problems.append(ConfigError(path, f'missing configuration section "{section}"'))
    for section, patterns in sections.items():
        if section not in RULES:
            problems.append(
                ConfigError(
                    join(path, section), f'unexpected configuration section "{section}"{suggestion(section, RULES)}'
                )
            )
        elif isinstance(patterns, (dict, list)):
            _load_section(section, patterns, join(path, section), rules, problems)
    return rules


def _load_section(
    section: str, patterns: Any, path: str, rules: dict[tuple[str, str], list[Rule]], problems: list[ConfigError]
) -> None:
    if not patterns or not isinstance(patterns, dict):
        problems.append(ConfigError(path, f'empty section "{section}"'))
        return
    root = patterns.get("*")
    if root is not UNREADABLE and not isinstance(root, (dict, list)) and not truthy(root):
        problems.append(ConfigError(path, f'missing root entry "*" for section {section}'))
    for text, entry in patterns.items():
        where = join(path, text)
        pattern = None
        try:
            pattern = PathPattern(str(text))
        except RuleError as error:
            problems.append(ConfigError(where, f"{error} for path {text} in section {section}"))
        if entry is None or entry is UNREADABLE:
            continue
        if not isinstance(entry, dict):
            problems.append(ConfigError(where, f"expected a section of rules, such as {next(iter(RULES[section]))}"))
            continue
        for kind, rule in entry.items():
            place = join(where, kind)
            if kind not in RULES[section]:
                problems.append(
                    ConfigError(
                        place, f"unknown rule type {kind} in section {section}{suggestion(kind, RULES[section])}"
                    )
                )
            elif rule is not UNREADABLE:
                try:
                    tree = checked(rule, section, kind)
                    if pattern is not None:
                        text_of_rule = rule if isinstance(rule, str) else str(rule).lower()
                        rules[section, kind].append(Rule(_short(place, path, section), text_of_rule, tree, pattern))
                except RuleError as error:
                    problems.append(ConfigError(place, str(error)))


def _short(place: str, path: str, section: str) -> str:
    """
    The place of a rule within its file.
    """
    return section + place[len(path) :]
