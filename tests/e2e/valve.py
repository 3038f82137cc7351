"""
Valve expressions, made up at random, evaluated by us and by Node.js::

    python -m tests.e2e.valve 20000 [seed]

Expressions are of the subset that rules may be. What is known to differ is not made: inherited members, which rules do
not see, and the few corners of regular expressions that L{dstwist.permission.valve.regex} names.
"""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dstwist.errors import RuleError
from dstwist.permission.valve.compiler import compiled
from dstwist.permission.valve.parser import parse
from dstwist.permission.valve.regex import Regex
from dstwist.permission.valve.scope import Scope
from dstwist.permission.valve.values import Function, Meter
from dstwist.protocol.typed import UNDEFINED, format_number

SCRIPT = Path(__file__).with_name("valve.js")

_NUMBERS = (
    "0 -0 1 2 3 10 0.1 0.5 1e21 1e-7 123456789 4294967296 2147483648 .5 0x1f 0b11 1_000 NaN Infinity 9007199254740993 "
    "5e-324 1.7976931348623157e308"
).split()
_TEXTS = [
    *("''", "'a'", "'A'", "'abc'", "'b'", "' a '", "'12'", "'1e3'", "'0x10'", "' 7 '", "'-'", "'ß'", "'Σας'", "'É'"),
    *("'a,b'", "'true'", "'null'", "'Infinity'", "'1_0'", "'nan'", "'\\u00a0\\ufeff5'", "'😀'", "'x😀y'", "'\\ud83d'"),
    *("'\\ude00'", "'\\uffff'", '"q\\n\\x41\\u{1F600}"', "'İ'", "'ﬁ'", "'1.'", "'.'", "'+1'", "'--1'"),
    *("'[object Object]'", "'undefined'"),
]
_NAMES = ("data", "data", "data", "oldData", "user", "now", "name", "$id", "undefined", "missing", "Math.PI")
_KEYS = ("a", "b", "list", "text", "n", "id", "data", "role", "length", "nested", "flag", "nothing")
_OPERATORS = "=== !== == != < > <= >= + + - * / % | ^ & << >> >>> && ||".split()
_REGEXES = [
    *(
        "/a/",
        "/^a/",
        "/b$/",
        "/[a-z]+/",
        "/[A-Z]/i",
        "/^\\d+$/",
        "/(a)(b)?/",
        "/./g",
        "/a|b/g",
        "/^$/",
        "/\\s/",
        "/x*/g",
    ),
    *("/a.c/s", "/[^]/", "/\\u0041/", "/^abc$/i"),
]
_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2.5, 1e21, 9007199254740993, "", "a", "abc", "12", "😀", " x "),
    *([], [1, "a", None], ["a", "b"], [[1, 2], []], [1e21, True, {"a": 1}]),
    *({}, {"a": 1, "b": "x"}, {"length": 3}, {"0": "zero"}),
]


