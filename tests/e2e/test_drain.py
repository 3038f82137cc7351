"""
A node of a cluster is drained, and its clients of both generations go on at another node.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from tests.e2e.balancer import Balancer, is_ready
from tests.e2e.nodes import Nodes
from tests.e2e.records import Record
from tests.e2e.scenario import GENERATIONS, QUICK, Scenario


class DrainTests(Scenario):
    """
    Two nodes behind a load balancer. Clients are at the first one.
    """

    options = QUICK

    def setUp(self) -> None:
        super().setUp()
        self.nodes = Nodes(2, more="drainTime: 2000\nrpc: {ackTimeout: 20000, responseTimeout: 20000}\n")
        self.nodes.start()
        self.balancer = Balancer(self.nodes.servers)

    def tearDown(self) -> None:
        try:
            super().tearDown()
        finally:
            self.balancer.stop()
            self.nodes.kill()

    def test_drain(self) -> None:
        """
        SIGTERM makes the node unready. Its clients leave one after the other, and reconnect to the other node without
        an error: subscriptions, records and procedures work as before.
        """
        first, second = self.nodes.servers
        at: Any = self.balancer
        clients = [self.logged_in(generation, at) for generation in GENERATIONS * 3]
        for number, client in enumerate(clients):
            client.subscribe(self.name("news"))
            client.provide(self.name(f"rpc {number}"))
        records = [Record(client, self.name("doc")) for client in clients]
        self.assertNotIn("AUTH_SUCCESSFUL", second.log)
        os.kill(first.pid, signal.SIGTERM)
        clients[0].driver.wait(lambda: not is_ready(first), "the node is not ready")
        first.wait_for_line("INFO | draining: 6 clients are sent away within 2 s")
        second.wait_for_line("AUTH_SUCCESSFUL", len(clients))
        self.assertEqual(first.wait_for_end(), 0)
        for client in clients:
            client.wait_for_report(2, "state", state="OPEN")
            client.settle()
        self.assertIsNone(records[0].set_with_ack('{"a":1}'))
        for number, record in enumerate(records):
            record.until('{"a":1}')
            clients[number - 1].emit(self.name("news"), str(number))
            self.assertEqual(clients[number - 1].call(self.name(f"rpc {number}"), "7"), "7")
        for number, client in enumerate(clients):
            self.fence(clients[number - 1], client)
            # A client calls itself back.
            self.assertEqual(sorted(client.values(self.name("news"))), [str(number) for number in range(6)])
        self.assertEqual(self.nodes.take_trouble(), [])
