"""
Tests for L{dstwist.config.tree}.
"""

from __future__ import annotations

from ruamel.yaml import YAML

from dstwist.config import tree
from dstwist.errors import ConfigError
from tests.config.helpers import FileCase


class TreeTests(FileCase):
    """
    YAML and JSON.
    """

    def test_core_schema(self) -> None:
        """
        Scalars are YAML 1.2's: dates, yes, no, on, off, and whatever is in quotes, are texts. What else Node's reader
        takes for a number is one.
        """
        for text, value in (
            ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("Y", "Y"), ("2001-01-01", "2001-01-01"),
            ("true", True), ("True", True), ("FALSE", False), ("tRUE", "tRUE"), ("~", None), ("null", None), ("", None),
            ("1", 1), ("-0", 0), ("+12", 12), ("007", 7), ("0o17", 15), ("0x1F", 31), ("0b1", 1), ("-0x1_0", -16),
            ("1_000", 1000), ("1__0", 10), ("1_000_", "1_000_"), ("_1", "_1"), ("1_0.5", 10.5),
            ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("1.e", "1.e"),
            ("-.inf", float("-inf")), ("1:30", "1:30"), ("'1'", "1"), ('"true"', "true"), ("!!str 1", "1"),
            ("! 1", "1"), ("'a # b'", "a # b"), ("a#b # c", "a#b"),
            ("|\n  a\n  b\n", "a\nb\n"), ("!!seq [1]", [1]), ("!!map {1: 2}", {"1": 2}),
        ):  # fmt: skip
            self.assertEqual(value, self.read(f"a: {text}\n")["a"], text)
            self.assertEqual(type(value), type(self.read(f"a: {text}\n")["a"]), text)
        self.assertNotEqual(*[self.read("a: .nan")["a"]] * 2)

    def test_anchors(self) -> None:
        """
        Anchors, aliases and merges work; what a section says itself comes before what it inherits.
        """
        tree = self.read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{y: 4}, *a]}\nd: *a\ne: &e 1\nf: *e\n'<<': 5")
        self.assertEqual({"x": 1, "y": 3}, tree["b"])
        self.assertEqual({"x": 1, "y": 4}, tree["c"])
        self.assertEqual((tree["a"], 1, 5), (tree["d"], tree["f"], tree["<<"]))

    def test_broken(self) -> None:
        """
        A file that is no YAML or JSON is refused with the line and the column.
        """
        at = f"{self.directory}/any.yml: "
        for content, expected in (
            ("a: 1\nb: [1", "line 2, column 6: a comma is missing here, or the end of the { or ["),
            ("a: 1\n b: 2", "line 2, column 3: the line is indented more than the one before it"),
            (
                "{a: ${B}}",
                "line 1, column 6: a comma is missing here, or the end of the { or [ that is open since line 1; within "
                '{ } or [ ] put quotes around "${NAME}"',
            ),
            ("a: 1\nb: 2\n'a': 3", 'line 3, column 1: the key "a" is there twice'),
            ("[1]: 2", "line 1, column 1: a key must be a text"),
            (
                "a: !!python/object:os.system x",
                "line 1, column 4: the tag tag:yaml.org,2002:python/object:os.system is",
            ),
            ("a: !x {b: 1}", "line 1, column 4: the tag !x is not allowed"),
            ("!x a: 1", "line 1, column 1: the tag !x is not allowed"),
            ("a: *b", "line 1, column 4: the alias *b refers to nothing complete before it"),
            ("a: &a [*a]", "line 1, column 8: the alias *a refers to nothing complete before it"),
            ("<<: 5", "line 1, column 1: << takes a section, or a list of them"),
            ("a: 1\n---\nb: 2", "line 2, column 1: a second document begins"),
            ("a: \0", "not YAML: unacceptable character"),
            (b"a: \xe9", "not UTF-8 (byte 3)"),
            ("[" * 102, "line 1, column 102: nested more than 100 levels deep"),
        ):
            error = self.assertRaises(ConfigError, self.read, content)
            self.assertTrue(str(error).startswith(at + expected), f"{error} should start with {expected}")
        at = f"{self.directory}/any.json: "
        for content, expected in (
            ('{"a": 1,\n}', "line 2, column 1: "),
            ('{"a": {"b": 1, "b": 2}}', 'the key "b" is there twice'),
            ('{"a": NaN}', "NaN is not JSON"),
            ("9" * 5000, "Exceeds the limit"),
            ("[" * 100000, f"nested more than {tree.MAX_YAML_DEPTH} levels deep"),
        ):
            error = self.assertRaises(ConfigError, self.read, content, "any.json")
            self.assertTrue(str(error).startswith(at + expected), f"{error} should start with {expected}")

    def test_parser_failure(self) -> None:
        """
        A mistake of the parser's own is told as a file that cannot be read.
        """
        self.patch(YAML, "parse", lambda self, text: (text[99] for _ in text))
        self.assertIn(
            "any.yml: not YAML: string index out of range", str(self.assertRaises(ConfigError, self.read, "a: 1"))
        )

    def test_limits(self) -> None:
        """
        Neither aliases of aliases nor size nor depth cost more than a moment.
        """
        bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
        self.assertIn("do aliases refer to aliases?", str(self.assertRaises(ConfigError, self.read, bomb)))
        deep = "a0: &a0 1\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200))
        self.assertIn("nested more than 100 levels", str(self.assertRaises(ConfigError, self.read, deep)))
        self.assertIn(
            "nested more than 100 levels",
            str(self.assertRaises(ConfigError, self.read, "[" * 300 + "]" * 300, "a.json")),
        )
        self.patch(tree, "MAX_YAML_NODES", 50)
        merges = "a: &a {a: 1, b: 2, c: 3, d: 4, e: 5}\n" + "".join(f"m{i}: {{<<: *a}}\n" for i in range(10))
        self.assertIn("line 8, column 10: more than 50 values", str(self.assertRaises(ConfigError, self.read, merges)))
        self.patch(tree, "MAX_FILE_BYTES", 10)
        self.assertIn("larger than 10 bytes", str(self.assertRaises(ConfigError, self.read, " " * 11)))

    def test_byte_order_mark(self) -> None:
        """
        The mark that some editors put in front of a file is no part of it.
        """
        for name in ("a.yml", "a.json", "a.YAML", "a.conf"):
            self.assertEqual({"a": 1}, self.read(b'\xef\xbb\xbf{"a": 1}', name))