class Maker:
    """
    Makes expressions.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def names(self) -> dict[str, Any]:
        """
        What the names stand for.
        """
        pick = self._random.choice

        def record() -> Any:
            return {key: pick(_VALUES) for key in self._random.sample(_KEYS, 5)}

        return {
            "user": {"id": "ann", "isAuthenticated": True, "data": pick([None, record(), {"role": "admin"}])},
            "data": pick([record(), record(), pick(_VALUES)]),
            "oldData": pick([record(), None]),
            "now": 1700000000000,
            "name": pick(["user/ann", "", "😀"]),
            "$id": pick(["ann", "12", "a"]),
        }

    def expression(self, depth: int = 4) -> str:
        """
        Some expression.
        """
        pick = self._random.choice
        if depth <= 0 or self._random.random() < 0.12:
            return pick([self._simple, self._simple, self._member])(depth) if depth > 0 else self._simple(depth)
        makers = [self._binary] * 5 + [self._member] * 4 + [self._call] * 3 + [self._unary] * 2
        makers += [self._conditional, self._array, self._object, self._template, self._sequence, self._in]
        makers += [self._coalesce, self._reference, self._kind, self._match, self._flat]
        return pick(makers)(depth)

    def _simple(self, depth: int) -> str:
        pick = self._random.choice
        return pick([pick(_NUMBERS), pick(_TEXTS), pick(_NAMES), pick(_NAMES), "true", "false", "null"])

    def _operand(self, depth: int) -> str:
        made = self.expression(depth - 1)
        return made if made.isidentifier() else f"({made})"

    def _binary(self, depth: int) -> str:
        operator = self._random.choice(_OPERATORS)
        if self._random.random() < 0.03:
            return f"{self._operand(depth)} ** {self._random.choice(['2', '3', '-1', '0.5', '0', 'NaN', 'Infinity'])}"
        return f"{self._operand(depth)} {operator} {self._operand(depth)}"

    def _flat(self, depth: int) -> str:
        # Without parentheses, for what binds tighter than what.
        pieces = [self._simple(0).replace("-0", "0")]
        for _ in range(self._random.randint(2, 5)):
            pieces += [self._random.choice(_OPERATORS), self._random.choice(["", "!", "- ", "~"]) + self._simple(0)]
        return " ".join(pieces)

    def _unary(self, depth: int) -> str:
        return f"{self._random.choice(['!', '!', '- ', '+ ', '~', 'typeof ', 'void '])}{self._operand(depth)}"

    def _member(self, depth: int) -> str:
        base = self._operand(depth)
        for _ in range(self._random.randint(1, 3)):
            key = self._random.choice(_KEYS)
            base += self._random.choice(
                [f".{key}", f".{key}", f"?.{key}", f"['{key}']", f"?.[{self.expression(depth - 2)}]", "[0]", "[1]"]
            )
        return base

    def _call(self, depth: int) -> str:
        method = self._random.choice(
            ["startsWith", "endsWith", "includes", "indexOf", "indexOf", "toUpperCase", "toLowerCase", "trim"]
        )
        base = self._random.choice([self._random.choice(_TEXTS), self._operand(depth), "data.text", "data.list"])
        arguments = [self.expression(depth - 2) for _ in range(self._random.randint(0, 2))]
        dot = self._random.choice([".", ".", "?."])
        return f"{base}{dot}{method}({', '.join(arguments)})"

    def _match(self, depth: int) -> str:
        text = self._random.choice([text for text in _TEXTS if "\\u" not in text])
        base = self._random.choice([text, "data.text", "name"])
        # Only with the flag u, JavaScript takes characters above U+FFFF for one.
        flag = "" if base.startswith("'") and base.isascii() else "u"
        return f"{base}.match({self._random.choice(_REGEXES)}{flag})" + self._random.choice(["", "?.[0]", " !== null"])

    def _conditional(self, depth: int) -> str:
        return " ".join((self._operand(depth), "?", self._operand(depth), ":", self.expression(depth - 1)))

    def _array(self, depth: int) -> str:
        return f"[{', '.join(self.expression(depth - 2) for _ in range(self._random.randint(0, 3)))}]"

    def _object(self, depth: int) -> str:
        keys = self._random.sample(["a", "b", "'x y'", "1", "[data.n]"], self._random.randint(0, 3))
        return "({" + ", ".join(f"{key}: {self.expression(depth - 2)}" for key in keys) + "})"

    def _template(self, depth: int) -> str:
        return "`t${" + self.expression(depth - 1) + "}" + self._random.choice(["", "\\n", "}"]) + "`"

    def _sequence(self, depth: int) -> str:
        return f"({self.expression(depth - 1)}, {self.expression(depth - 1)})"

    def _in(self, depth: int) -> str:
        key = self._random.choice(["'a'", "'length'", "0", "'0'", "1", "data.text"])
        return f"{key} in {self._random.choice(['data', 'data.list', 'oldData', 'user', self._operand(depth)])}"

    def _coalesce(self, depth: int) -> str:
        return f"{self._operand(depth)} ?? {self._operand(depth)}"

    def _reference(self, depth: int) -> str:
        return f"_({self._random.choice(_TEXTS)} + $id){self._random.choice(['', '.asked', '.nothing'])}"

    def _kind(self, depth: int) -> str:
        return f"{self._operand(depth)} instanceof {self._random.choice(['Array', 'Object', 'String', 'RegExp'])}"


_PIECES = [
    *"( ) [ ] { } . ?. , : ? ` ${ / = => ++ ; ! typeof in a data 'x' 1 1. .5 01 1n _ new this delete".split(),
    *"&& ?? || ** - // /* */ \\ ' # ... return await let 0x 1_ <!-- in function null".split(),
    "\n",
]


def mangled(maker: random.Random, expression: str) -> str:
    """
    An expression that something has happened to; mostly it is none any more.
    """
    pieces = list(expression)
    for _ in range(maker.randint(1, 3)):
        place = maker.randrange(len(pieces) + 1)
        if maker.random() < 0.4:
            del pieces[place : place + maker.randint(1, 3)]
        else:
            pieces.insert(place, maker.choice(_PIECES))
    return "".join(pieces)


def evaluated(expression: str, names: dict[str, Any]) -> list[Any]:
    """
    What an expression comes to here, in the words of the script.
    """
    try:
        code = compiled(parse(expression), {"$id": 0})
    except RuleError as error:
        return ["refused", str(error)]
    scope = Scope(names["user"], "action", names["name"], (names["$id"],), Meter(10**7), lambda name: {"asked": name})
    scope.data, scope.old_data, scope.now = names["data"], names["oldData"], float(names["now"])
    try:
        return shown(code(scope))
    except RuleError as error:
        return ["throws", str(error).partition(":")[0]]


def shown(value: Any) -> list[Any]:
    if value is UNDEFINED:
        return ["undefined"]
    if value is None:
        return ["null"]
    if isinstance(value, bool):
        return ["boolean", value]
    if isinstance(value, (int, float)):
        return ["number", "-0" if value == 0 and math.copysign(1, value) < 0 else format_number(value)]
    if isinstance(value, Function):
        return ["function"]
    if isinstance(value, Regex):
        return ["regex", str(value)]
    if isinstance(value, list):
        return ["array", [shown(item) for item in value]]
    if isinstance(value, dict):
        return ["object", [[key, shown(value[key])] for key in sorted(value)]]
    return ["string", value]


def samples(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Expressions, and what the names in them stand for. One of four is mangled.
    """
    maker = Maker(seed)
    mangler = random.Random(seed)
    for number in range(count):
        expression = maker.expression()
        yield (mangled(mangler, expression) if number % 4 == 3 else expression), maker.names()


