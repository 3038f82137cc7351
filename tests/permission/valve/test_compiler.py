"""
Tests for L{dstwist.permission.valve.compiler} and L{dstwist.permission.valve.members}: what expressions come to.

Node.js gave the values in these tables (C{tests/e2e/valve.js}).
"""

from __future__ import annotations

import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import RuleError
from dstwist.permission.valve.compiler import compiled, names_in
from dstwist.permission.valve.parser import parse
from dstwist.permission.valve.scope import Scope
from dstwist.permission.valve.values import Meter, Thrown, TooMuch
from dstwist.protocol.typed import UNDEFINED

DATA: dict[str, Any] = {
    "a": 1,
    "n": 5,
    "s": "Hello",
    "list": [1, "a", None, [2]],
    "o": {"x": {"y": "z"}},
    "none": None,
    "no": False,
    "": "empty",
    "0": "zero",
    "null": "Null",
    "smile": "x\U0001f600y",
}
NAN = object()

VALUES: tuple[tuple[str, Any], ...] = (
    # members
    ("data.o.x.y", "z"),
    ("data['o']['x'].y", "z"),
    ("data.o['x'+''].y", "z"),
    ("data[0]", "zero"),
    ("data['']", "empty"),
    ("data[null]", "Null"),
    ("data[[]]", "empty"),
    ("data.missing", UNDEFINED),
    ("data.missing?.x.y.z", UNDEFINED),
    ("data.none?.['x']", UNDEFINED),
    ("data.missing?.trim()", UNDEFINED),
    ("data?.o?.x?.y", "z"),
    ("data.list[1]", "a"),
    ("data.list['1']", "a"),
    ("data.list['01']", UNDEFINED),
    ("data.list[-1]", UNDEFINED),
    ("data.list[1.5]", UNDEFINED),
    ("data.list[99999999999]", UNDEFINED),
    ("data.list.length", 4),
    ("data.list.missing", UNDEFINED),
    ("data.s.length", 5),
    ("data.s[1]", "e"),
    ("data.s['1']", "e"),
    ("data.s[9]", UNDEFINED),
    ("data.smile.length", 4),
    ("data.smile[1]", "\ud83d"),
    ("data.smile[1] + data.smile[2]", "\U0001f600"),
    ("data.n.missing", UNDEFINED),
    ("data.no.missing", UNDEFINED),
    # nothing is inherited
    ("data.constructor", UNDEFINED),
    ("data.__proto__", UNDEFINED),
    ("data.toString", UNDEFINED),
    ("data.hasOwnProperty", UNDEFINED),
    ("data.s.constructor", UNDEFINED),
    ("data.list.map", UNDEFINED),
    ("data.n.toFixed", UNDEFINED),
    ("'toString' in data", False),
    ("typeof data.s.trim", "function"),
    ("typeof data.list.indexOf", "function"),
    ("typeof data.list.trim", "undefined"),
    ("data.s.trim === 'x'.trim", True),
    ("data.s.indexOf === data.list.indexOf", False),
    ("typeof _", "function"),
    # operators that stop
    ("0 || 'x'", "x"),
    ("data.no || data.none", None),
    ("1 && 2 && 3", 3),
    ("1 && 0 && missing", 0),
    ("1 || missing", 1),
    ("null ?? undefined ?? 0 ?? missing", 0),
    ("'' ?? 'x'", ""),
    ("(1 || 0) && 2", 2),
    ("1 || 0 && 2", 1),
    ("true ? 1 : missing", 1),
    ("false ? missing : 0 ? missing : 3", 3),
    ("(1, 2, 3)", 3),
    # rank
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("10 - 4 - 3", 3),
    ("2 ** 3 ** 2", 512),
    ("(2 ** 3) ** 2", 64),
    ("(- 2) ** 2", 4),
    ("2 * 3 ** 2", 18),
    ("1 < 2 === true", True),
    ("1 + 1 + 'x' + 1 + 1", "2x11"),
    ("6 / 2 * 3", 9),
    ("7 % 4 * 2", 6),
    ("1 << 2 + 1", 8),
    ("5 & 3 | 8 ^ 1", 9),
    ("!0 + 1", 2),
    ("- -1", 1),
    ("-'3' + 4", 1),
    ("typeof 1 + 1", "number1"),
    ("!'a' in data", False),
    ("void 0", UNDEFINED),
    ("typeof missing", "undefined"),
    ("typeof data.missing", "undefined"),
    ("3 > 2 > 1", False),
    ("1 == 1 != 0", True),
    # numbers
    ("0.1 + 0.2", 0.1 + 0.2),
    ("1_000", 1000),
    ("0xFF + 0b11 + 0o17", 273),
    (".5 + 5.", 5.5),
    ("1e3", 1000),
    ("1 / 0", math.inf),
    ("0 / 0", NAN),
    ("NaN", NAN),
    ("Math.PI > 3", True),
    ("Math.missing", UNDEFINED),
    ("Number.MAX_SAFE_INTEGER", 2**53 - 1),
    ("9007199254740993 === 9007199254740992", True),
    # texts
    ("'it\\'s' + \"\\x41\\u0042\\u{43}\\n\"", "it'sABC\n"),
    ("'a\\\nb'", "ab"),
    ("'\\q'", "q"),
    ("`a${1 + 1}b${`c${'d'}`}e`", "a2bcde"),
    ("`${data.list}`", "1,a,,2"),
    ("`\\``", "`"),
    ("`$`", "$"),
    ("`a\nb`", "a\nb"),
    ("'\\ud83d\\ude00'.length", 2),
    # methods of texts
    ("data.s.startsWith('He')", True),
    ("data.s.startsWith('l', 2)", True),
    ("data.s.startsWith('')", True),
    ("data.s.startsWith('x', -5)", False),
    ("'undefined!'.startsWith()", True),
    ("data.s.endsWith('lo')", True),
    ("data.s.endsWith('l', 4)", True),
    ("data.s.endsWith('l', NaN)", False),
    ("data.s.includes('ell')", True),
    ("data.s.includes('H', 1)", False),
    ("'null'.includes(null)", True),
    ("data.s.indexOf('l')", 2),
    ("data.s.indexOf('l', 3)", 3),
    ("data.s.indexOf('')", 0),
    ("data.s.indexOf('', 99)", 5),
    ("data.s.indexOf('x')", -1),
    ("data.smile.indexOf('y')", 3),
    ("data.smile.indexOf('\\ude00')", 2),
    ("data.smile.startsWith('y', 3)", True),
    ("'1'.indexOf(1)", 0),
    ("data.s.toUpperCase()", "HELLO"),
    ("'ß'.toUpperCase()", "SS"),
    ("'ﬁ'.toUpperCase()", "FI"),
    ("'ΑΣ'.toLowerCase()", "ας"),
    ("'İ'.toLowerCase()", "i\u0307"),
    ("' \\u00a0\\ufeff\\u2028x\\u3000'.trim()", "x"),
    ("'\\u200bx'.trim()", "\u200bx"),
    ("'\\u001cx'.trim()", "\x1cx"),
    ("data.s.trim().toLowerCase().indexOf('LLO'.toLowerCase())", 2),
    ("data.s.trim('ignored', data.a)", "Hello"),
    # methods of arrays
    ("[1, 2, 3].indexOf(2)", 1),
    ("[1, 2, 1].indexOf(1, 1)", 2),
    ("[1, 2, 1].indexOf(1, -1)", 2),
    ("[1].indexOf('1')", -1),
    ("[true].indexOf(1)", -1),
    ("[NaN].indexOf(NaN)", -1),
    ("[NaN].includes(NaN)", True),
    ("[0].includes(- 0)", True),
    ("[1].includes('1')", False),
    ("[undefined].includes()", True),
    ("[1, 2].includes(1, 1)", False),
    ("['a', 'b'].indexOf('b')", 1),
    ("[].indexOf(undefined)", -1),
    ("data.list.includes(data.list[3])", True),
    ("data.list.includes([2])", False),
    # match
    ("data.s.match(/l+/)[0]", "ll"),
    ("data.s.match(/(e)(x)?/)[2]", UNDEFINED),
    ("data.s.match(/l/g).length", 2),
    ("data.s.match(/x/)", None),
    ("data.s.match(/x/g)", None),
    ("data.s.match('l+')[0]", "ll"),
    ("data.s.match()[0]", ""),
    ("data.s.match(/hELLO/i).index", 0),
    ("data.smile.match(/y/).index", 3),
    ("data.s.match(/l/).input", "Hello"),
    ("'a\\nb'.match(/^b$/m) !== null", True),
    ("'a\\nb'.match(/a.b/) !== null", False),
    ("'a\\nb'.match(/a.b/s) !== null", True),
    ("'ab'.match(/b/y)", None),
    ("'null'.match(null)[0]", "null"),
    ("'a/b'.match(/[/]/)[0]", "/"),
    ("4 / 2 / 1", 2),
    # in, instanceof
    ("'o' in data && !('zz' in data)", True),
    ("0 in data.list && !(9 in data.list) && 'length' in data.list", True),
    ("[] instanceof Array && [] instanceof Object && !({} instanceof Array)", True),
    ("'a' instanceof String || 1 instanceof Number || true instanceof Boolean", False),
    ("/a/ instanceof RegExp", True),
    ("data.s.trim instanceof Function", True),
    # objects and arrays
    ("({a: 1, 'b c': 2, 3: 4, [data.s]: 5})['Hello']", 5),
    ("{ann: true}[user.id]", True),
    ("({name, data}).name", "user/ann"),
    ("({a: 1, a: 2}).a", 2),
    ("[1, 2,].length", 2),
    ("[[1, 2], [3]][1][0]", 3),
    ("({}) === ({})", False),
    ("data.o === data.o", True),
    ("[1, [2, 3]] + ''", "1,2,3"),
    ("({}) + ''", "[object Object]"),
    # names
    ("user.id", "ann"),
    ("user.role", UNDEFINED),
    ("user === user", True),
    ("$id + name", "annuser/ann"),
    ("now > 1", True),
    ("oldData", UNDEFINED),
    ("undefined === void 0", True),
    ("data.new", UNDEFINED),
    ("data.function === data.typeof", True),
    # comments and white space
    ("/* a */ 1 /* b\n*/ + // c\n 2", 3),
    ("\n\t1\u00a0+\ufeff1\u2028;\n", 2),
    ("1;", 1),
)

