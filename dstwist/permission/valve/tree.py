"""
The nodes of a rule's syntax tree. Operands in a row (C{a && b && c}, C{a + b - c}, C{a.b.c}) make one flat node, so
that only nesting makes a tree deeper.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: The deepest tree, and the deepest nesting of brackets.
MAX_RULE_DEPTH = 200


@dataclass(slots=True, eq=False)
class Node:
    """
    An expression.

    @ivar start: its first position in the text of the rule.
    @ivar end: the position behind it.
    @ivar bracketed: whether it is in parentheses, so that it is not joined with its neighbours.
    """

    start: int = field(default=0, kw_only=True)
    end: int = field(default=0, kw_only=True)
    depth: int = field(default=1, kw_only=True)
    bracketed: bool = field(default=False, kw_only=True)

    def parts(self) -> list[Node]:
        """
        The nodes that it consists of.
        """
        return []


@dataclass(slots=True, eq=False)
class Literal(Node):
    value: Any


@dataclass(slots=True, eq=False)
class RegexLiteral(Node):
    source: str
    flags: str


@dataclass(slots=True, eq=False)
class Name(Node):
    name: str


@dataclass(slots=True, eq=False)
class Template(Node):
    """
    @ivar texts: the texts around the expressions, one more than there are expressions.
    """

    texts: list[str]
    expressions: list[Node]

    def parts(self) -> list[Node]:
        return self.expressions


@dataclass(slots=True, eq=False)
class Array(Node):
    items: list[Node]

    def parts(self) -> list[Node]:
        return self.items


@dataclass(slots=True, eq=False)
class Object(Node):
    """
    @ivar entries: keys, which may be expressions, and values.
    """

    entries: list[tuple[str | Node, Node]]

    def parts(self) -> list[Node]:
        return [part for entry in self.entries for part in entry if isinstance(part, Node)]


@dataclass(slots=True, eq=False)
class Link:
    """
    One step of a L{Chain}: C{.key}, C{[key]} or C{.key(arguments)}.

    @ivar optional: whether it is written with C{?.}, which ends the chain at null and undefined.
    @ivar arguments: the arguments of the call; C{None} if this step calls nothing.
    @ivar end: the position behind it in the text of the rule.
    """

    key: str | Node
    optional: bool
    arguments: list[Node] | None
    end: int

    def parts(self) -> list[Node]:
        return ([self.key] if isinstance(self.key, Node) else []) + (self.arguments or [])


@dataclass(slots=True, eq=False)
class Chain(Node):
    base: Node
    links: list[Link]

    def parts(self) -> list[Node]:
        return [self.base, *(part for link in self.links for part in link.parts())]


@dataclass(slots=True, eq=False)
class Reference(Node):
    """
    C{_(name)}: the data of another record.
    """

    arguments: list[Node]

    def parts(self) -> list[Node]:
        return self.arguments


@dataclass(slots=True, eq=False)
class Unary(Node):
    operator: str
    operand: Node

    def parts(self) -> list[Node]:
        return [self.operand]


@dataclass(slots=True, eq=False)
class Binary(Node):
    """
    Operators of one precedence, from left to right.
    """

    first: Node
    rest: list[tuple[str, Node]]

    def parts(self) -> list[Node]:
        return [self.first, *(operand for _, operand in self.rest)]


@dataclass(slots=True, eq=False)
class Logical(Node):
    """
    C{&&}, C{||}, C{??} or C{,}: the operands are evaluated in order, up to the one that decides.
    """

    operator: str
    operands: list[Node]

    def parts(self) -> list[Node]:
        return self.operands


@dataclass(slots=True, eq=False)
class Conditional(Node):
    """
    C{test ? value : test ? value : otherwise}
    """

    cases: list[tuple[Node, Node]]
    otherwise: Node

    def parts(self) -> list[Node]:
        return [*(part for case in self.cases for part in case), self.otherwise]