def differences(seed: int, count: int) -> list[str]:
    """
    Where we and Node.js differ. What we refuse, Node.js may take: rules are a subset. It never gets to see that, since
    assignments are among it.
    """
    found = []
    asked = []
    for number, (text, names) in enumerate(samples(seed, count)):
        ours = evaluated(text, names)
        if ours[0] != "refused":
            asked.append((number, text, names, ours))
        elif number % 4 != 3:
            found.append(f"{text}\n    ours   {ours}")
    lines = "".join(json.dumps({"expression": text, "names": names}) + "\n" for _, text, names, _ in asked)
    process = subprocess.run(
        ["node", str(SCRIPT)], input=lines, capture_output=True, text=True, timeout=300, check=True
    )
    answers = process.stdout.splitlines()
    assert len(answers) == len(asked), process.stderr
    for (number, text, names, ours), answer in zip(asked, answers, strict=True):
        theirs = json.loads(answer)
        if ours != theirs and not (number % 4 == 3 and _is_out_of_reach(text)):
            found.append(f"{text}\n    with   {json.dumps(names)}\n    ours   {ours}\n    theirs {theirs}")
    return found


def _is_out_of_reach(text: str) -> bool:
    """
    Whether a mangled expression has got at what rules do not see: C{Math} itself, or a regular expression without u.
    """
    return re.search(r"Math(?!\.)|match\(/", text) is not None


def main() -> None:
    count = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**9)
    found = differences(seed, count)
    lines = [*found[:20], f"seed {seed}: {len(found)} differences in {count} expressions"]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