THROWS: tuple[tuple[str, str], ...] = (
    ("data.none.x", "TypeError: Cannot read properties of null (reading 'x')"),
    ("data.missing.x", "TypeError: Cannot read properties of undefined (reading 'x')"),
    ("data.missing[0]", "TypeError: Cannot read properties of undefined (reading '0')"),
    ("(data.missing?.x).y", "TypeError: Cannot read properties of undefined"),
    ("missing", "ReferenceError: missing is not defined"),
    ("Math", "ReferenceError: Math is not defined"),
    ("process.env", "ReferenceError: process is not defined"),
    ("globalThis", "ReferenceError: globalThis is not defined"),
    ("Object", "ReferenceError: Object is not defined"),
    ("$other", "ReferenceError: $other is not defined"),
    ("indexOf('x')", "ReferenceError: indexOf is not defined"),
    ("trim().length", "ReferenceError: trim is not defined"),
    ("data.n.trim()", "TypeError: trim is not a function"),
    ("data.o.indexOf('x')", "TypeError: indexOf is not a function"),
    ("data.list.startsWith('x')", "TypeError: startsWith is not a function"),
    ("data.none.trim(missing)", "TypeError: Cannot read properties of null (reading 'trim')"),
    ("data.n.trim(missing)", "ReferenceError: missing is not defined"),
    ("data.s.startsWith(/H/)", "TypeError: First argument to String.prototype.startsWith must not be"),
    ("data.s.includes(/H/)", "TypeError: First argument to String.prototype.includes must not be"),
    ("data.s.match('(')", "SyntaxError: Invalid regular expression"),
    ("data.s.match('(?=x)')", "SyntaxError: Invalid regular expression: look-around"),
    ("'a' in data.s", "TypeError: Cannot use 'in' operator"),
    ("'a' in null", "TypeError: Cannot use 'in' operator"),
    ("data instanceof data", "TypeError: Right-hand side of 'instanceof' is not callable"),
    ("data instanceof Missing", "ReferenceError: Missing is not defined"),
    ("({toString: 1}) + ''", "TypeError: Cannot convert object to primitive value"),
)


