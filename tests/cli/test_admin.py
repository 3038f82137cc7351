"""
C{dstwist admin}, at a node in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from unittest import mock

import click
from click.testing import CliRunner, Result

from dstwist.cli import admin as cli
from dstwist.cli.failure import failed
from dstwist.cli.main import main
from dstwist.log import Logger
from dstwist.protocol.constants import EventAction, RecordAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.admin.helpers import AdminTestCase, Reply


class AdminCommandTestCase(AdminTestCase):
    """
    Commands, as typed, at the node that was started last.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(cli, "connect", self.connect_client)
        self.places: list[Any] = []

    def connect_client(self, *place: Any) -> Any:
        self.places.append(place)
        client = mock.Mock()
        client.get = lambda command, values: self.read(self.get(command, **_given(values)))
        client.post = lambda command, values: self.read(self.post(command, **_given(values)))
        return client

    def read(self, reply: Reply) -> Any:
        if reply.status != 200:
            raise failed(reply.value["error"])
        return reply.value

    def type(self, *words: str) -> Result:
        result = CliRunner().invoke(main, ["admin", *words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def typed(self, *words: str) -> list[str]:
        """
        The lines that a command prints.
        """
        result = self.type(*words)
        self.assertEqual(result.exit_code, 0, result.output)
        return result.output.splitlines()


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: "true" if value is True else value
        for name, value in values.items()
        if value is not None and value is not False
    }


class OutputTests(AdminCommandTestCase):
    """
    The tables for people.
    """

    def test_status(self) -> None:
        """
        C{status} has a line for each figure.
        """
        self.client(self.started(serverName="one"))
        lines = dict(line.split("  ", 1) for line in self.typed("status"))
        found = {name: lines[name].strip() for name in ("name", "ready", "uptime", "connections", "users")}
        self.assertEqual(found, {"name": "one", "ready": "yes", "uptime": "0:00:00", "connections": "1", "users": "1"})

    def test_clients(self) -> None:
        """
        C{clients} has a row for each client, and says where the next page begins.
        """
        node = self.started()
        for user in ("ann", "bob", "cid"):
            self.client(node, user)
        lines = self.typed("clients", "--limit", "2")
        self.assertEqual(lines[0].split(), ["CLIENT", "USER", "ADDRESS", "PATH", "PROTOCOL", "CONNECTED", "WAITING"])
        self.assertEqual([line.split()[1] for line in lines[1:3]], ["ann", "bob"])
        number = lines[2].split()[0]
        self.assertEqual(lines[3], f"2 of 3; the next ones: --after '{number}'")
        (title, row) = self.typed("clients", "--after", number)
        self.assertEqual(row.split()[1], "cid")
        self.assertEqual(self.typed("clients", "--user", "nobody"), ["none"])

    def test_forging(self) -> None:
        """
        A name cannot forge a row.
        """
        self.client(self.started(), "ann\u202eroot")
        lines = self.typed("clients")
        self.assertEqual(len(lines), 2)
        self.assertIn("ann?root", lines[1])

    def test_kick(self) -> None:
        """
        C{kick} says how many connections were closed.
        """
        node = self.started()
        self.client(node)
        self.assertEqual(self.typed("kick", "ann", "--reason", "late"), ["closed: 1"])
        self.assertEqual(self.typed("kick", "ann"), ["closed: 0"])
        self.assertEqual(self.type("kick").exit_code, 1)

    def test_bans(self) -> None:
        """
        C{ban} tells addresses from users; C{bans} lists both.
        """
        self.client(self.started())
        self.assertEqual(self.typed("ban", "ann", "--for", "90"), ["banned: ann; closed: 1"])
        self.assertEqual(self.typed("ban", "192.0.2.9"), ["banned: 192.0.2.9; closed: 0"])
        self.assertEqual(self.typed("ban", "192.0.2.9", "--user"), ["banned: 192.0.2.9; closed: 0"])
        self.assertEqual(
            [line.split() for line in self.typed("bans")[1:]],
            [["user", "192.0.2.9", "-"], ["user", "ann", "0:01:30"], ["address", "192.0.2.9", "-"]],
        )
        self.assertEqual(self.typed("unban", "ann"), ["ended"])
        self.assertEqual(self.typed("unban", "192.0.2.9"), ["ended"])
        self.assertEqual(self.typed("unban", "192.0.2.9"), ["there was no such ban"])
        self.assertEqual(len(self.typed("bans")), 2)

    def test_drain(self) -> None:
        """
        C{drain} says how many clients there are.
        """
        self.client(self.started())
        self.assertEqual(self.typed("drain", "5"), ["1 clients are sent away within 5 s"])
        self.assertEqual(self.type("drain").exit_code, 1)

    def test_check(self) -> None:
        """
        C{check} has a line for each step, and fails if there is a problem.
        """
        self.started()
        lines = self.typed("check")
        self.assertEqual(lines[0].split(), ["STEP", "PLACE", "SECONDS", "RESULT"])
        self.assertEqual((lines[1].split()[0], lines[-1]), ("write", "fine"))
        answer = {"name": "x", "fine": False, "problems": 1, "steps": []}
        self.patch(self, "read", lambda reply: answer)
        self.assertEqual(self.type("check").output, "none\n1 problems with the record x\n")
        self.assertEqual(self.type("check").exit_code, 1)

    def test_nodes(self) -> None:
        """
        The answers of several nodes are added up; a node that did not answer is named, and is a failure.
        """
        self.started()
        nodes = {"b": {"kicked": 2}, "c": {"error": "no answer within 8 s"}}
        self.patch(self, "read", lambda reply: {"kicked": 1, "nodes": nodes})
        result = self.type("kick", "ann")
        self.assertEqual((result.exit_code, result.output), (1, "closed: 3\nc: no answer within 8 s\n"))
        del nodes["c"]
        self.assertEqual(self.typed("kick", "ann"), ["closed: 3"])

    def test_all(self) -> None:
        """
        C{clients --all} has a column for the node.
        """
        self.client(self.started())
        self.assertEqual(self.typed("clients", "--all")[0].split()[-1], "NODE")

    def test_trace(self) -> None:
        """
        C{trace} prints a line for each row, as it comes, until it is interrupted.
        """
        rows = ['{"time": 1, "tracing": "ann"}', '{"time": 2, "client": 1, "event": "connected"}']
        asked: list[Any] = []

        def connect(*place: Any) -> Any:
            def lines(*request: Any) -> Any:
                asked.append(request)
                yield from rows
                raise KeyboardInterrupt

            return mock.Mock(lines=lines)

        self.patch(cli, "connect", connect)
        first, second = self.typed("trace", "ann", "--values")
        self.assertEqual(asked, [("trace", {"user": "ann", "values": True})])
        self.assertTrue(first.endswith("tracing=ann"), first)
        self.assertTrue(second.endswith("#1 --  connected"), second)
        self.assertEqual(self.typed("trace", "ann", "--json"), rows)

    def test_names(self) -> None:
        """
        C{subscriptions}, C{providers} and C{patterns} have a row for each client and name.
        """
        ann = self.client(self.started())
        ann.subscribe("news")
        ann.say(
            Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="1"),
            Message(Topic.EVENT, EventAction.LISTEN, "a.*"),
        )
        title, row = self.typed("subscriptions", "news")
        number = row.split()[2]
        self.assertEqual(row.split(), ["EVENT", "subscribed", number, "ann", "192.0.2.1"])
        rows = self.typed("subscriptions", "--client", number)
        self.assertEqual(self.typed("subscriptions", "--client", f"#{number}"), rows)
        refused = self.type("subscriptions", "--client", "ann")
        self.assertEqual(refused.exit_code, 2)
        self.assertIn("'--client': ann is not the number of a client", refused.output)
        self.assertEqual([row.split()[-1] for row in rows[1:]], ["a.*", "add", "news"])
        self.assertEqual(self.typed("providers")[1].split(), ["RPC", "add", number, "ann", "192.0.2.1"])
        self.assertEqual(self.typed("patterns")[1].split(), ["EVENT", "a.*", number, "ann", "192.0.2.1", "0"])

    def test_records(self) -> None:
        """
        C{records} has the versions, and the data only if they are asked for.
        """
        ann = self.client(self.started())
        ann.say(
            Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("car",), correlation_id="1"),
            Message(Topic.RECORD, RecordAction.UPDATE, "car", b'{"wheels":4}', version=1),
        )
        self.reactor.advance(1)
        expected = [
            "subscribers  1",
            "provider     -",
            "arbiter      cache",
            "in doubt     no",
            "cache        version 1",
        ]
        self.assertEqual(self.typed("records", "car"), expected)
        self.assertEqual(self.typed("records", "car", "--data"), [*expected, 'cache: {"wheels": 4}'])

    def test_reload(self) -> None:
        """
        C{reload} fails if a part could not be reloaded.
        """
        node = self.started()
        self.assertEqual(self.typed("reload"), ["reloaded"])

        def reload() -> str:
            raise ZeroDivisionError

        node.reloads.add("a part", reload)
        self.assertEqual(self.type("reload").exit_code, 1)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_level(self) -> None:
        """
        C{log-level} has the level before.
        """
        self.addCleanup(Logger.set_level, Logger.level_name())
        Logger.set_level("WARN")
        self.started()
        self.assertEqual(self.typed("log-level", "debug"), ["DEBUG; before: WARN"])

    def test_cluster(self) -> None:
        """
        C{cluster} needs one.
        """
        self.started()
        result = self.type("cluster")
        self.assertEqual((result.exit_code, result.output), (1, "this server is not in a cluster\n"))

    def test_figures(self) -> None:
        """
        The names of figures are words.
        """
        client = mock.Mock()
        client.get.return_value = {"members": [], "busLosses": 0, "news": {"not_compared": 1}}
        self.patch(cli, "connect", lambda *place: client)
        self.assertEqual(self.typed("cluster")[-2:], ["bus losses          0", "news: not compared  1"])


