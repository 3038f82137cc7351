"""
A real server with the plug-in of the manual, C{docs/examples/audit.py}, and official clients.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.request import urlopen

from tests.e2e.clients import Client
from tests.e2e.free_port import free_port
from tests.e2e.raw import RawClient
from tests.e2e.scenario import GENERATIONS, Scenario, scratch_directory
from tests.e2e.server import CHECKOUT, PATIENCE

CONFIG = """
plugins:
  audit:
    path: {checkout}/docs/examples/audit.py:Audit
    options:
      file: {directory}/logins.jsonl
      figures: tcp:{port}:interface=127.0.0.1
"""


class PluginTests(Scenario):
    """
    The example.
    """

    def setUp(self) -> None:
        super().setUp()
        directory = scratch_directory()
        self.file = directory / "logins.jsonl"
        self.port = free_port()
        config = directory / "config.yml"
        config.write_text(CONFIG.format(checkout=CHECKOUT, directory=directory, port=self.port))
        self.at = self.own_server(config)

    def await_online(self, client: Client, expected: dict[str, int]) -> None:
        """
        Wait until the procedure of the plug-in answers that these users are online.
        """
        end = time.monotonic() + PATIENCE
        found: Any = None
        while found != expected:
            self.assertLess(time.monotonic(), end, f"{found} instead of {expected}")
            found = json.loads(client.call("audit/online", "{}"))

    def test_audit(self) -> None:
        """
        Clients of both generations can ask the plug-in who is online; each login and logout is in its file and counted.
        """
        ann, bob = (
            self.user(generation, self.at, name) for generation, name in zip(GENERATIONS, ("ann", "bob"), strict=True)
        )
        for client in (ann, bob):
            self.await_online(client, {"ann": 1, "bob": 1})
        cat = RawClient(self.at.port, "v4", "cat")
        self.await_online(ann, {"ann": 1, "bob": 1, "cat": 1})
        cat.close()
        self.await_online(bob, {"ann": 1, "bob": 1})
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as page:
            self.assertEqual(page.read().decode(), "dstwist_logins_total 3\ndstwist_connections 2\n")
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        self.assertEqual(
            [(line["event"], line["user"], line["address"]) for line in lines],
            [
                ("login", "ann", "127.0.0.1"),
                ("login", "bob", "127.0.0.1"),
                ("login", "cat", "127.0.0.1"),
                ("logout", "cat", "127.0.0.1"),
            ],
        )

    def test_stop(self) -> None:
        """
        When the server stops, the plug-in gets to know that all clients are gone, and stops before the stores.
        """
        RawClient(self.at.port, "v4", "ann")
        self.at.stop()
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        self.assertEqual([(line["event"], line["user"]) for line in lines], [("login", "ann"), ("logout", "ann")])
        self.assertIn("plug-in audit ready: path", self.at.log)
