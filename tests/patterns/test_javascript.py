r"""
Listen patterns. L{tests.e2e.test_patterns} asks Node.js whether the tables here are right.
"""

from __future__ import annotations

import random
import time

from twisted.trial.unittest import SynchronousTestCase

from dstwist.patterns.javascript import InvalidPattern, compile_pattern

#: pattern, names that match, names that do not.
CASES: list[tuple[str, list[str], list[str]]] = [
    # Found anywhere, case-sensitive.
    ("a/1", ["a/1", "xa/12", "b/a/1"], ["a/2", "A/1", ""]),
    ("", ["", "anything"], []),
    ("^a/[0-9]+$", ["a/1", "a/123"], ["xa/1", "a/", "a/1x"]),
    ("^a.*b$", ["ab", "a/b"], ["ba"]),
    # The very end, and the very beginning, of lines as well.
    ("a$", ["a", "ba"], ["a\n", "ab"]),
    ("^a", ["a\n"], ["\na"]),
    # Four line ends.
    ("a.b", ["a b", "aéb"], ["a\nb", "a\rb", "a\u2028b", "a\u2029b"]),
    # Escapes.
    (r"\u0041\x42", ["AB"], ["u0041x42"]),
    (r"\ud83d\ude00", ["😀"], ["x"]),
    (r"\cJ\t\v\f\r\n", ["\n\t\v\f\r\n"], ["\n\t\v\f\n"]),
    (r"\c1", ["\\c1"], ["1"]),
    (r"\0\012\08", ["\0\n\x008"], ["x"]),
    (r"\e\-\_\/\Q\z\p\x\u", ["e-_/Qzpxu"], ["E"]),
    (r"\.", ["a.b"], ["ab"]),
    (r"\u{3}", ["uuu"], ["\3", "uu"]),
    # Sets.
    (r"^\d\D\w\W$", ["1a_/"], ["١a_/", "1a/_"]),
    (r"^\w$", ["a"], ["é"]),
    (r"^\s+$", [" \t\n\v\f\r\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\ufeff"], ["\x85", "\u200b", "x"]),
    (r"^\S+$", ["x\x85\u200b", "\u180e"], ["x\xa0", " ", "\ufeff"]),
    (r"\bab\b", ["ab", "x ab/"], ["abc", "_ab"]),
    (r"a\Bb", ["ab"], ["a b"]),
    # Classes.
    ("[]", [], ["", "a"]),
    ("x[^]y", ["x\ny"], ["xy"]),
    ("[]a]", [], ["a", "]"]),
    ("^[^]]$", ["a]"], ["a", "]]]"]),
    ("^[[a]$", ["[", "a"], ["]", "[a"]),
    ("[[:alpha:]]", [":]", "a]", "[]"], ["x", "a"]),
    (r"^[\w-.]+$", ["a-b.c"], ["a/b"]),
    (r"^[a-\d]+$", ["a-1"], ["b"]),
    (r"^[\d-z]+$", ["1-z"], ["y"]),
    ("^[a-]$", ["a", "-"], ["b"]),
    ("^[-a]$", ["a", "-"], ["b"]),
    ("^[--/]$", ["-", ".", "/"], ["a"]),
    ("^[a-c-e]$", ["b", "-", "e"], ["d"]),
    (r"^[\b\B\t\]\\\-\1\c1]$", ["\b", "B", "\t", "]", "\\", "-", "\x01", "\x11"], ["b", "c"]),
    (r"^[\c!]$", ["\\", "c", "!"], ["\x01"]),
    (r"^[^\s\S]?$", [""], ["a", " "]),
    (r"^[\S]$", ["a"], [" ", "\xa0"]),
    ("^[$.^]$", ["$", ".", "^"], ["a"]),
    # Groups, alternatives and counts.
    ("^(?<n>a|b)(?:c|d)(e|f)$", ["ace", "bdf"], ["abc"]),
    ("^(?<$_é>a)$", ["a"], ["b"]),
    ("^(a||b)$", ["", "a", "b"], ["c"]),
    ("^a{2}b{1,}c{0,1}?d{00,02}$", ["aabbcd", "aabdd"], ["abcd", "aabddd"]),
    ("^a{,2}$", ["a{,2}"], ["a", "aa"]),
    ("^a{b}]$", ["a{b}]"], ["ab"]),
    ("^{$", ["{"], ["}"]),
    ("^a*?b+?c??$", ["b", "aabc"], ["ac"]),
]

