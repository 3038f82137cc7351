"""
Requests that read, and calls, that are refused: the callbacks of the official clients hear of it.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from tests.e2e.records import Record
from tests.e2e.scenario import IMPATIENT_CLIENT, Scenario, for_each_generation, scratch_directory

#: A rule that fails looks at a field of a record that is not there.
RULES = """
record:
  "*": {create: true, read: true, write: true}
  "closed/*": {create: false, read: false}
  "broken/*": {create: "_('none').a.b === 1", read: "_('none').a.b === 1"}
event:
  "*": {subscribe: true, publish: true}
rpc:
  "*": {provide: true, request: true}
  "closed/*": {request: false}
  "broken/*": {request: "_('none').a.b === 1"}
presence:
  "*": {allow: true}
"""

#: Longer names are refused.
LONGEST = 100


@cache
def config() -> Path:
    directory = scratch_directory()
    (directory / "permissions.yml").write_text(RULES, encoding="utf-8")
    path = directory / "config.yml"
    path.write_text(
        "permission: {type: config, options: {permissions: fileLoad(permissions.yml)}}\n"
        f"limits: {{maxNameLength: {LONGEST}}}\n"
    )
    return path


@for_each_generation
class RefusedTests(Scenario):
    """
    One client, and a server that refuses what it asks for.
    """

    first = "v2"

    def setUp(self) -> None:
        super().setUp()
        self.ann = self.logged_in(self.first, self.server(config=config()), **IMPATIENT_CLIENT)
        self.refusals = [
            ("MESSAGE_DENIED", "closed/" + self.name("a")),
            ("MESSAGE_PERMISSION_ERROR", "broken/" + self.name("a")),
            ("INVALID_MESSAGE_DATA", self.name("x" * LONGEST)),
        ]

    def tolerate(self, error: str) -> None:
        self.ann.tolerate_error(error)
        # The Node server's client prints messages that it has no name for.
        self.tolerate_output(error)

    def test_looks(self) -> None:
        """
        A snapshot, a head and a question whether a record is there call back with the reason.
        """
        for what in ("snapshot", "has", "head"):
            for error, name in self.refusals:
                self.assertEqual((what, self.ann.look(what, name)), (what, error))
                self.tolerate(error)

    def test_calls(self) -> None:
        """
        So does a call of a procedure.
        """
        for error, name in self.refusals:
            outcome = self.ann.start_call(name, '"x"').error()
            # This client takes no notice of MESSAGE_PERMISSION_ERROR: a rule that fails denies.
            denied = self.first == "v2" and error == "MESSAGE_PERMISSION_ERROR"
            self.assertEqual(outcome, "MESSAGE_DENIED" if denied else error)
            self.tolerate(error)

    def test_records(self) -> None:
        """
        A record raises the error, and does not wait any longer.
        """
        # Client 7.0.5 has a timer left: it looks for it under another name.
        self.tolerate_output("RECORD (READ_RESPONSE): ACK_TIMEOUT")
        for error, name in self.refusals:
            Record(self.ann, name, wait=False)
            # v4+ clients do not raise INVALID_MESSAGE_DATA: MESSAGE_DENIED follows.
            self.ann.expect_error("MESSAGE_DENIED" if self.first == "v7" and "INVALID" in error else error)
            self.ann.tolerate_error("MESSAGE_DENIED")
            self.ann.driver.wait(partial(self.told, name), f"an error about {name}")
            self.ann.settle()

    def told(self, name: str) -> bool:
        return any(name in report["message"] for report in self.ann.filter("error"))
