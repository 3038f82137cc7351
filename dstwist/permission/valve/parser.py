"""
From the text of a rule to its syntax tree. A rule is one JavaScript expression. Assignments, and calls of other
functions than those that rules have, are refused.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from dstwist.permission.valve.lexer import RuleSyntaxError, Token, tokens_of
from dstwist.permission.valve.tree import (
    MAX_RULE_DEPTH,
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

#: The methods that rules may call. The only function is C{_}.
METHODS = frozenset(("startsWith", "endsWith", "includes", "indexOf", "match", "toUpperCase", "toLowerCase", "trim"))

_RANKS = {
    "??": 1,
    "||": 1,
    "&&": 2,
    "|": 3,
    "^": 4,
    "&": 5,
    **dict.fromkeys(("===", "!==", "==", "!="), 6),
    **dict.fromkeys(("<", ">", "<=", ">=", "in", "instanceof"), 7),
    **dict.fromkeys(("<<", ">>", ">>>"), 8),
    **dict.fromkeys(("+", "-"), 9),
    **dict.fromkeys(("*", "/", "%"), 10),
    "**": 11,
}
_LOGICAL = frozenset(("??", "||", "&&"))
_PREFIXES = frozenset(("!", "~", "+", "-", "typeof", "void"))
_CONSTANTS = {"true": True, "false": False, "null": None}
_RESERVED = frozenset(
    "arguments await break case catch class const continue debugger default delete do else enum export extends finally "
    "for function if import in instanceof new return super switch this throw try typeof var void while with "
    "yield".split()
)

N = TypeVar("N", bound=Node)
T = TypeVar("T")


def parse(text: str) -> Node:
    """
    The syntax tree of a rule.

    @raise RuleSyntaxError: the text is not one expression, or contains constructs that rules must not have.
    """
    parser = _Parser(tokens_of(text))
    tree = _result(parser.sequence())
    parser.finish()
    return tree


#: A running method of the parser, as a generator: it yields each method that it calls, is sent the result of the call,
#: and returns T.
_Steps = Generator[Any, Any, T]


def _result(steps: _Steps[T]) -> T:
    """
    Run methods of the parser that call each other, on a stack of their own. How deep Python's stack may still grow
    depends on the code that loads the rules.
    """
    stack: list[_Steps[Any]] = [steps]
    value: Any = None
    while stack:
        try:
            stack.append(stack[-1].send(value))
            value = None
        except StopIteration as end:
            stack.pop()
            value = end.value
    result: T = value
    return result


class _Parser:
    """
    Reads the tokens one after the other. Methods that return L{_Steps} are called by C{yield}.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._brackets = 0

    # -- tokens

    def _is(self, *values: str) -> bool:
        token = self._tokens[self._at]
        return token.kind == "punctuator" and token.value in values

    def _take(self, value: str) -> bool:
        if self._is(value):
            self._at += 1
            return True
        return False

    def _expect(self, value: str) -> None:
        if not self._take(value):
            raise self._unexpected()

    def _unexpected(self) -> RuleSyntaxError:
        token = self._tokens[self._at]
        if token.kind == "end":
            return RuleSyntaxError("Unexpected end of input", token.start)
        if token.kind == "punctuator" and token.value not in ("==", "===", "!=", "!==", "<=", ">=", "=>"):
            if token.value.endswith("=") or token.value in ("++", "--"):
                return RuleSyntaxError("a rule cannot assign", token.start)
            if token.value == ";":
                return RuleSyntaxError("a rule is one expression", token.start)
        what = token.value if token.kind in ("name", "punctuator") else token.kind
        return RuleSyntaxError(f"Unexpected {'identifier ' if token.kind == 'name' else 'token '}{what}", token.start)

    def _made(self, node: N, start: int, end: int | None = None) -> N:
        node.start = start
        node.end = self._tokens[self._at - 1].end if end is None else end
        node.depth = 1 + max((part.depth for part in node.parts()), default=0)
        if node.depth > MAX_RULE_DEPTH:
            raise RuleSyntaxError(f"nested more than {MAX_RULE_DEPTH} levels deep", start)
        return node

    def finish(self) -> None:
        self._take(";")
        if self._tokens[self._at].kind != "end":
            raise self._unexpected()

    # -- expressions

    def sequence(self) -> _Steps[Node]:
        start = self._tokens[self._at].start
        first: Node = yield self.expression()
        if not self._is(","):
            return first
        operands = [first]
        while self._take(","):
            operands.append((yield self.expression()))
        return self._made(Logical(",", operands), start)

    def expression(self) -> _Steps[Node]:
        self._brackets += 1
        if self._brackets > MAX_RULE_DEPTH:
            raise RuleSyntaxError(f"nested more than {MAX_RULE_DEPTH} levels deep", self._tokens[self._at].start)
        start = self._tokens[self._at].start
        cases: list[tuple[Node, Node]] = []
        tree = yield self._binary()
        while self._take("?"):
            value = yield self.expression()
            self._expect(":")
            cases.append((tree, value))
            tree = yield self._binary()
        self._brackets -= 1
        return self._made(Conditional(cases, tree), start) if cases else tree

    def _binary(self) -> _Steps[Node]:
        """
        Operands and the operators between them. Operators that bind tighter are joined first, without recursion.
        """
        operands: list[Node] = [(yield self.operand())]
        operators: list[str] = []
        while True:
            token = self._tokens[self._at]
            rank = _RANKS.get(token.value, 0) if token.kind in ("punctuator", "name") else 0
            if not rank:
                break
            if token.value == "**" and isinstance(operands[-1], Unary) and not operands[-1].bracketed:
                raise RuleSyntaxError("put the left side of ** into parentheses", operands[-1].start)
            while operators and (_RANKS[operators[-1]] > rank or (_RANKS[operators[-1]] == rank and rank != 11)):
                self._join(operands, operators)
            operators.append(token.value)
            self._at += 1
            operands.append((yield self.operand()))
        while operators:
            self._join(operands, operators)
        return operands[0]

    def _join(self, operands: list[Node], operators: list[str]) -> None:
        """
        Join the last two operands by the last operator.
        """
        operator = operators.pop()
        right = operands.pop()
        left = operands.pop()
        node: Node
        if operator in _LOGICAL:
            for side in (left, right):
                if isinstance(side, Logical) and not side.bracketed and "??" in (operator, side.operator):
                    if operator != side.operator:
                        raise RuleSyntaxError("?? among || or && needs parentheses", side.start)
            if isinstance(left, Logical) and left.operator == operator and not left.bracketed:
                node = Logical(operator, [*left.operands, right])
            else:
                node = Logical(operator, [left, right])
        elif isinstance(left, Binary) and not left.bracketed and _RANKS[left.rest[0][0]] == _RANKS[operator] != 11:
            node = Binary(left.first, [*left.rest, (operator, right)])
        else:
            node = Binary(left, [(operator, right)])
        operands.append(self._made(node, _start(left), _end(right)))

    def operand(self) -> _Steps[Node]:
        """
        One operand, with its prefix operators and its members.
        """
        prefixes: list[Token] = []
        while (token := self._tokens[self._at]).kind in ("punctuator", "name") and token.value in _PREFIXES:
            prefixes.append(token)
            self._at += 1
        tree: Node = yield self._primary()
        if self._is(".", "?.", "[", "("):
            tree = yield self._chain(tree)
        while prefixes:
            prefix = prefixes.pop()
            tree = self._made(Unary(prefix.value, tree), prefix.start)
        return tree

    def _primary(self) -> _Steps[Node]:
        found: Node
        token = self._tokens[self._at]
        self._at += 1
        if token.kind in ("number", "string"):
            return self._made(Literal(token.value), token.start)
        if token.kind == "name":
            found = yield self._name(token)
            return found
        if token.kind == "regex":
            return self._made(RegexLiteral(*token.value), token.start)
        if token.kind == "template":
            found = yield self._template(token)
            return found
        if token.kind == "punctuator":
            if token.value == "(":
                found = yield self._parenthesis()
                return found
            if token.value == "[":
                return self._made(Array((yield self._list("]"))), token.start)
            if token.value == "{":
                return self._made(Object((yield self._entries())), token.start)
        self._at -= 1
        raise self._unexpected()

    def _parenthesis(self) -> _Steps[Node]:
        tree: Node = yield self.sequence()
        self._expect(")")
        tree.bracketed = True
        return tree

    def _name(self, token: Token) -> _Steps[Node]:
        if token.value in _CONSTANTS:
            return self._made(Literal(_CONSTANTS[token.value]), token.start)
        if token.value in _RESERVED:
            self._at -= 1
            raise self._unexpected()
        if token.value == "_" and self._take("("):
            return self._made(Reference((yield self._list(")"))), token.start)
        return self._made(Name(token.value), token.start)

    def _template(self, token: Token) -> _Steps[Node]:
        texts, expressions = [token.value[0]], []
        more = token.value[1]
        while more:
            expressions.append((yield self.sequence()))
            piece = self._tokens[self._at]
            if piece.kind != "piece":
                raise self._unexpected()
            self._at += 1
            text, more = piece.value
            texts.append(text)
        return self._made(Template(texts, expressions), token.start)

    def _list(self, end: str) -> _Steps[list[Node]]:
        """
        Expressions up to the closing bracket.
        """
        items: list[Node] = []
        while not self._take(end):
            items.append((yield self.expression()))
            if not self._is(end):
                self._expect(",")
        return items

    def _entries(self) -> _Steps[list[tuple[str | Node, Node]]]:
        entries: list[tuple[str | Node, Node]] = []
        while not self._take("}"):
            entries.append((yield self._entry()))
            if not self._is("}"):
                self._expect(",")
        return entries

    def _entry(self) -> _Steps[tuple[str | Node, Node]]:
        token = self._tokens[self._at]
        key: str | Node
        if self._take("["):
            key = yield self.expression()
            self._expect("]")
        elif token.kind in ("name", "string", "number"):
            self._at += 1
            key = token.value if isinstance(token.value, str) else Literal(token.value)
            if token.kind == "name" and key not in _CONSTANTS and self._is(",", "}"):
                return key, (yield self._name(token))
            if key == "__proto__":
                raise RuleSyntaxError("__proto__ in an object is not supported", token.start)
        else:
            raise self._unexpected()
        self._expect(":")
        return key, (yield self.expression())

    def _chain(self, base: Node) -> _Steps[Node]:
        links: list[Link] = []
        while True:
            optional = self._take("?.")
            if optional or self._take("."):
                if optional and self._take("["):
                    links.append((yield self._computed(optional)))
                    continue
                token = self._tokens[self._at]
                if token.kind != "name":
                    raise self._unexpected()
                self._at += 1
                arguments = (yield self._arguments(token)) if self._is("(") else None
                links.append(Link(token.value, optional, arguments, self._tokens[self._at - 1].end))
            elif self._take("["):
                links.append((yield self._computed(False)))
            elif self._is("("):
                found: Node = yield self._called(base, links)
                return found
            elif self._tokens[self._at].kind == "template":
                raise self._unexpected()
            else:
                break
        return self._made(Chain(base, links), _start(base))

    def _called(self, base: Node, links: list[Link]) -> _Steps[Node]:
        """
        A call of something that is no method. The name of a method without an object, as in C{trim()}, is accepted
        here. It is not defined, so the rule fails when it is evaluated.
        """
        if links or not isinstance(base, Name) or base.name not in METHODS or base.bracketed:
            raise RuleSyntaxError("only methods and _ can be called", self._tokens[self._at].start)
        self._at += 1
        yield self._list(")")
        return (yield self._chain(base)) if self._is(".", "?.", "[", "(") else base

    def _computed(self, optional: bool) -> _Steps[Link]:
        key = yield self.sequence()
        self._expect("]")
        return Link(key, optional, None, self._tokens[self._at - 1].end)

    def _arguments(self, method: Token) -> _Steps[list[Node]]:
        if method.value not in METHODS:
            raise RuleSyntaxError(f"function {method.value} is not supported", method.start)
        self._at += 1
        found: list[Node] = yield self._list(")")
        return found


def _start(node: Node) -> int:
    return node.start - (1 if node.bracketed else 0)


def _end(node: Node) -> int:
    return node.end + (1 if node.bracketed else 0)