def evaluate(text: str, steps: int = 10**6, data: Any = DATA) -> Any:
    """
    The value of an expression.
    """
    user = {"id": "ann", "isAuthenticated": True, "data": None}
    scope = Scope(user, "action", "user/ann", ("ann",), Meter(steps), lambda name: {"asked": name})
    scope.data = data
    scope.now = 1.7e12
    return compiled(parse(text), {"$id": 0})(scope)


class EvaluationTests(SynchronousTestCase):
    """
    Expressions have the values that JavaScript gives them.
    """

    def test_values(self) -> None:
        """
        The table of values.
        """
        for text, expected in VALUES:
            value = evaluate(text)
            if expected is NAN:
                self.assertTrue(value != value, text)
            elif isinstance(expected, bool) or expected is None or expected is UNDEFINED:
                self.assertIs(value, expected, text)
            else:
                self.assertEqual(value, expected, text)
                self.assertFalse(isinstance(value, bool), text)

    def test_throws(self) -> None:
        """
        The table of errors.
        """
        for text, expected in THROWS:
            error = self.assertRaises(Thrown, evaluate, text)
            self.assertTrue(str(error).startswith(expected), f"{text}: {error}")

    def test_reference(self) -> None:
        """
        C{_} gets its first argument; without one, undefined.
        """
        self.assertEqual(evaluate("_('a/' + $id).asked"), "a/ann")
        self.assertIs(evaluate("_().asked"), UNDEFINED)

    def test_order(self) -> None:
        """
        The left side is evaluated first, and a side that is not needed is not evaluated.
        """
        asked: list[str] = []
        scope = Scope({}, "", "", (), Meter(1000), lambda name: asked.append(name))
        compiled(parse("[_('a'), _('b') || _('c'), _('d') && _('e'), _('f') ? _('g') : _('h')]"), {})(scope)
        self.assertEqual("".join(asked), "abcdfh")

    def test_names_in(self) -> None:
        """
        The names in a rule are found in its tree, in any place; texts and keys that look like names are not.
        """
        for text, expected in (
            ("user.id === 'data'", {"user"}),
            ("user.data.data", {"user"}),
            ("!oldData", {"oldData"}),
            ("`${data}`", {"data"}),
            ("({data})", {"data"}),
            ("({data: 1})", set()),
            ("user[data.x]", {"user", "data"}),
            ("_(name)", {"_()", "name"}),
            ("'x'.trim(now)", {"now"}),
            ("1 /* data */", set()),
        ):
            self.assertEqual(names_in(parse(text)), expected, text)

    def test_long_chains(self) -> None:
        """
        A rule that is long but not nested can be evaluated, however long it is.
        """
        self.assertEqual(evaluate("+".join("1" for _ in range(4000))), 4000)
        self.assertEqual(evaluate("||".join("0" for _ in range(3000)) + "||7"), 7)
        self.assertEqual(evaluate("0?1:" * 2000 + "5"), 5)
        self.assertIs(evaluate("data" + "?.a" * 3000), UNDEFINED)
        self.assertEqual(evaluate(",".join("1" for _ in range(4000))), 1)

    def test_deepest(self) -> None:
        """
        A rule of the greatest depth can be evaluated.
        """
        self.assertEqual(evaluate("(" * 199 + "1" + ")" * 199), 1)
        self.assertEqual(evaluate("!" * 198 + "1"), True)
        nested = "0"
        for _ in range(90):
            nested = f"1+2*({nested})"
        self.assertNotEqual(evaluate(nested), 0)
        self.assertEqual(evaluate("'a'.indexOf(" * 199 + "'a'" + ")" * 199), -1)
        self.assertIs(evaluate("data[" * 199 + "0" + "]" * 199), UNDEFINED)
        self.assertEqual(evaluate("[" * 199 + "]" * 199 + "+''"), "")
        self.assertEqual(evaluate("{a:" * 190 + "1" + "}" * 190 + "+''"), "[object Object]")

    def test_steps(self) -> None:
        """
        A rule that takes too many steps on large data fails, and a text does not grow beyond its limit.
        """
        array = list(range(1000))
        self.assertEqual(evaluate("data.indexOf(999)", 5000, array), 999)
        for text, data in (
            ("data.indexOf(-1) + data.indexOf(-1) + data.includes(-1)", array),
            ("data + data + data + data + data", array),
            ("data.toUpperCase() + data.toLowerCase()", "x" * 400_000),
            ("data == 1", array * 10),
            ("data.indexOf('y')", "x" * 400_000),
        ):
            self.assertRaises(TooMuch, evaluate, text, 2500, data)
        self.assertRaises(TooMuch, evaluate, "data + data + data", 10**6, "x" * 500_000)
        self.assertRaises(TooMuch, evaluate, "`${data}${data}${data}`", 10**6, "x" * 500_000)
        self.assertRaises(TooMuch, evaluate, "data.match(/x/)", 10**6, "x" * 10_001)


