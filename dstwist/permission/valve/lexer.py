"""
The tokens of a rule: from its text to a list of L{Token}s.

==============  ========================================================  ==============================
kind            text                                                      value
==============  ========================================================  ==============================
C{number}       C{5}, C{.5}, C{1_000}, C{1e3}, C{0xff}, C{0o7}, C{0b1}    the C{float}
C{string}       C{'a'}, C{"a"}                                            the C{str}
C{template}     C{`a`}, or the first piece of C{`a${...}b`}               (the C{str}, whether C{${} follows)
C{piece}        any other piece of a template                             as for C{template}
C{regex}        C{/a/i}                                                   (source, flags)
C{name}         C{user}, C{$id}, C{_}, C{typeof}                          the C{str}
C{punctuator}   C{===}, C{?.}, C{(}                                       the C{str}
C{end}                                                                    C{None}
==============  ========================================================  ==============================

The outdated octal forms C{010} and C{'\\07'} are refused, because their meaning depends on the mode of the engine.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dstwist.errors import RuleError
from dstwist.permission.valve.utf16 import characters
from dstwist.permission.valve.values import as_float
from dstwist.protocol.typed import JS_SPACE

#: The longest rule, in characters.
MAX_RULE_CHARACTERS = 10_000


class RuleSyntaxError(RuleError):
    """
    The text is no rule that Valve supports.
    """

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(f"SyntaxError: {problem} (character {position + 1})")
        self.position = position


class Token(NamedTuple):
    kind: str
    value: Any
    start: int
    end: int


_LINE_ENDS = "\n\r\u2028\u2029"
_BLANK = re.compile(f"[{JS_SPACE}]+|//[^{_LINE_ENDS}]*|/\\*.*?\\*/", re.S)
_PUNCTUATORS = re.compile(
    r">>>=|\.\.\.|===|!==|>>>|<<=|>>=|\*\*=|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.(?![0-9])|\+\+|--"
    r"|\+=|-=|\*=|/=|%=|&=|\|=|\^=|<<|>>|\*\*|[-+*/%<>=!~&|^?:.,;()\[\]{}]"
)
_NUMBER = re.compile(
    r"0[xX](?P<x>[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|0[oO](?P<o>[0-7]+(?:_[0-7]+)*)|0[bB](?P<b>[01]+(?:_[01]+)*)"
    r"|(?P<d>(?:(?:0|[1-9][0-9]*(?:_[0-9]+)*)(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?|\.[0-9]+(?:_[0-9]+)*)"
    r"(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?)"
)
_RADIX = {"x": 16, "o": 8, "b": 2}
_STRINGS = {quote: re.compile(rf"(?:[^{quote}\\\n\r]|\\(?:\r\n|.))*{quote}", re.S) for quote in "'\""}
_TEMPLATE = re.compile(r"((?:[^`\\$]|\\(?:\r\n|.)|\$(?!\{))*)(`|\$\{)", re.S)
_REGEX = re.compile(
    r"/((?:[^/\\\[{0}]|\\[^{0}]|\[(?:[^\]\\{0}]|\\[^{0}])*\])+)/([\w$]*)".replace("{0}", _LINE_ENDS), re.A
)
_ESCAPE = re.compile(
    r"\\(?:x(?P<byte>[0-9a-fA-F]{2})|u(?P<unit>[0-9a-fA-F]{4})|u\{(?P<code>[0-9a-fA-F]+)\}"
    r"|(?P<line>\r\n|[\n\r\u2028\u2029])|(?P<octal>0(?![0-9]))|(?P<bad>[xu0-9])|(?P<other>.))",
    re.S,
)
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
#: Names that an operand follows. A C{/} after them begins a regular expression, and is no division.
_OPERATORS = frozenset(("typeof", "void", "in", "instanceof", "delete", "return", "new"))
_CLOSING = frozenset((")", "]", "}"))


def tokens_of(text: str) -> list[Token]:
    """
    The tokens of a text. The last one is of kind C{end}.

    @raise RuleSyntaxError: the text has something that is no token of JavaScript.
    """
    if len(text) > MAX_RULE_CHARACTERS:
        raise RuleSyntaxError(f"a rule of more than {MAX_RULE_CHARACTERS} characters", MAX_RULE_CHARACTERS)
    return _Lexer(text).tokens()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: list[Token] = []
        # For each open brace: whether it belongs to a template.
        self._braces: list[bool] = []

    def tokens(self) -> list[Token]:
        text = self._text
        while True:
            while blank := _BLANK.match(text, self._at):
                self._at = blank.end()
            if self._at == len(text):
                self._add("end", None, self._at)
                return self._found
            self._one(text[self._at])

    def _one(self, first: str) -> None:
        if first in _STRINGS:
            self._string(first)
        elif first == "`":
            self._template(self._at + 1)
        elif first == "}" and self._braces and self._braces.pop():
            self._template(self._at + 1)
        elif self._text.startswith("/*", self._at):
            raise RuleSyntaxError("Invalid or unexpected token: a comment that does not end", self._at)
        elif first == "/" and self._operand_expected():
            self._regex()
        elif first.isdigit() or (first == "." and self._text[self._at + 1 : self._at + 2].isdigit()):
            self._number()
        elif first in "$_" or first.isidentifier():
            self._name()
        else:
            self._punctuator(first)

    def _add(self, kind: str, value: Any, end: int) -> None:
        self._found.append(Token(kind, value, self._at, end))
        self._at = end

    def _operand_expected(self) -> bool:
        if not self._found:
            return True
        last = self._found[-1]
        if last.kind == "punctuator":
            return last.value not in _CLOSING
        if last.kind in ("template", "piece"):
            return bool(last.value[1])
        if last.kind == "name":
            before = self._found[-2].value if len(self._found) > 1 else None
            return last.value in _OPERATORS and before not in (".", "?.")
        return False

    def _string(self, quote: str) -> None:
        found = _STRINGS[quote].match(self._text, self._at + 1)
        if found is None:
            raise RuleSyntaxError("Invalid or unexpected token: a text that does not end", self._at)
        self._add("string", self._unescaped(found[0][:-1], self._at + 1), found.end())

    def _template(self, start: int) -> None:
        found = _TEMPLATE.match(self._text, start)
        if found is None:
            raise RuleSyntaxError("Unterminated template literal", self._at)
        more = found[2] == "${"
        if more:
            self._braces.append(True)
        cooked = self._unescaped(found[1].replace("\r\n", "\n").replace("\r", "\n"), start)
        kind = "template" if self._text[self._at] == "`" else "piece"
        self._add(kind, (cooked, more), found.end())

    def _unescaped(self, text: str, start: int) -> str:
        if "\\" not in text:
            return text

        def meant(found: re.Match[str]) -> str:
            if found["bad"]:
                raise RuleSyntaxError("Invalid escape sequence", start + found.start())
            if found["octal"]:
                return "\0"
            if found["line"]:
                return ""
            if found["other"]:
                return _ESCAPES.get(found["other"], found["other"])
            code = int(found["byte"] or found["unit"] or found["code"], 16)
            if code > 0x10FFFF:
                raise RuleSyntaxError("Undefined Unicode code-point", start + found.start())
            return chr(code)

        return characters(_ESCAPE.sub(meant, text))

    def _regex(self) -> None:
        found = _REGEX.match(self._text, self._at)
        if found is None:
            raise RuleSyntaxError("Invalid regular expression: missing /", self._at)
        self._add("regex", (found[1], found[2]), found.end())

    def _number(self) -> None:
        found = _NUMBER.match(self._text, self._at)
        following = self._text[found.end() : found.end() + 1] if found else ""
        if found is None or following.isdigit() or following in ("$", "\\") or following.isidentifier():
            raise RuleSyntaxError("Invalid or unexpected token: not a number", self._at)
        kind = found.lastgroup or ""
        digits = found[kind].replace("_", "")
        self._add("number", as_float(int(digits, _RADIX[kind])) if kind != "d" else float(digits), found.end())

    def _name(self) -> None:
        text, end = self._text, self._at + 1
        while end < len(text) and (text[end] in "$\u200c\u200d" or f"a{text[end]}".isidentifier()):
            end += 1
        self._add("name", text[self._at : end], end)

    def _punctuator(self, first: str) -> None:
        found = _PUNCTUATORS.match(self._text, self._at)
        if found is None:
            raise RuleSyntaxError("Invalid or unexpected token", self._at)
        if first == "{":
            self._braces.append(False)
        self._add("punctuator", found[0], found.end())
