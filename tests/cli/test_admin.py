"""
C{dstwist admin}, at a node in memory: the commands about the server and its clients.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

from dstwist.cli import admin_command
from dstwist.log import Logger
from tests.cli.admin_stage import AdminCommandTestCase


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

        self.patch(admin_command, "connect", connect)
        first, second = self.typed("trace", "ann", "--values")
        self.assertEqual(asked, [("trace", {"user": "ann", "values": True})])
        self.assertTrue(first.endswith("tracing=ann"), first)
        self.assertTrue(second.endswith("#1 --  connected"), second)
        self.assertEqual(self.typed("trace", "ann", "--json"), rows)

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

    def test_members(self) -> None:
        """
        C{cluster} says why a node is not well, and why this node is not ready.
        """
        client = mock.Mock()
        rows = [("a", False, "its bus is lost"), ("b", None, "leases were read 4.0 s ago"), ("c", True, None)]
        members = [{"node": node, "well": well, "problem": problem} for node, well, problem in rows]
        client.get.return_value = {"members": members, "reason": "the node joins the cluster"}
        self.patch(admin_command, "connect", lambda *place: client)
        lines = self.typed("cluster")
        self.assertIn("no: its bus is lost", lines[1])
        self.assertIn("not known: leases were read 4.0 s ago", lines[2])
        self.assertIn(" yes ", lines[3])
        self.assertEqual(lines[-1], "reason  the node joins the cluster")

    def test_figures(self) -> None:
        """
        The names of figures are words.
        """
        client = mock.Mock()
        client.get.return_value = {"members": [], "busLosses": 0, "news": {"not_compared": 1}}
        self.patch(admin_command, "connect", lambda *place: client)
        self.assertEqual(self.typed("cluster")[-2:], ["bus losses          0", "news: not compared  1"])
