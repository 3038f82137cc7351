"""
The configuration file itself: YAML, JSON, variables, other files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from dstwist.config import file, tree
from dstwist.config.load import load
from dstwist.config.yaml_errors import explained
from dstwist.errors import ConfigError
from tests.config.helpers import ConfigCase


class FileTests(ConfigCase):
    """
    The file itself: YAML, JSON, variables, other files.
    """

    def read(self, content: str | bytes, name: str = "any.yml", environ: Mapping[str, str] | None = None) -> Any:
        """
        The plain content of a file.
        """
        reading = file.Reading(self.directory, environ or {})
        tree = reading.read(self.write(name, content))
        for problem in reading.problems:
            raise problem
        return tree

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

    def test_keys(self) -> None:
        """
        Keys are texts as they are written, and may hold variables.
        """
        self.assertEqual(
            {"1.0": 1, "true": 2, "~": 3, "a": 4}, self.read("1.0: 1\ntrue: 2\n~: 3\n${K}: 4", environ={"K": "a"})
        )

    def test_anchors(self) -> None:
        """
        Anchors, aliases and merges work; what a section says itself comes before what it inherits.
        """
        tree = self.read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [{y: 4}, *a]}\nd: *a\ne: &e 1\nf: *e\n'<<': 5")
        self.assertEqual({"x": 1, "y": 3}, tree["b"])
        self.assertEqual({"x": 1, "y": 4}, tree["c"])
        self.assertEqual((tree["a"], 1, 5), (tree["d"], tree["f"], tree["<<"]))

    def test_variables(self) -> None:
        """
        A variable is its value, or nothing, or its default; without quotes the value gets its type.
        """
        environ = {"N": "7", "S": "a b # c: d", "T": "true", "E": ""}
        for text, value in (
            ("${N}", 7), ("${T}", True), ("${S}", "a b # c: d"), ("${NO}", None), ("'${NO}'", ""), ("'${N}'", "7"),
            ("x${N}", "x7"), ("${N}${N}", 77), ("${NO:-8}", 8), ("${E:-8}", 8), ("${N:-8}", 7), ("${NO:-}", None),
            ("${NO:-a:-b}", "a:-b"), ("$N", "$N"), ("${}", ConfigError), ("${A:-${B}}", ConfigError),
            ("${A:b}", ConfigError), ("${A", ConfigError), ("!!str ${N}", "7"),
        ):  # fmt: skip
            if value is ConfigError:
                error = self.assertRaises(ConfigError, self.read, f"a: {text}", environ=environ)
                self.assertEqual(
                    "a: write a variable as ${NAME} or ${NAME:-default}, not one within another", str(error)
                )
            else:
                self.assertEqual(value, self.read(f"a: {text}", environ=environ)["a"], text)

    def test_variable_in_quotes(self) -> None:
        """
        In JSON a variable can only stand in quotes; where a number or a flag is wanted it counts as one all the same.
        """
        content = '{"httpServer": {"options": {"port": "${PORT}"}}, "enabledFeatures": {"rpc": "${NO:-false}"}}'
        settings = self.load(content, "config.json", PORT="7000")
        self.assertEqual((7000, False), (settings.http.port, settings.features.rpc))
        self.assertIn("port: expected a whole number", self.refusal(content, "config.json", PORT="x"))
        self.assertEqual("7000", self.load('serverName: "${PORT}"', PORT="7000").server_name)

    def test_file_load(self) -> None:
        """
        fileLoad is what is in a YAML or JSON file, with its variables, or the text of another; each is told at start.
        """
        self.write("a.yml", "x: ${N}\ny: fileLoad(b.json)")
        self.write("b.json", '{"x": "${N}"}')
        self.write("c.pem", "${N}\n")
        reading = file.Reading(self.directory, {"N": "7", "A": "a"})
        path = self.write(
            "c.yml",
            f"a: fileLoad(${{A}}.yml)\nb: 'fileLoad( b.json )'\nc: fileLoad({self.directory}/c.pem)\nd: file(../d)",
        )
        self.assertEqual(
            {
                "a": {"x": 7, "y": "fileLoad(b.json)"},
                "b": {"x": "7"},
                "c": "${N}\n",
                "d": os.path.join(os.path.dirname(self.directory), "d"),
            },
            reading.read(path),
        )
        self.assertEqual(
            [
                f"CONFIG_TRANSFORM | Loaded content from {self.directory}/{name} for fileLoad({argument})"
                for name, argument in (
                    ("a.yml", "${A}.yml"),
                    ("b.json", " b.json "),
                    ("c.pem", f"{self.directory}/c.pem"),
                )
            ],
            reading.notes,
        )

    def test_file_load_refused(self) -> None:
        """
        A file that cannot be loaded is named by its absolute path, after the key that wants it.
        """
        self.write("bad.yml", "x: [")
        self.write("latin.txt", b"\xe9")
        self.write("rules.js", "module.exports = {}")
        os.mkdir(os.path.join(self.directory, "folder"))
        for argument, expected in (
            ("no.yml", f"a[0].b: cannot load {self.directory}/no.yml: No such file or directory"),
            ("folder", f"a[0].b: cannot load {self.directory}/folder: Is a directory"),
            ("bad.yml", f"a[0].b: {self.directory}/bad.yml: line 1, column"),
            ("latin.txt", f"a[0].b: {self.directory}/latin.txt: not UTF-8 (byte 0)"),
            ("rules.js", f"a[0].b: {self.directory}/rules.js: JavaScript files are not run; write it as .yml or .json"),
            ("", "a[0].b: expected the name of a file"),
            ("${NO}", "a[0].b: expected the name of a file"),
        ):
            error = self.assertRaises(ConfigError, self.read, f"a: [{{b: 'fileLoad({argument})'}}]")
            self.assertTrue(str(error).startswith(expected), f"{error} should start with {expected}")

    def test_files(self) -> None:
        """
        A file that cannot be read at all is named.
        """
        error = self.assertRaises(ConfigError, load, os.path.join(self.directory, "no.yml"), {})
        self.assertEqual(f"Configuration file not found at: {self.directory}/no.yml", str(error))
        error = self.assertRaises(ConfigError, load, self.directory, {})
        self.assertEqual(f"cannot read {self.directory}: Is a directory", str(error))
        error = self.assertRaises(ConfigError, load, "a\0b", {})
        self.assertIn("null", str(error))

    def test_broken(self) -> None:
        """
        What is no YAML or JSON is refused with the line and the column.
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
            ("[" * 100000, f"nested more than {tree.MAX_DEPTH} levels deep"),
        ):
            error = self.assertRaises(ConfigError, self.read, content, "any.json")
            self.assertTrue(str(error).startswith(at + expected), f"{error} should start with {expected}")

    def test_mistakes(self) -> None:
        """
        The error text for a common mistake in YAML says how to correct it.
        """
        for content, expected in (
            ("rpc:\n\tackTimeout: 5", "line 2, column 1: the line is indented with a tab; YAML takes spaces only"),
            ("rpc:\n  a: 5\n\tb: 6", "line 3, column 1: the line is indented with a tab"),
            ("rpc:\n  a:\t5", "line 2, column 5: a tab in front of a value; use a space"),
            ("a: @b", "line 1, column 4: a text cannot begin with @; put it in quotes"),
            ("a: `b`", "line 1, column 4: a text cannot begin with `"),
            (
                "rpc:\n  a: 5\n b: 6",
                "line 3, column 2: the indent of this line fits none of the section",
            ),
            (
                "a:\n  - b\n - c",
                "line 3, column 2: the indent of this line fits none of the section that",
            ),
            (
                "rpc:\n  a: 5\n    # note\n    b: 6",
                "line 4, column 5: the indent of this line fits none of the section",
            ),
            ("rpc\n  a: 5", "line 2, column 4: a colon is missing behind rpc in the line before it"),
            ("a: b: c", 'line 1, column 5: a second colon in the line; put quotes around a text with ": " in it'),
            ("a: 1\nb\nc: 2", "line 3, column 1: key: value expected; is there a colon missing in line 2"),
            (
                "a: {b: 1\nc: 2",
                "line 2, column 2: a comma is missing here, or the end of the { or [ that is open si",
            ),
            ("a: 'b\nc: 1\n", "line 3, column 1: the file ends within quotes that open in line 1; close them"),
        ):
            error = self.assertRaises(ConfigError, self.read, content)
            told = str(error).removeprefix(f"{self.directory}/any.yml: ")
            self.assertTrue(told.startswith(expected), f"{told} should start with {expected}")

    def test_any_mistake(self) -> None:
        """
        Each error of the parser, at each place, gives an error text.
        """
        for problem in ("mapping values are not allowed here", "expected <block end>", "cannot start any token", "x"):
            for line, column in ((0, 0), (5, 7)):
                mark = SimpleNamespace(line=line, column=column)
                for context in (None, mark):
                    for text in ("", "a", "\n\n a: b\n"):
                        self.assertTrue(explained(problem, mark, context, text))
        self.assertEqual(explained("x", None, None, ""), "x")

    def test_parser_failure(self) -> None:
        """
        A mistake of the parser's own is told as a file that cannot be read.
        """
        self.patch(YAML, "parse", lambda self, text: (text[99] for _ in text))
        self.assertIn(
            "any.yml: not YAML: string index out of range", str(self.assertRaises(ConfigError, self.read, "a: 1"))
        )

    def test_key_twice_by_variable(self) -> None:
        """
        Two keys that become the same by a variable are refused too.
        """
        error = self.assertRaises(ConfigError, self.read, "a: 1\n${K}: 2", environ={"K": "a"})
        self.assertEqual("a: this key is there twice", str(error))

    def test_half_characters(self) -> None:
        """
        A text that is no Unicode is refused before anything has to write it somewhere.
        """
        for content in ('{"a": "\\ud800"}', '{"a": "${HALF}"}', '{"a": "file(\\ud800)"}', '{"\\ud800": 1}'):
            error = self.assertRaises(ConfigError, self.read, content, "any.json", {"HALF": "\udcff"})
            str(error).encode()
            self.assertIn("half a character", str(error))
        self.assertEqual({"a": "é"}, self.read('{"a": "\\u00e9"}', "any.json"))

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
        self.patch(tree, "MAX_NODES", 50)
        merges = "a: &a {a: 1, b: 2, c: 3, d: 4, e: 5}\n" + "".join(f"m{i}: {{<<: *a}}\n" for i in range(10))
        self.assertIn("line 8, column 10: more than 50 values", str(self.assertRaises(ConfigError, self.read, merges)))
        self.patch(tree, "MAX_BYTES", 10)
        self.assertIn("larger than 10 bytes", str(self.assertRaises(ConfigError, self.read, " " * 11)))

    def test_byte_order_mark(self) -> None:
        """
        The mark that some editors put in front of a file is no part of it.
        """
        for name in ("a.yml", "a.json", "a.YAML", "a.conf"):
            self.assertEqual({"a": 1}, self.read(b'\xef\xbb\xbf{"a": 1}', name))

    words = st.sampled_from(
        ["a", "auth", "type", "none", "httpServer", "options", "connectionEndpoints", "permission", "config", "port"]
        + [": ", "- ", "\n", "  ", "{", "}", "[", "]", ", ", "&a ", "*a", "<<: ", "!!str ", "!x ", "? ", "| ", "'", '"']
        + ["#", "---\n", "%YAML 1.1\n", "\t", "${A}", "${", "fileLoad(", "file(a)", ")", "1", "0x", ".", "é", "\\ud800"]
    )

    @hypothesis_settings(max_examples=300, deadline=None, derandomize=True)
    @given(
        st.one_of(st.binary(max_size=60), st.lists(words, max_size=25).map("".join)), st.sampled_from(["yml", "json"])
    )
    @example("connectionEndpoints: [fileLoad(a)]\nplugins: {a: fileLoad(a)}\nlogger: {name: fileLoad(a)}", "yml")
    @example("httpServer: {options: {ssl: {key: file(a), passphrase: fileLoad(a)}, headers: [fileLoad(a)]}}", "yml")
    @example("permission: {type: config, options: {permissions: {record: {'*': {read: fileLoad(a)}}}}}", "yml")
    def test_anything(self, content: str | bytes, extension: str) -> None:
        """
        Whatever is in the file, the outcome is settings or a ConfigError that can be printed.
        """
        if not os.path.isdir(self.directory):  # pragma: no cover
            os.mkdir(self.directory)
        try:
            self.load(content, f"config.{extension}", A="x: [")
        except ConfigError as error:
            str(error).encode()
