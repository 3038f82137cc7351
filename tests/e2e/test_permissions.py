"""
Rules as the official clients of both generations meet them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.e2e.scenario import GENERATIONS, Scenario, scratch_directory

RULES = """
record:
  "*": {create: true, read: true, write: true, delete: true, listen: true, notify: true}
  "own/$user/*": {write: "$user === user.id && data.n !== 13"}
event:
  "*": {subscribe: true, publish: true, listen: true}
  "room/$id/*": {publish: "_('room/' + $id).members.indexOf(user.id) !== -1"}
rpc:
  "*": {provide: true, request: "data !== 'no'"}
presence:
  "*": {allow: true}
"""


@cache
def config() -> Path:
    directory = scratch_directory()
    (directory / "permissions.yml").write_text(RULES, encoding="utf-8")
    path = directory / "config.yml"
    path.write_text("permission: {type: config, options: {permissions: fileLoad(permissions.yml)}}\n")
    return path


class PermissionTests(Scenario):
    """
    What is not permitted is answered by an error, and what is permitted works as ever.
    """

    def test_write(self) -> None:
        """
        A record can be written by its owner only, and not with just anything.
        """
        server = self.server(config=config())
        for generation in GENERATIONS:
            ann = self.user(generation, server, "ann")
            own = f"own/ann/{self.name(generation)}"
            for name, value, path in ((own, "13", "n"), (f"own/bob/{self.name(generation)}", '{"n":1}', None)):
                self.assertIn(ann.set_data_with_ack(own, '{"n":1}'), (None, "null"))
                ann.set_data(name, value, path)
                ann.expect_error("MESSAGE_DENIED")
                self.assertEqual(ann.look("snapshot", own), '{"n":1}')
            self.assertEqual(ann.look("has", name), "false")

    def test_emit(self) -> None:
        """
        Who is in a room is said by a record, and may speak there.
        """
        server = self.server(config=config())
        for generation in GENERATIONS:
            room = self.name(f"room-{generation}").replace("/", "-")
            ann, bob, eve = (self.user(generation, server, name) for name in ("ann", "bob", "eve"))
            ann.set_data_with_ack(f"room/{room}", '{"members":["ann"]}')
            bob.subscribe(f"room/{room}/chat")
            eve.emit(f"room/{room}/chat", '"from eve"')
            eve.expect_error("MESSAGE_DENIED")
            ann.emit(f"room/{room}/chat", '"from ann"')
            self.assertEqual(bob.wait_for_values(f"room/{room}/chat", 1), ['"from ann"'])

    def test_request(self) -> None:
        """
        The arguments of a procedure call are looked at before its provider is.
        """
        server = self.server(config=config())
        for generation in GENERATIONS:
            name = self.name(f"echo-{generation}")
            ann = self.user(generation, server, "ann")
            ann.provide(name)
            self.assertEqual(ann.call(name, '"yes"'), '"yes"')
            self.assertIn("MESSAGE_DENIED", str(ann.start_call(name, '"no"').error()))
            ann.tolerate_error("MESSAGE_DENIED")