class JsonTests(AdminCommandTestCase):
    """
    C{--json}.
    """

    def test_each(self) -> None:
        """
        Each command prints the answer of the server as it is, in one line.
        """
        node = self.started()
        self.client(node)
        for words in (
            ("clients",),
            ("providers",),
            ("patterns",),
            ("records", "a"),
            ("subscriptions", "a"),
            ("reload",),
        ):
            (line,) = self.typed(*words, "--json")
            self.assertIsInstance(json.loads(line), dict)
        self.assertEqual(json.loads(self.typed("clients", "--json")[0]), self.get("clients").value)


class OptionTests(AdminCommandTestCase):
    """
    The options that all commands have.
    """

    def test_each(self) -> None:
        """
        Each command takes the options that say which server is meant.
        """
        assert isinstance(cli.admin, click.Group)
        for command in cli.admin.commands.values():
            options = {option for parameter in command.params for option in parameter.opts}
            self.assertLessEqual({"--json", "--socket", "--url", "--token-file", "--data-dir", "--config"}, options)
            self.assertTrue(command.help)

    def test_passed_on(self) -> None:
        """
        They choose the server.
        """
        self.started()
        self.typed("status", "--socket", "/s")
        self.typed("status", "--url", "http://a:1", "--token-file", "t")
        self.typed("status", "-d", "/d", "-c", "c.yml")
        self.assertEqual(
            self.places,
            [("/s", None, None, None, None), (None, "http://a:1", "t", None, None), (None, None, None, "/d", "c.yml")],
        )
