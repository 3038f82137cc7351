"""
Decisions of rules without a server: the decision about a L{Question}, and the reason.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from dstwist.interfaces import Record
from dstwist.permission.valve.compiler import compiled
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import NO_NAME, Found, Guard, Rule, Rules
from dstwist.permission.valve.scope import Code, Scope
from dstwist.permission.valve.tree import Literal, Node
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import UNDEFINED

#: The longest value that is shown, in characters.
_MAX_VALUE_CHARACTERS = 200


@dataclass
class Question:
    """
    A request that the rules are to decide about.

    @ivar data: JSON text; C{None} for no value.
    @ivar records: the data of the existing records, by name.
    @ivar now: in milliseconds since 1970.
    """

    topic: Topic
    action: IntEnum
    name: str | None
    user: str | None = None
    server_data: Any = None
    data: bytes | None = None
    path: str | None = None
    records: Mapping[str, Any] = field(default_factory=dict)
    now: float = 0.0


@dataclass
class RulePart:
    """
    A part of a rule, and its value.

    @ivar level: how many parts contain it.
    @ivar value: the value as a text; C{None} if the part was not evaluated.
    """

    text: str
    level: int
    value: str | None


@dataclass
class Answer:
    """
    The decision, and the reason.

    @ivar decision: C{allow}, C{deny} or C{error}.
    @ivar kind: the name of the rule that guards the action; C{None} if the action needs no permission.
    @ivar rule: the rule that decided; C{None} if no rule matches.
    @ivar variables: the path variables and their values.
    @ivar others: rules that match as well, but that the deciding rule precedes.
    @ivar parts: the parts of the rule, and their values in the last pass.
    @ivar error: why the rule failed.
    """

    decision: str
    kind: str | None = None
    rule: Rule | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    others: list[Rule] = field(default_factory=list)
    parts: list[RulePart] = field(default_factory=list)
    error: str | None = None


def answer(rules: Rules, question: Question, **options: Any) -> Answer:
    """
    The decision of C{rules}.

    @param options: options of L{ValvePermission}.
    """
    guard = rules.guards.get(question.topic, {}).get(question.action)
    if guard is None:
        return Answer("allow")
    name = question.name if guard.named else None
    matching = guard.rules.matching(NO_NAME if name is None else name)
    found = guard.rules.nameless if name is None else next(iter(matching), None)
    if found is None:
        return Answer("deny", guard.kind)
    rule = found.rule
    watcher = _Watcher(rule)
    decision, error = ("allow" if rule.constant else "deny"), None
    if rule.tree is not None:
        watched = copy.copy(rule)
        watched.code = compiled(rule.tree, rule.pattern.variables, watcher.watch)
        decision, error = _evaluated(rules, guard, Found(watched, found.name, found.groups), question, options)
    return Answer(
        decision,
        guard.kind,
        rule,
        {variable: shown(found.groups[place]) for variable, place in rule.pattern.variables.items()},
        [other.rule for other in matching[1:]],
        watcher.parts(),
        error,
    )


def _evaluated(
    rules: Rules, guard: Guard, found: Found, question: Question, options: dict[str, Any]
) -> tuple[str, str | None]:
    def load(name: str) -> Deferred[Record | None]:
        return succeed(Record(1, question.records[name]) if name in question.records else None)

    permission = ValvePermission(rules, lambda: question.now / 1000, load=load, **options)
    message = Message(question.topic, question.action, question.name, question.data, path=question.path, version=1)
    sender: Any = SimpleNamespace(user=question.user, server_data=question.server_data)
    decision: Any = permission.evaluate(guard, found, message, sender)
    if isinstance(decision, Deferred):
        # Records are loaded at once here, so the Deferred has fired.
        results: list[Any] = []
        decision.addBoth(results.append)
        (decision,) = results
    if isinstance(decision, Failure):
        return "error", decision.getErrorMessage()
    return ("allow" if decision else "deny"), None


class _Watcher:
    """
    Records the values of the parts of a rule.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._values: dict[tuple[int, int], str | None] = {}
        self._outcomes: dict[tuple[int, int], str] = {}

    def watch(self, node: Node, code: Code) -> Code:
        place = (node.start, node.end)
        if isinstance(node, Literal) and not (node.start == 0 and node.end == len(self._rule.text)):
            return code
        self._values[place] = None
        whole = self._rule.tree

        def watched(scope: Scope) -> Any:
            if node is whole:
                self._outcomes.clear()
            try:
                value = code(scope)
            except Exception as error:
                self._outcomes[place] = f"! {error}"
                raise
            self._outcomes[place] = shown(value)
            return value

        return watched

    def parts(self) -> list[RulePart]:
        """
        All parts, each before the parts that it contains.
        """
        found: list[RulePart] = []
        around: list[int] = []
        for start, end in sorted(self._values, key=lambda place: (place[0], -place[1])):
            while around and around[-1] <= start:
                around.pop()
            text = " ".join(self._rule.text[start:end].split())
            found.append(RulePart(text, len(around), self._outcomes.get((start, end))))
            around.append(end)
        return found


def shown(value: Any) -> str:
    """
    A value as a short text for the operator.
    """
    if value is UNDEFINED:
        return "undefined"
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        text = "(nested deeply)"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        text = str(int(value))
    return text if len(text) <= _MAX_VALUE_CHARACTERS else f"{text[:_MAX_VALUE_CHARACTERS]}..."
