"""
The kinds of values that an expression in a rule can have, as far as its text shows. Values of different kinds are never
strictly equal.

===============  ==================================================================================
kind             values
===============  ==================================================================================
C{text}          texts
C{number}        numbers
C{boolean}       C{true} and C{false}
C{nothing}       C{null} and C{undefined}
C{new}           an array, object or regular expression that the rule itself makes: equal only to itself
===============  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dstwist.permission.valve.tree import (
    Array,
    Binary,
    Chain,
    Conditional,
    Link,
    Literal,
    Logical,
    Name,
    Node,
    Object,
    RegexLiteral,
    Template,
    Unary,
)

Kinds = frozenset[str]

_TEXT, _NUMBER, _BOOLEAN, _NOTHING = (frozenset((kind,)) for kind in ("text", "number", "boolean", "nothing"))
_NAMES: dict[str, Kinds] = {
    # A request about all users has no name.
    "name": _TEXT | _NOTHING,
    "now": _NUMBER,
    "action": _TEXT | _NUMBER,
    "undefined": _NOTHING,
    "NaN": _NUMBER,
    "Infinity": _NUMBER,
}
#: The members of C{user}.
USER: dict[str, Kinds | None] = {"id": _TEXT | _NOTHING, "data": None, "isAuthenticated": _BOOLEAN}
_METHODS: dict[str, Kinds] = {
    "startsWith": _BOOLEAN,
    "endsWith": _BOOLEAN,
    "includes": _BOOLEAN,
    "indexOf": _NUMBER,
    "match": _NOTHING | {"new"},
    "toUpperCase": _TEXT,
    "toLowerCase": _TEXT,
    "trim": _TEXT,
}
_COMPARISONS = frozenset(("===", "!==", "==", "!=", "<", ">", "<=", ">=", "in", "instanceof"))
_PREFIXES = {"!": _BOOLEAN, "typeof": _TEXT, "void": _NOTHING}


def kinds_of(node: Node, variables: Mapping[str, int]) -> Kinds | None:
    """
    The kinds of values that C{node} can have; C{None} if its text does not show them.
    """
    if isinstance(node, Literal):
        return _kind_of_literal(node.value)
    if isinstance(node, Template):
        return _TEXT
    if isinstance(node, (Array, Object, RegexLiteral)):
        return frozenset(("new",))
    if isinstance(node, Name):
        return _TEXT | _NOTHING if node.name in variables else _NAMES.get(node.name)
    if isinstance(node, Chain):
        return _kinds_of_chain(node)
    if isinstance(node, Unary):
        return _PREFIXES.get(node.operator, _NUMBER)
    if isinstance(node, Binary):
        operator = node.rest[-1][0]
        return _BOOLEAN if operator in _COMPARISONS else _TEXT | _NUMBER if operator == "+" else _NUMBER
    if isinstance(node, Logical):
        return kinds_of(node.operands[-1], variables) if node.operator == "," else _of_any(node.operands, variables)
    if isinstance(node, Conditional):
        return _of_any([*(value for _, value in node.cases), node.otherwise], variables)
    return None


def _of_any(nodes: Iterable[Node], variables: Mapping[str, int]) -> Kinds | None:
    found: Kinds = frozenset()
    for node in nodes:
        kinds = kinds_of(node, variables)
        if kinds is None:
            return None
        found |= kinds
    return found


def _kind_of_literal(value: object) -> Kinds:
    if value is None:
        return _NOTHING
    return _BOOLEAN if isinstance(value, bool) else _TEXT if isinstance(value, str) else _NUMBER


def _kinds_of_chain(node: Chain) -> Kinds | None:
    link = node.links[-1]
    optional = _NOTHING if any(each.optional for each in node.links) else frozenset()
    if link.arguments is not None:
        kinds = _METHODS.get(str(link.key))
    elif len(node.links) == 1 and isinstance(node.base, Name) and node.base.name == "user":
        key = key_of(link)
        kinds = None if key is None else USER.get(key)
    else:
        kinds = None
    return None if kinds is None else kinds | optional


def key_of(link: Link) -> str | None:
    """
    The key of a step, if it is a constant.
    """
    if isinstance(link.key, str):
        return link.key
    if isinstance(link.key, Literal) and isinstance(link.key.value, str):
        return link.key.value
    return None
