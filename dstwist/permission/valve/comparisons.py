"""
Finds comparisons in rules that are always true, or never.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator

from dstwist.permission.valve.kinds import kinds_of
from dstwist.permission.valve.rules import Rule
from dstwist.permission.valve.tree import Array, Binary, Chain, Literal, Name, Node, Unary
from dstwist.permission.valve.values import ActionName

_EQUAL = {"===": True, "==": True, "!==": False, "!=": False}
_TYPES = ("undefined", "object", "boolean", "number", "string", "function")
_CHANGES: dict[str, Callable[[str], str]] = {
    "toLowerCase": str.lower,
    "toUpperCase": str.upper,
    "trim": str.strip,
}


def comparisons(rule: Rule, nodes: Iterable[Node], actions: list[ActionName]) -> Iterator[str]:
    """
    Warnings about the comparisons among C{nodes}.

    @param actions: the actions that the rule guards.
    """
    for node in nodes:
        if isinstance(node, Binary) and len(node.rest) == 1 and node.rest[0][0] in _EQUAL:
            ((operator, right),) = node.rest
            reason = _reason(node.first, right, operator, rule, actions) or _reason(
                right, node.first, operator, rule, actions
            )
            if reason is not None:
                always = "never" if _EQUAL[operator] else "always"
                yield f"{_text(node, rule)} is {always} true: {reason}"
        elif isinstance(node, Chain) and isinstance(node.base, Array):
            yield from _among(node, node.base, actions)


def _reason(left: Node, right: Node, operator: str, rule: Rule, actions: list[ActionName]) -> str | None:
    """
    Why C{left} and C{right} are never equal, as far as the left side shows it.
    """
    value = right.value if isinstance(right, Literal) else None
    if isinstance(left, Name) and left.name == "action" and isinstance(value, (str, float)):
        # A number in quotes is loosely equal to the number.
        if operator in ("===", "!==") or not str(value).isdigit():
            return _no_action(value, actions)
    if isinstance(left, Unary) and left.operator == "typeof" and isinstance(value, str) and value not in _TYPES:
        return f"typeof gives one of {', '.join(_TYPES)}{_close(value, _TYPES)}"
    if isinstance(left, Chain) and isinstance(value, str):
        method = left.links[-1]
        change = _CHANGES.get(str(method.key)) if method.arguments is not None else None
        if change is not None and change(value) != value:
            return f"{method.key}() never gives such a text"
    if operator in ("===", "!=="):
        return _kinds_differ(left, right, rule)
    return None


def _kinds_differ(left: Node, right: Node, rule: Rule) -> str | None:
    variables = rule.pattern.variables
    one, other = kinds_of(left, variables), kinds_of(right, variables)
    if frozenset({"new"}) in (one, other):
        return "an array, an object or a regular expression that the rule itself makes is equal to no other"
    if one is None or other is None or not one.isdisjoint(other):
        return None
    return f"{_text(left, rule)} is {_listed(one)}, and {_text(right, rule)} is {_listed(other)}"


def _listed(kinds: frozenset[str]) -> str:
    words = {"nothing": "null or undefined", "boolean": "true or false"}
    return " or ".join(words.get(kind, f"a {kind}") for kind in sorted(kinds, reverse=True))


def _no_action(value: str | float, actions: list[ActionName]) -> str | None:
    if any(action == value for action in actions):
        return None
    names = list(dict.fromkeys(name for action in actions for name in action.names))
    return f"this rule is asked about {', '.join(names)}{_close(str(value), names)}"


def _close(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word.upper(), [each.upper() for each in known], n=1)
    meant = next((each for each in known if found and each.upper() == found[0]), None)
    return f"; did you mean '{meant}'?" if meant is not None else ""


def _among(node: Chain, array: Array, actions: list[ActionName]) -> Iterator[str]:
    link = node.links[0]
    if link.key not in ("indexOf", "includes") or not link.arguments:
        return
    (sought, *_) = link.arguments
    if isinstance(sought, Name) and sought.name == "action":
        for item in array.items:
            if isinstance(item, Literal) and isinstance(item.value, (str, float)):
                reason = _no_action(item.value, actions)
                if reason is not None:
                    yield f"action is never {item.value!r}: {reason}"


def _text(node: Node, rule: Rule) -> str:
    text = " ".join(rule.text[node.start : node.end].split())
    return text if len(text) <= 80 else f"{text[:77]}..."
