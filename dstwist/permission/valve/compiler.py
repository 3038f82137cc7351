"""
From the syntax tree of a rule to nested functions. Each function takes the L{Scope} of a decision and returns a value,
or raises L{dstwist.errors.RuleError}.

The compiler decides as much as possible in advance: the operator, the member, the path variable. L{names_in} tells
which values a rule uses, so that data is decoded or loaded only for rules that use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dstwist.patterns.javascript import InvalidPattern
from dstwist.permission.valve.lexer import RuleSyntaxError
from dstwist.permission.valve.members import call, has, member
from dstwist.permission.valve.regex import Regex
from dstwist.permission.valve.scope import CONSTANTS, KINDS, NAMES, NAMESPACES, Code, Scope
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
    Reference,
    RegexLiteral,
    Template,
    Unary,
)
from dstwist.permission.valve.values import (
    ARITHMETIC,
    Meter,
    Thrown,
    add,
    bitwise_not,
    compare,
    concatenated,
    loose_equals,
    strict_equals,
    to_key,
    to_number,
    to_text,
    truthy,
    type_of,
)
from dstwist.protocol.patched import PatchedObject
from dstwist.protocol.typed import UNDEFINED

#: Wraps the function of every node, when a rule is to be explained.
Watch = Callable[[Node, Code], Code]

_OPERATORS: dict[str, Callable[[Any, Any, Meter], Any]] = {
    "===": lambda left, right, meter: strict_equals(left, right),
    "!==": lambda left, right, meter: not strict_equals(left, right),
    "==": loose_equals,
    "!=": lambda left, right, meter: not loose_equals(left, right, meter),
    "+": add,
    "in": lambda left, right, meter: has(right, left, meter),
}


def _ordering(operator: str) -> Callable[[Any, Any, Meter], bool]:
    return lambda left, right, meter: compare(operator, left, right, meter)


def _numeric(work: Callable[[float, float], float]) -> Callable[[Any, Any, Meter], float]:
    return lambda left, right, meter: work(to_number(left, meter), to_number(right, meter))


_OPERATORS |= {operator: _ordering(operator) for operator in ("<", ">", "<=", ">=")}
_OPERATORS |= {operator: _numeric(work) for operator, work in ARITHMETIC.items()}

_PREFIXES: dict[str, Callable[[Any, Meter], Any]] = {
    "!": lambda value, meter: not truthy(value),
    "+": to_number,
    "-": lambda value, meter: -to_number(value, meter),
    "~": lambda value, meter: bitwise_not(to_number(value, meter)),
    "typeof": lambda value, meter: type_of(value),
    "void": lambda value, meter: UNDEFINED,
}


def nodes_of(tree: Node) -> Iterator[Node]:
    """
    All nodes of a tree, each before its parts.
    """
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.parts())


def names_in(tree: Node) -> frozenset[str]:
    """
    The names in a rule, with C{_()} if it refers to records.
    """
    found = set()
    for node in nodes_of(tree):
        if isinstance(node, Name):
            found.add(node.name)
        elif isinstance(node, Reference):
            found.add("_()")
    return frozenset(found)


def compiled(tree: Node, variables: Mapping[str, int], watch: Watch | None = None) -> Code:
    """
    The function that evaluates a tree.

    @param variables: by the name of each path variable: its place in L{Scope.variables}.
    @raise RuleSyntaxError: a regular expression in the tree is not valid.
    """
    compiler = _Compiler(variables, watch)
    # Parts are compiled before the nodes that contain them, so that this needs no recursion.
    for node in reversed(list(nodes_of(tree))):
        compiler.add(node)
    return compiler.code(tree)


class _Compiler:
    def __init__(self, variables: Mapping[str, int], watch: Watch | None) -> None:
        self._variables = variables
        self._watch = watch
        self._codes: dict[int, Code] = {}
        self._makers: dict[type[Node], Callable[[Any], Code]] = {
            Literal: self._literal,
            RegexLiteral: self._regex,
            Name: self._name,
            Template: self._template,
            Array: self._array,
            Object: self._object,
            Chain: self._chain,
            Reference: self._reference,
            Unary: self._unary,
            Binary: self._binary,
            Logical: self._logical,
            Conditional: self._conditional,
        }

    def add(self, node: Node) -> None:
        """
        Compile a node. Its parts are compiled already.
        """
        code = self._makers[type(node)](node)
        self._codes[id(node)] = code if self._watch is None else self._watch(node, code)

    def code(self, node: Node) -> Code:
        """
        The function of a compiled node.
        """
        return self._codes[id(node)]

    def _literal(self, node: Literal) -> Code:
        value = node.value
        return lambda scope: value

    def _regex(self, node: RegexLiteral) -> Code:
        try:
            value = Regex(node.source, node.flags)
        except InvalidPattern as error:
            problem = f"Invalid regular expression: /{node.source}/{node.flags}: {error}"
            raise RuleSyntaxError(problem, node.start) from None
        return lambda scope: value

    def _name(self, node: Name) -> Code:
        name = node.name
        if name in self._variables:
            place = self._variables[name]
            return lambda scope: scope.variables[place]
        if name in NAMES:
            return NAMES[name]
        if name in CONSTANTS:
            value = CONSTANTS[name]
            return lambda scope: value
        return _throwing(f"ReferenceError: {name} is not defined")

    def _template(self, node: Template) -> Code:
        first, *texts = node.texts
        pieces = [(self.code(expression), text) for expression, text in zip(node.expressions, texts, strict=True)]

        def template(scope: Scope) -> str:
            whole = first
            for code, text in pieces:
                whole = concatenated(whole, to_text(code(scope), scope.meter), scope.meter)
                whole = concatenated(whole, text, scope.meter)
            return whole

        return template

    def _array(self, node: Array) -> Code:
        items = [self.code(item) for item in node.items]
        return lambda scope: [item(scope) for item in items]

    def _object(self, node: Object) -> Code:
        entries = [(self._key(key), self.code(value)) for key, value in node.entries]
        return lambda scope: {to_key(key(scope), scope.meter): value(scope) for key, value in entries}

    def _key(self, key: str | Node) -> Code:
        return self.code(key) if isinstance(key, Node) else lambda scope: key

    # -- members

    def _chain(self, node: Chain) -> Code:
        links = node.links
        if isinstance(node.base, Name) and isinstance(links[0].key, str):
            namespace = NAMESPACES.get(node.base.name)
            if namespace is not None and node.base.name not in self._variables and links[0].arguments is None:
                constant = namespace.get(links[0].key, UNDEFINED)
                return self._linked(lambda scope: constant, links[1:], node)
        return self._linked(self.code(node.base), links, node)

    def _linked(self, base: Code, links: list[Link], node: Chain) -> Code:
        steps = [(link.optional, self._step(link, node)) for link in links]
        if not steps:
            return base
        if len(steps) == 1 and not steps[0][0]:
            step = steps[0][1]
            return lambda scope: step(base(scope), scope)

        def chain(scope: Scope) -> Any:
            value = base(scope)
            for optional, step in steps:
                if optional and (value is None or value is UNDEFINED):
                    return UNDEFINED
                value = step(value, scope)
            return value

        return chain

    def _step(self, link: Link, node: Chain) -> Callable[[Any, Scope], Any]:
        step = self._plain_step(link)
        if self._watch is None:
            return step
        # The chain up to this step is an expression with a value of its own.
        seen: list[Any] = [None]
        part = Chain(node.base, [], start=node.start, end=link.end)
        watched = self._watch(part, lambda scope: step(seen[0], scope))

        def watched_step(value: Any, scope: Scope) -> Any:
            seen[0] = value
            return watched(scope)

        return watched_step

    def _plain_step(self, link: Link) -> Callable[[Any, Scope], Any]:
        if link.arguments is not None:
            return self._call(str(link.key), link.arguments)
        name = link.key
        if isinstance(name, Literal):
            name = to_key(name.value, Meter(0))
        elif isinstance(name, Node):
            key = self.code(name)
            return lambda value, scope: _indexed(value, key(scope), scope.meter)

        def get(value: Any, scope: Scope) -> Any:
            kind = type(value)
            if kind is dict or kind is PatchedObject:
                return value.get(name, UNDEFINED)
            return member(value, name, scope.meter)

        return get

    def _call(self, name: str, nodes: list[Node]) -> Callable[[Any, Scope], Any]:
        arguments = [self.code(node) for node in nodes]

        def method(value: Any, scope: Scope) -> Any:
            if value is None or value is UNDEFINED:
                member(value, name, scope.meter)  # raises the error that names the member
            return call(value, name, [argument(scope) for argument in arguments], scope.meter)

        return method

    def _reference(self, node: Reference) -> Code:
        arguments = [self.code(argument) for argument in node.arguments]

        def reference(scope: Scope) -> Any:
            given = [argument(scope) for argument in arguments]
            if scope.reference is None:
                raise Thrown("ReferenceError: _ is not defined")
            return scope.reference(given[0] if given else UNDEFINED)

        return reference

    # -- operators

    def _unary(self, node: Unary) -> Code:
        if node.operator == "typeof" and isinstance(node.operand, Name) and self._undeclared(node.operand.name):
            return lambda scope: "undefined"
        operand = self.code(node.operand)
        if node.operator == "!":
            return lambda scope: not truthy(operand(scope))
        work = _PREFIXES[node.operator]
        return lambda scope: work(operand(scope), scope.meter)

    def _undeclared(self, name: str) -> bool:
        return name not in self._variables and name not in NAMES and name not in CONSTANTS

    def _binary(self, node: Binary) -> Code:
        first = self.code(node.first)
        rest = [self._operation(operator, operand) for operator, operand in node.rest]
        if len(rest) == 1:
            (operator, operand), (work, right) = node.rest[0], rest[0]
            if operator == "===" and isinstance(operand, Literal) and isinstance(operand.value, str):
                text = operand.value
                # Only a text can be equal to a text, so Python's comparison will do.
                return lambda scope: first(scope) == text
            if operator == "===":
                return lambda scope: strict_equals(first(scope), right(scope))
            return lambda scope: work(first(scope), right(scope), scope.meter)

        def operations(scope: Scope) -> Any:
            value = first(scope)
            meter = scope.meter
            for work, operand in rest:
                value = work(value, operand(scope), meter)
            return value

        return operations

    def _operation(self, operator: str, operand: Node) -> tuple[Callable[[Any, Any, Meter], Any], Code]:
        if operator != "instanceof":
            return _OPERATORS[operator], self.code(operand)
        if isinstance(operand, Name) and operand.name in KINDS and operand.name not in self._variables:
            is_kind = KINDS[operand.name]
            return (lambda left, right, meter: is_kind(left)), lambda scope: None
        return _instance_of_nothing, self.code(operand)

    def _logical(self, node: Logical) -> Code:
        *others, last = (self.code(operand) for operand in node.operands)
        operator = node.operator
        if operator == ",":

            def sequence(scope: Scope) -> Any:
                for operand in others:
                    operand(scope)
                return last(scope)

            return sequence
        if operator == "??":

            def coalesce(scope: Scope) -> Any:
                for operand in others:
                    value = operand(scope)
                    if value is not None and value is not UNDEFINED:
                        return value
                return last(scope)

            return coalesce
        until = operator == "||"

        def decide(scope: Scope) -> Any:
            for operand in others:
                value = operand(scope)
                if truthy(value) is until:
                    return value
            return last(scope)

        return decide

    def _conditional(self, node: Conditional) -> Code:
        cases = [(self.code(test), self.code(value)) for test, value in node.cases]
        otherwise = self.code(node.otherwise)

        def conditional(scope: Scope) -> Any:
            for test, value in cases:
                if truthy(test(scope)):
                    return value(scope)
            return otherwise(scope)

        return conditional


def _throwing(problem: str) -> Code:
    def throw(scope: Scope) -> Any:
        raise Thrown(problem)

    return throw


def _indexed(value: Any, key: Any, meter: Meter) -> Any:
    if type(value) is dict and isinstance(key, str):
        return value.get(key, UNDEFINED)
    return member(value, key, meter)


def _instance_of_nothing(left: Any, right: Any, meter: Meter) -> bool:
    raise Thrown("TypeError: Right-hand side of 'instanceof' is not callable")
