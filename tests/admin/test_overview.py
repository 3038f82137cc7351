"""
The commands about the server as a whole.
"""

from __future__ import annotations

from dstwist import __version__
from dstwist.admin.overview import DRAIN_SECONDS
from dstwist.log import Logger
from tests.admin.helpers import AdminTestCase
from tests.http_api.stage import Program
from tests.nodes.test_embedding import SLOW_STORAGE
from tests.nodes.test_stores import SlowStore, _stores


class StatusTests(AdminTestCase):
    """
    C{status}.
    """

    def test_figures(self) -> None:
        """
        The answer has the name, the version, and how many clients and names there are.
        """
        node = self.started(serverName="one")
        ann, bob = self.client(node, "ann"), self.client(node, "bob")
        ann.subscribe("news")
        bob.subscribe("news")
        self.reactor.advance(65)
        status, value = self.get("status")
        self.assertEqual(status, 200)
        self.assertEqual((value["name"], value["version"], value["uptime"]), ("one", __version__, 65))
        self.assertEqual((value["connections"], value["users"], value["events"], value["nodes"]), (2, 2, 1, 1))
        self.assertEqual((value["ready"], value["reason"], value["storage"]["problem"]), (True, None, None))

    def test_streams(self) -> None:
        """
        Streams of server-sent events count apart from connections, and are sent away with them.
        """
        node = self.started()
        self.client(node)
        for name in ("news", "sport"):
            program = Program(node.factory, "192.0.2.1")
            program.send(f"/api/events/{name}", method="GET")
        self.reactor.pump([0] * 3)
        value = self.get("status").value
        self.assertEqual((value["connections"], value["streams"]), (1, 2))
        self.assertEqual(self.post("drain").value["clients"], 3)

    def test_trouble(self) -> None:
        """
        A store that cannot write makes the server unready, and the answer has the reason.
        """
        _stores["storage"] = storage = SlowStore("storage", [])
        self.addCleanup(_stores.clear)
        storage.starting.callback(None)
        self.started(**SLOW_STORAGE)
        storage.trouble = "the disk is full"
        value = self.get("status").value
        self.assertEqual((value["ready"], value["reason"]), (False, "the storage cannot write"))
        self.assertEqual(value["storage"]["problem"], "the disk is full")


class ClusterTests(AdminTestCase):
    """
    C{cluster}.
    """

    def test_alone(self) -> None:
        """
        A server without a cluster says so.
        """
        self.started()
        self.assertEqual(self.get("cluster"), (409, {"error": "this server is not in a cluster"}))


class ReloadTests(AdminTestCase):
    """
    C{reload} and C{log-level}.
    """

    def test_reload(self) -> None:
        """
        The parts that can be read again are read again.
        """
        node = self.started()
        told: list[str] = []

        def reload() -> str:
            told.append("again")
            return "read again"

        node.reloads.add("a part", reload)
        self.assertEqual(self.post("reload"), (200, {"fine": True}))
        self.assertEqual(told, ["again"])
        self.assertIn("RELOAD | a part: read again", self.lines.of("info"))

    def test_get(self) -> None:
        """
        A GET changes nothing.
        """
        self.started()
        self.assertEqual(self.get("reload").status, 405)

    def test_level(self) -> None:
        """
        The new level applies at once, and the answer has the old one.
        """
        self.addCleanup(Logger.set_level, Logger.level_name())
        Logger.set_level("WARN")
        self.started()
        self.assertEqual(self.post("log-level", level="debug"), (200, {"level": "DEBUG", "before": "WARN"}))
        self.assertEqual(Logger.level_name(), "DEBUG")
        self.assertEqual(self.get("status").value["logLevel"], "DEBUG")

    def test_no_level(self) -> None:
        """
        An unknown level changes nothing.
        """
        before = Logger.level_name()
        self.started()
        self.assertEqual(self.post("log-level", level="loud").status, 400)
        self.assertEqual(self.post("log-level").value, {"error": "level is missing"})
        self.assertEqual(Logger.level_name(), before)


class DrainTests(AdminTestCase):
    """
    C{drain}.
    """

    def test_drain(self) -> None:
        """
        The clients are sent away within the time, and new ones are refused. It begins once.
        """
        node = self.started()
        client = self.client(node)
        self.assertEqual(self.post("drain", seconds=2), (200, {"clients": 1, "seconds": 2}))
        status, value = self.post("drain")
        self.assertEqual((status, value["error"]), (409, "the server sends its clients away, within 2 s"))
        for _ in range(20):
            self.reactor.advance(0.1)
        client.heard()
        assert client.closed is not None
        self.assertEqual(client.closed[0], 1001)
        self.assertFalse(self.get("status").value["ready"])

    def test_usual(self) -> None:
        """
        Without a time it is C{drainTime}, or a usual one.
        """
        self.started()
        self.assertEqual(self.post("drain").value["seconds"], DRAIN_SECONDS)
        self.started(drainTime=7000)
        self.assertEqual(self.post("drain").value["seconds"], 7)
