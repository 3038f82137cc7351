"""
The configuration file itself: YAML, JSON, variables, other files.
"""

from __future__ import annotations

import os

from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dstwist.config import file
from dstwist.errors import ConfigError
from tests.config.helpers import FileCase


class FileTests(FileCase):
    """
    The file itself: YAML, JSON, variables, other files.
    """

    def test_keys(self) -> None:
        """
        Keys are texts as they are written, and may hold variables.
        """
        self.assertEqual(
            {"1.0": 1, "true": 2, "~": 3, "a": 4}, self.read("1.0: 1\ntrue: 2\n~: 3\n${K}: 4", environ={"K": "a"})
        )

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
        For every content of a file, the outcome is settings or a ConfigError that can be printed.
        """
        if not os.path.isdir(self.directory):  # pragma: no cover
            os.mkdir(self.directory)
        try:
            self.load(content, f"config.{extension}", A="x: [")
        except ConfigError as error:
            str(error).encode()