REFUSED = {
    "(": "missing )",
    ")": "unexpected )",
    "[": "unterminated character class",
    "[a": "unterminated character class",
    r"[\]": "unterminated character class",
    "a\\": "at end of pattern",
    "*": "nothing to repeat",
    "a|*": "nothing to repeat",
    "(+a)": "nothing to repeat",
    "a**": "nothing to repeat",
    "a{2}{3}": "nothing to repeat",
    "a*+": "nothing to repeat",
    "{2}": "nothing to repeat",
    "^*": "nothing to repeat",
    "a$+": "nothing to repeat",
    r"\b?": "nothing to repeat",
    "x{2,1}": "invalid repetition size",
    "[z-a]": "out of order",
    "(?": "invalid group",
    "(?i)a": "invalid group",
    "(?P<n>a)": "invalid group",
    "(?<>a)": "invalid group",
    "(?<1>a)": "group name",
    "(?<n>a)(?<n>b)": "group name",
}

#: What JavaScript accepts, and we do not: it cannot be matched in linear time, or RE2 knows no such thing.
UNSUPPORTED = {
    "a(?=b)": "look-around",
    "a(?!b)": "look-around",
    "(?<=a)b": "look-around",
    "(?<!a)b": "look-around",
    r"(a)\1": "back-references",
    r"(?<n>a)\k<n>": "back-references",
    "a{1001}": "invalid repetition size",
    "a{" + "9" * 900 + "}": "invalid repetition size",
    "a{0," + "9" * 900 + "}": "invalid repetition size",
    "((a{1000}){1000}){1000}": "invalid repetition size",
    r"[\u0100-\uffff]{1000}" * 20: "too large",
    r"\ud83d": "surrogate",
    r"[\ud800-\udbff]": "surrogate",
    "\ud800": "surrogate",
}


def here(pattern: str, names: list[str]) -> list[bool] | None:
    try:
        matches = compile_pattern(pattern, 1000).matches
    except InvalidPattern:
        return None
    return [matches(name) for name in names]


def some_pattern(rng: random.Random, depth: int = 3) -> str:
    """
    A pattern, perhaps an invalid one, of all that JavaScript knows but look-around and back-references.
    """
    atoms = [
        *"aab/1_-{}],é ",
        ".",
        "^",
        "$",
        "\\b",
        "\\B",
        "\\d",
        "\\D",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\x61",
        "\\u0062",
    ]
    atoms += ["\\/", "\\.", "\\-", "\\e", "\\cJ", "\\c_", "\\0", "\\012", "\\n", "\\t", "\\x6", "\\u00e", "\\Q", "\\z"]
    members = [*"abz/1_-[^$.{", "a-f", "0-9", "z-a", "\\d", "\\W", "\\s", "\\S", "\\b", "\\B", "\\-", "\\]", "\\12"]
    members += ["\\x61", "\\u0062", "\\c1", "\\c!", "\\n", "é", "[:alpha:", "\\\\"]
    counts = ["*", "+", "?", "*?", "+?", "??", "{2}", "{0,1}", "{1,}", "{01,02}?", "{,2}", "{", "{2,1}", "{a}", "**"]
    pieces = []
    for _ in range(rng.randrange(5)):
        kind = rng.randrange(8)
        if kind < 4 or depth == 0:
            piece = rng.choice(atoms)
        elif kind < 6:
            piece = "[" + rng.choice(["", "^"]) + "".join(rng.choices(members, k=rng.randrange(5))) + "]"
        else:
            opening = rng.choice(["(", "(?:", "(?<n>", f"(?<n{rng.randrange(99)}>", "(", "(?:", "(?:", "(?", "(?i)"])
            piece = opening + some_pattern(rng, depth - 1) + ")"
        pieces.append(piece + (rng.choice(counts) if rng.random() < 0.3 else ""))
    return ("|" if rng.random() < 0.1 else "").join(pieces)


