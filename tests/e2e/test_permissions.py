"""
Rules as the official clients of both generations meet them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.e2e.clients import Client
from tests.e2e.records import Record
from tests.e2e.scenario import GENERATIONS, QUICK, Scenario, scratch_directory
from tests.e2e.server import Server

RULES = """
record:
  "*": {create: true, read: true, write: true, delete: true, listen: true, notify: true}
  "own/$user/*": {write: "$user === user.id && data.n !== 13"}
event:
  "*": {subscribe: true, publish: true, listen: true}
  "room/$id/*": {publish: "_('room/' + $id).members.indexOf(user.id) !== -1"}
  "heard/*": {listen: false}
  "heard/open/*": {listen: true}
rpc:
  "*": {provide: true, request: "data !== 'no'"}
presence:
  "*": {allow: true}
"""

#: Nobody is passed over because the machine is slow.
PATIENT_TIMES = "listen: {responseTimeout: 20000}\nrpc: {ackTimeout: 20000, responseTimeout: 20000}\n"


@cache
def config() -> Path:
    directory = scratch_directory()
    (directory / "permissions.yml").write_text(RULES, encoding="utf-8")
    path = directory / "config.yml"
    path.write_text(
        f"permission: {{type: config, options: {{permissions: fileLoad(permissions.yml)}}}}\n{PATIENT_TIMES}"
    )
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

    def test_listen(self) -> None:
        """
        A listener hears only of names to which it may listen, though its pattern matches others.
        """
        server = self.server(config=config())
        for generation in GENERATIONS:
            ann, bob = self.user(generation, server, "ann"), self.user(generation, server, "bob")
            unique = self.name(generation)
            names = [f"heard/open/{unique}/1", f"heard/secret/{unique}/1", f"heard/open/{unique}/2"]
            bob.subscribe(names[0])
            bob.subscribe(names[1])
            pattern = f"heard/open/{unique}/.*|heard/secret/{unique}/.*"
            ann.listen(pattern)
            ann.wait_for_report(1, "offer", name=names[0])
            bob.subscribe(names[2])
            ann.wait_for_report(1, "offer", name=names[2])
            self.assertEqual(ann.offers(), [(pattern, names[0]), (pattern, names[2])])
            ann.listen(f"heard/secret/{unique}/.*")
            ann.expect_error("MESSAGE_DENIED")

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


#: Rules in whose place others come.
OPEN = """
record: {"*": {create: true, read: true, write: true, listen: true}}
event: {"*": {subscribe: true, publish: true, listen: true}}
rpc: {"*": {provide: true, request: true}}
presence: {"*": {allow: true}}
"""

#: Nothing for users whose name begins with "guest".
NO_GUESTS = OPEN.replace("true", "\"!user.id.startsWith('guest')\"")


class ReloadTests(Scenario):
    """
    Rules that change while the official clients are connected.
    """

    options = QUICK

    def setUp(self) -> None:
        super().setUp()
        directory = scratch_directory()
        self.rules = directory / "permissions.yml"
        self.put(OPEN)
        self.config = directory / "config.yml"
        self.configure("")

    def configure(self, options: str) -> None:
        rules = f"permission: {{type: config, options: {{permissions: fileLoad(permissions.yml){options}}}}}\n"
        self.config.write_text(rules + PATIENT_TIMES)

    def put(self, rules: str) -> None:
        fresh = self.rules.with_suffix(".new")
        fresh.write_text(rules, encoding="utf-8")
        fresh.replace(self.rules)

    def reload(self, server: Server, rules: str) -> None:
        """
        Have other rules in force, and come back when all has been judged by them.
        """
        line = "subscriptions checked by the new rules"
        before = server.log.count(line)
        self.put(rules)
        server.reload()
        server.wait_for_line(line, before + 1)

    def everything(self, client: Client) -> Record:
        """
        Have a client subscribe to, listen to and provide all there is, and provide what it is offered.
        """
        client.subscribe("news")
        client.provide("add")
        client.listen("e/.*")
        client.listen("r/.*", topic="record")
        client.watch_users()
        client.watch_users("cat")
        return Record(client, "doc")

    def act(self, other: Client, round_: int) -> None:
        """
        Have another user do what those would hear who have everything.
        """
        other.emit("news", str(round_))
        self.assertIn(other.set_data_with_ack("doc", f'{{"n":{round_}}}'), (None, "null"))
        self.user("v7", self.servers[0], "cat").close()

    def test_everything_ends(self) -> None:
        """
        Whatever a client has that it may not have any more ends. It is told of each, and neither breaks nor complains;
        it hears nothing any more, and its provisions end. It can end what it had lost, and have it anew when it may.
        """
        for generation in GENERATIONS:
            server = self.own_server(config=self.config)
            ann, other = self.user(generation, server, "guest ann"), self.user("v7", server, "bob")
            doc = self.everything(ann)
            other.subscribe("e/1")
            ann.wait_for_report(1, "offer", name="e/1")
            self.servers = [server]
            self.act(other, 1)
            ann.wait_for_values("news", 1)
            doc.until('{"n":1}')
            ann.wait_for_report(2, "presence", user="cat", online=False)
            before = len(ann.filter("presence"))

            self.reload(server, NO_GUESTS)
            server.wait_for_line("7 ended")
            ann.wait_for_report(7, "error")
            ann.wait_for_report(1, "stop", name="e/1")
            self.act(other, 2)
            # A client that is denied everything cannot even subscribe to a fence: a round trip will do.
            ann.start("look", "has", "doc", "callback").wait()
            ann.tolerate_error("MESSAGE_DENIED")
            # Whatever a v2 client is told of a pattern that it listens to, and does not expect, it calls so.
            ann.tolerate_error("UNSOLICITED_MESSAGE" if generation == "v2" else "MESSAGE_DENIED")
            self.assertEqual(ann.unexpected_errors(), [])
            self.assertEqual((ann.values("news"), doc.get()), (["1"], '{"n":1}'))
            self.assertEqual(len(ann.filter("presence")), before)
            self.assertEqual(other.call("add", "1"), "NO_RPC_PROVIDER")

            errors = len(ann.filter("error"))
            doc.drop()
            ann.unlisten("e/.*")
            ann.unlisten("r/.*", topic="record")
            ann.unwatch_users("cat")
            ann.unwatch_users()
            if generation == "v2":
                # A v7 client has forgotten these by itself.
                ann.unsubscribe("news")
                ann.unprovide("add")
            self.assertEqual(ann.filter("error")[errors:], [])

            self.reload(server, OPEN)
            doc = self.everything(ann)
            self.act(other, 3)
            doc.until('{"n":3}')
            self.assertEqual(ann.wait_for_values("news", 2)[-1], "3")
            self.assertEqual(other.call("add", "1"), "1")

    def test_others_stay(self) -> None:
        """
        Whom the new rules permit all, that one notices nothing.
        """
        server = self.own_server(config=self.config)
        for generation in GENERATIONS:
            bob, other = self.user(generation, server, "bob"), self.user("v7", server, "dan")
            doc = self.everything(bob)
            other.subscribe("e/1")
            bob.wait_for_report(1, "offer", name="e/1")
            self.reload(server, NO_GUESTS)
            self.servers = [server]
            self.act(other, 1)
            doc.until('{"n":1}')
            self.assertEqual(bob.wait_for_values("news", 1), ["1"])
            self.assertEqual(other.call("add", "1"), "1")
            self.assertEqual((bob.filter("stop"), bob.filter("error")), ([], []))
            self.reload(server, OPEN)
            bob.close()
            other.close()

    def test_broken(self) -> None:
        """
        A file that cannot be used changes nothing, and the log says what is wrong with it.
        """
        server = self.own_server(config=self.config)
        ann = self.user("v7", server, "guest ann")
        ann.subscribe("news")
        for rules, problem in (
            (NO_GUESTS.replace("startsWith", "begins"), 'permissions.event["*"].subscribe: function begins is not'),
            (NO_GUESTS.replace("rpc:", "rpc"), "permission.options.permissions: "),
        ):
            self.put(rules)
            server.reload()
            server.wait_for_line(problem)
            self.assertIn("not reloaded, what was in force stays", "\n".join(server.take_trouble()))
            self.fence(ann, ann)
        ann.emit("news", "1")
        self.assertEqual(ann.values("news"), ["1"])

    def test_watched(self) -> None:
        """
        A change of the file comes into force without a signal.
        """
        self.configure(", reloadInterval: 100")
        server = self.own_server(config=self.config)
        ann = self.user("v7", server, "guest ann")
        ann.subscribe("news")
        self.put(NO_GUESTS)
        ann.expect_error("MESSAGE_DENIED")

    def test_not_wanted(self) -> None:
        """
        With C{recheckSubscriptions: false} new rules hold for new requests only.
        """
        self.configure(", recheckSubscriptions: false")
        server = self.own_server(config=self.config)
        ann, bob = self.user("v7", server, "guest ann"), self.user("v7", server, "bob")
        ann.subscribe("news")
        self.put(NO_GUESTS)
        server.reload()
        server.wait_for_line("rules in force")
        bob.emit("news", "1")
        self.assertEqual(ann.wait_for_values("news", 1), ["1"])
        ann.do("subscribe", "more")
        ann.expect_error("MESSAGE_DENIED")
