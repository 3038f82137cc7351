"""
A permissions file, checked and compiled by L{load_permissions}. L{RuleSet.find} finds the rule that decides.

::

    record:                            section
      "*":                             pattern of names
        read: true                     rule
      "user/$id":
        write: "user.id === $id"

The longest pattern decides that matches the name and has a rule of the required kind; among equally long ones, the last
in the file. Nothing is inherited from shorter patterns. If no pattern matches, the request is denied.
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

#: The rules of longer names are not remembered, so that the memory for this has a bound in bytes, too.
MAX_REMEMBERED_NAME_CHARACTERS = 100

#: For requests without a name, patterns are matched against this name.
NO_NAME = "undefined"

#: The value of C{user} for rules that do not read it.
NO_USER = {"isAuthenticated": False, "id": None, "data": None}


class Rule:
    """
    One rule.

    @ivar where: its path in the file: C{record["user/$id"].write}.
    @ivar text: its text in the file.
    @ivar place: the file and the line, if they are known: C{ (permissions.yml: line 12)}.
    @ivar constant: the decision, if it is always the same; else C{None}.
    @ivar reads: the names in the rule, with C{_()} if it refers to other records.
    @ivar waits: whether it needs more than the name in the message: a record, the data or the time.
    @ivar by_name: whether its decision is the same for each request with the same name.
    @ivar size: the number of its operations.
    """

    __slots__ = ("by_name", "code", "constant", "pattern", "place", "reads", "size", "text", "tree", "waits", "where")

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
        self.waits = not self.reads.isdisjoint(("data", "oldData", "now", "_()"))
        self.by_name = not self.waits and self.reads.isdisjoint(("user", "action"))

    def _fold(self) -> None:
        """
        Compute the decision of a rule without names. It is always the same, unless the rule fails.
        """
        try:
            self.constant = self.decide_nothing()
        except (RuleError, RecursionError):
            pass

    def decide_nothing(self) -> bool:
        """
        The decision of a rule that uses no values of the request.

        @raise RuleError: the rule always fails. Likewise L{RecursionError}.
        """
        return truthy(self.code(Scope(NO_USER, None, UNDEFINED, (), Meter(100_000))))


class Found:
    """
    The rule that decides about a name.

    @ivar name: the value of C{name} in the rule: C{undefined} for requests without a name.
    @ivar groups: the groups that its pattern has matched.
    @ivar decision: the decision, once it is known, if it is the same for each request with that name.
    """

    __slots__ = ("decision", "groups", "name", "rule")

    def __init__(self, rule: Rule, name: Any, groups: tuple[Any, ...]) -> None:
        self.rule = rule
        self.name = name
        self.groups = groups
        self.decision = rule.constant


class RuleSet:
    """
    The rules of one kind in a section, by pattern. The rule of a name is remembered, for at most C{limit} names, as
    long as it is used at least once in C{interval} seconds.

    @ivar nameless: the rule for requests without a name; C{None} if there is none.
    """

    __slots__ = ("_entries", "_evacuate", "_interval", "_limit", "_older", "_recent", "_seconds", "nameless")

    def __init__(self, rules: list[Rule]) -> None:
        # The first rule that matches decides. Sorting is stable: among equally long patterns, the last in the file is
        # first.
        self._entries = rules[::-1]
        self._entries.sort(key=lambda rule: -rule.pattern.weight)
        self._recent: dict[str, Found] = {}
        self._older: dict[str, Found] = {}
        self._seconds: Callable[[], float] = lambda: 0.0
        self._interval = 60.0
        self._limit = 10_000
        self._evacuate = 60.0
        found = self.search(NO_NAME)
        self.nameless = found and Found(found.rule, UNDEFINED, (UNDEFINED,) * len(found.groups))

    def remember(self, limit: int, interval: float, seconds: Callable[[], float]) -> None:
        """
        Set how many names are remembered, and for how long.
        """
        # There are two generations, each with half of the names.
        self._limit = max(limit // 2, 1)
        self._interval = interval
        self._seconds = seconds
        self._evacuate = seconds() + interval

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Rule]:
        """
        The rules in order of precedence.
        """
        return iter(self._entries)

    @property
    def remembered(self) -> int:
        """
        The number of names that are remembered.
        """
        return len(self._recent) + len(self._older)

    def find(self, name: str) -> Found | None:
        """
        The rule for a name; C{None} if no rule matches.
        """
        found = self._recent.get(name)
        if found is not None:
            return found
        return self._look_up(name)

    def _look_up(self, name: str) -> Found | None:
        # A name that is used moves to the recent generation. When the generations change, the names that were not used
        # since the last change are forgotten. Names are added only here, so the change needs no timer.
        now = self._seconds()
        if now >= self._evacuate or len(self._recent) >= self._limit:
            self._evacuate = now + self._interval
            self._older = self._recent
            self._recent = {}
        found = self._older.pop(name, None) or self.search(name)
        if found is not None and len(name) <= MAX_REMEMBERED_NAME_CHARACTERS:
            self._recent[name] = found
        return found

    def search(self, name: str) -> Found | None:
        """
        Like L{find}, but without remembering the name.
        """
        for rule in self._entries:
            groups = rule.pattern.match(name)
            if groups is not None:
                return Found(rule, name, groups)
        return None

    def matching(self, name: str) -> list[Found]:
        """
        All rules that match a name, in order of precedence: the first one decides.
        """
        found = [(rule, rule.pattern.match(name)) for rule in self._entries]
        return [Found(rule, name, groups) for rule, groups in found if groups is not None]


class Guard:
    """
    The rules that guard one action.

    @ivar kind: the name of the rule: C{write}.
    @ivar named: whether requests with this action have a name.
    """

    __slots__ = ("action", "find", "kind", "named", "rules", "topic")

    def __init__(self, topic: Topic, action: IntEnum, kind: str, rules: RuleSet) -> None:
        self.topic = topic
        self.kind = kind
        self.rules = rules
        self.find = rules.find
        self.named = (topic, action) not in NAMELESS
        self.action: ActionName = action_name(topic, action)

    def rule_of(self, name: str | None) -> Found | None:
        """
        The rule for a request: for those without a name, too.
        """
        return self.rules.nameless if name is None or not self.named else self.find(name)


class Rules:
    """
    All rules of a file.

    @ivar guards: by topic and action. Actions without a guard are allowed.
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
        The number of rules.
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

    @param mapping: the content of the file, as L{dstwist.config.file.Reading} reads it.
    @param path: the path of the key in the configuration that has the rules.
    @param place: tells the file and the line of a path in the configuration.
    @raise ConfigError: the file cannot be used. The error lists all problems, one per line.
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