class PatternTests(SynchronousTestCase):
    """
    L{compile_pattern}.
    """

    def test_cases(self) -> None:
        """
        A pattern means what it means in JavaScript.
        """
        for pattern, matching, others in CASES:
            matches = compile_pattern(pattern, 1000).matches
            for name in matching:
                self.assertTrue(matches(name), (pattern, name))
            for name in others:
                self.assertFalse(matches(name), (pattern, name))

    def test_astral(self) -> None:
        """
        A character above U+FFFF is one character (JavaScript counts two), however it is written.
        """
        for pattern in ("^.$", "^😀$", r"^\ud83d\ude00$", r"^[\ud83d\ude00-\ud83d\ude0f]$", "^[😀-😏]{1}$"):
            self.assertEqual(here(pattern, ["😀", "😀😀", "x😀"]), [True, False, False], pattern)

    def test_refused(self) -> None:
        """
        Text that is not a regular expression in JavaScript is refused, with a reason.
        """
        for pattern, reason in REFUSED.items():
            error = self.assertRaises(InvalidPattern, compile_pattern, pattern, 1000)
            self.assertIn(reason, str(error), pattern)

    def test_unsupported(self) -> None:
        """
        Look-around, back-references and what else cannot be matched in linear time is refused, with a reason.
        """
        for pattern, reason in UNSUPPORTED.items():
            error = self.assertRaises(InvalidPattern, compile_pattern, pattern, 10000)
            self.assertIn(reason, str(error), ascii(pattern))

    def test_w5_length(self) -> None:
        """
        W5: a pattern may be as long as the configuration says, and no longer.
        """
        self.assertTrue(compile_pattern("a" * 10, 10).matches("a" * 10))
        error = self.assertRaises(InvalidPattern, compile_pattern, "a" * 11, 10)
        self.assertEqual(str(error), "longer than 10 characters")

    def test_w5_linear(self) -> None:
        """
        W5: patterns that take a backtracking engine longer than the universe is old take no time.
        """
        started = time.thread_time()
        for pattern in (
            "(a+)+$",
            "(a|aa)+$",
            "(a*)*b",
            "(.*a){20}x",
            "^(([a-z])+.)+[A-Z]([a-z])+$",
            "a?" * 60 + "a" * 60,
        ):
            compile_pattern(pattern, 1000).matches("a" * 5000 + "!")
        self.assertLess(time.thread_time() - started, 2)

    def test_w5_greedy(self) -> None:
        """
        W5: a short pattern that would be large once compiled, and slow on long names, is refused; what people write
        is not.
        """
        for pattern in ("(?:.?){900}a{900}", "(?:.?){300}a{300}", "\\S{300}", "(\\w\\s\\S){200}"):
            with self.assertRaisesRegex(InvalidPattern, "too large"):
                compile_pattern(pattern, 1000)
        for pattern in (
            "^[\\w-]{1,50}/[\\w-]{1,50}$",
            "^.{1,64}$",
            "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
            ".*/.*/.*/.*/.*/.*/.*/.*/.*/.*",
            "|".join(f"customer/{number}/orders" for number in range(40)),
        ):
            compile_pattern(pattern, 1000)

    def test_w5_garbage(self) -> None:
        """
        W5: whatever a client sends as a pattern is compiled or refused.
        """
        rng = random.Random(7)
        for _ in range(3000):
            here("".join(rng.choices("ab0(){}[]?<>:=!*+.|^$\\,-\n\0éuxck\ud800😀", k=rng.randrange(20))), ["", "a😀"])
