"""
Tests for L{dstwist.cli.permissions}.
"""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cli import main as cli

RULES = {
    "record": {"*": {"read": True}, "user/$id": {"write": "user.id === $id && data.n > oldData.n"}},
    "event": {"*": {"publish": "_('chat').open"}},
    "rpc": {"*": {}},
    "presence": {"*": {"allow": True}},
}


class CommandTests(SynchronousTestCase):
    """
    C{dstwist permissions}.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def file(self, content: object, name: str = "rules.json") -> str:
        path = self.directory / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def run_command(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["permissions", *arguments])

    def test_check(self) -> None:
        """
        A file that the server would take is fine.
        """
        result = self.run_command("check", self.file(RULES))
        self.assertEqual((result.exit_code, result.output.endswith("rules.json is fine: 4 rules.\n")), (0, True))

    def test_check_shipped(self) -> None:
        """
        So is the one that comes with the server.
        """
        shipped = Path(__file__).parent.parent.parent / "etc" / "dstwist" / "permissions.yml"
        self.assertEqual(self.run_command("check", str(shipped)).exit_code, 0)

    def test_check_doubtful(self) -> None:
        """
        A rule that probably has a mistake is a warning, with its line.
        """
        path = self.directory / "rules.yml"
        path.write_text(
            'record: {"*": {}}\nevent:\n  "*":\n    publish: yes\nrpc: {"*": {}}\npresence: {"*": {}}\n',
            encoding="utf-8",
        )
        result = self.run_command("check", str(path))
        self.assertEqual(result.exit_code, 0)
        warning, decision = result.output.splitlines()
        self.assertTrue(warning.startswith("warning: "))
        self.assertTrue(
            warning.endswith(
                'rules.yml: line 4: event["*"].publish: yes is not defined, so the rule fails when it gets there; did '
                "you mean true? In YAML 1.2 yes is a text"
            )
        )
        self.assertEqual(decision, f"{path} can be used: 1 rules.")

    def test_check_refused(self) -> None:
        """
        All problems of a file are printed.
        """
        result = self.run_command("check", self.file({**RULES, "rpc": {"*": {"request": "alert(1)", "x": True}}}))
        self.assertEqual(result.exit_code, 1)
        self.assertIn('rpc["*"].request: function alert is not supported', result.output)
        self.assertIn('rules.json: rpc["*"].x: unknown rule type x in section rpc', result.output)
        result = self.run_command("check", str(self.directory / "none.yml"))
        self.assertEqual((result.exit_code, "No such file" in result.output), (1, True))

    def test_explain(self) -> None:
        """
        A decision is explained: the rule, the path variables, and what each part came to.
        """
        arguments = ["--user", "ann", "--name", "user/ann", "--action", "record UPDATE", "--data", '{"n": 2}']
        result = self.run_command("explain", self.file(RULES), *arguments, "--old-data", '{"n": 1}')
        self.assertEqual(result.exit_code, 0)
        lines = result.output.splitlines()
        self.assertEqual(lines[0], "allow")
        self.assertEqual(lines[1], 'by record["user/$id"].write: user.id === $id && data.n > oldData.n')
        self.assertIn('   $id = "ann"', lines)
        self.assertEqual(lines[-1].split(), ["oldData", '{"n":', "1}"])

    def test_explain_others(self) -> None:
        """
        So is one by no rule, one that needs none, and one that fails.
        """
        for arguments, expected in (
            (
                ["--topic", "rpc", "--action", "request", "--name", "a"],
                "deny\nNo pattern that matches has a rule request",
            ),
            (["--action", "event UNSUBSCRIBE", "--name", "a"], "allow\nThis action needs no permission."),
            (["--action", "event EMIT", "--name", "a"], "error\nby event"),
            (["--action", "event EMIT", "--name", "a", "--record", 'chat={"open": 1}'], "allow\nby event"),
            (["--action", "presence QUERY_ALL"], "allow\nby presence"),
        ):
            result = self.run_command("explain", self.file(RULES), *arguments)
            self.assertTrue(result.output.startswith(expected), result.output)

    def test_explain_refused(self) -> None:
        """
        Questions that make no sense.
        """
        for arguments, expected in (
            (["--action", "record"], "unknown action of RECORD"),
            (["--action", "event PUBLISH"], "unknown action of EVENT; rules decide about EMIT, LISTEN, SUBSCRIBE"),
            (["--action", "x"], "expected a topic and an action"),
            (["--action", "record READ", "--data", "{"], "not JSON"),
            (["--action", "event EMIT", "--data", "[1e400]"], "not JSON: a number is too great"),
            (["--action", "record READ", "--record", "a"], "expected NAME=JSON"),
            (["--action", "record READ", "--old-data", "{}"], "--old-data is the data of the record"),
            ([], "--action"),
        ):
            result = self.run_command("explain", self.file(RULES), *arguments)
            self.assertNotEqual(result.exit_code, 0)
            self.assertIn(expected, result.output)

    def test_test(self) -> None:
        """
        A table of expectations is held against the rules; what is not met is explained, and ends in the exit status.
        """
        self.file(RULES)
        case = {"action": "record READ", "name": "a", "expect": "allow"}
        cases = self.file({"permissions": "rules.json", "cases": [case]}, "cases.json")
        result = self.run_command("test", cases)
        self.assertEqual((result.exit_code, result.output), (0, "1 expectations, 0 not met.\n"))
        self.assertIn("ok      record READ a by nobody: allow", self.run_command("test", "-v", cases).output)
        cases = self.file({"cases": [case, {**case, "expect": "deny"}]}, "cases.json")
        result = self.run_command("test", cases, "--permissions", str(self.directory / "rules.json"))
        self.assertEqual(result.exit_code, 1)
        self.assertIn("FAILED  record READ a by nobody: allow instead of deny", result.output)
        self.assertIn('by record["*"].read: true', result.output)
        self.assertIn("2 expectations, 1 not met.", result.output)
        self.assertEqual(self.run_command("test", self.file({}, "cases.json")).exit_code, 1)
