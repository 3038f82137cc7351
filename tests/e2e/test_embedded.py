"""
The web application of the manual with a node of its own, in a process of its own, with HTTP and official clients.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.e2e.free_port import free_port
from tests.e2e.scenario import Scenario, scratch_directory
from tests.e2e.server import CHECKOUT, PATIENCE, TROUBLE
from tests.e2e.test_embedding import Address, Program

EXAMPLE = CHECKOUT / "docs" / "examples" / "embedded.py"


class EmbeddedTests(Scenario):
    """
    A restaurant.
    """

    def setUp(self) -> None:
        super().setUp()
        self.web = free_port()
        self.node: Any = Address(free_port())
        self.directory = scratch_directory()
        self.start()

    def start(self) -> None:
        words = (f"tcp:{port}:interface=127.0.0.1" for port in (self.web, self.node.port))
        self.program = Program(EXAMPLE, *words, str(self.directory))
        self.addCleanup(self.program.kill)
        self.program.wait_for(f"Site starting on {self.web}")

    def ask(self, body: str | None = None) -> Any:
        data = None if body is None else body.encode()
        with urlopen(Request(f"http://127.0.0.1:{self.web}/orders", data), timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def test_orders(self) -> None:
        """
        An order comes by HTTP, clients of both generations see it, one confirms it, and the application reacts.
        """
        old, new = self.logged_in("v2", self.node), self.logged_in("v7", self.node)
        for client in (old, new):
            self.assertEqual(client.call("menu"), '{"soup":5,"tea":2}')
            client.subscribe("kitchen")
        self.assertEqual(self.ask('{"dish": "soup"}'), "order/1")
        for client in (old, new):
            self.assertEqual(client.look("snapshot", "order/1"), '{"dish":"soup","state":"ordered"}')
            self.assertEqual(client.look("snapshot", "orders"), '["order/1"]')
        self.assertIsNone(new.set_data_with_ack("order/1", '"confirmed"', "state"))
        for client in (old, new):
            self.assertEqual(client.wait_for_values("kitchen", 1), ['{"order":"order/1","dish":"soup"}'])
        self.assertEqual(self.ask(), {"order/1": {"dish": "soup", "state": "cooking"}})
        with self.assertRaises(HTTPError) as refused:
            self.ask('{"dish": "stone"}')
        self.assertEqual(refused.exception.read(), b"there is no stone")
        refused.exception.close()
        for client in (old, new):
            client.close()
        self.end()

    def test_restart(self) -> None:
        """
        Orders survive a restart: a new one has a number of its own, and an old one can be confirmed.
        """
        self.assertEqual(self.ask('{"dish": "soup"}'), "order/1")
        self.end()
        self.start()
        self.assertEqual(self.ask('{"dish": "tea"}'), "order/2")
        client = self.logged_in("v7", self.node)
        client.subscribe("kitchen")
        self.assertIsNone(client.set_data_with_ack("order/1", '"confirmed"', "state"))
        self.assertEqual(client.wait_for_values("kitchen", 1), ['{"order":"order/1","dish":"soup"}'])
        client.close()
        self.end()

    def end(self) -> None:
        """
        End the program, without trouble.
        """
        self.assertEqual(self.program.end(), 0, "\n".join(self.program.lines))
        self.assertEqual([line for line in self.program.lines if TROUBLE.search(line)], [])