class CodeTests(SynchronousTestCase):
    """
    Rules are data: nothing of them is run as code.
    """

    def test_w15_no_way_out(self) -> None:
        """
        W15 (C{security.md}): a rule changes nothing and reaches nothing but the values of its decision.
        """
        for text in (
            "data.x = 1",
            "data.x += 1",
            "data.n++",
            "--data.n",
            "delete data.x",
            "x => 1",
            "(function () {})",
            "new Date",
            "this",
            "arguments",
            "import('fs')",
            "data.constructor.constructor('return process')()",
            "_.constructor('x')",
            "_('a')('b')",
            "(_)('a')",
            "data.s.trim.call(1)",
            "data.s['trim']()",
            "data.s?.['trim']()",
            "data.list.map(1)",
            "eval('1')",
            "eval/**/('1')",
            "Function`x`()",
            "_`a`",
            "data.s.trim`x`",
            "[...data]",
            "({...data})",
            "({get a() { return 1 }})",
            "({a() {}})",
            "({__proto__: data})",
            "await data",
            "yield",
            "async () => 1",
            "class {}",
            "super.x",
            "if (1) 2",
            "return 1",
            "{ return 1 }",
            "throw 1",
            "var x",
            "1; 2",
            "debugger",
            "/a/v",
        ):
            self.assertRaises(RuleError, evaluate, text)

    def test_nothing_of_python(self) -> None:
        """
        Names and attributes of Python mean nothing.
        """
        for text in (
            "data.__class__",
            "data.keys",
            "data.s.upper",
            "data.list.append",
            "data.s.__len__",
            "user.__dict__",
        ):
            self.assertIs(evaluate(text), UNDEFINED, text)
        for text in ("__builtins__", "scope", "self", "None", "print", "data.s.format(1)", "data.list.pop()"):
            self.assertRaises(RuleError, evaluate, text)

    def test_data_is_left_alone(self) -> None:
        """
        No expression of the table changes what it looks at.
        """
        before = repr(DATA)
        for text, _ in VALUES:
            evaluate(text)
        self.assertEqual(repr(DATA), before)
