"""
What is particular to the official client in JSON mode. All else is in the scenarios that run with JSON as well
(L{tests.e2e.scenario.for_each_kind}).
"""

from __future__ import annotations

from typing import Any

from tests.e2e.clients import Client
from tests.e2e.records import Record
from tests.e2e.scenario import JSON_MODE, JSON_PATH, PATIENT, QUICK, AnyServer, Scenario, scratch_directory
from tests.e2e.server import Server

CONFIG = """
auth: [{type: file, options: {users: fileLoad(users.yml)}}]
rpc: {provideRequestorName: true, provideRequestorData: true, ackTimeout: 20000, responseTimeout: 20000}
connectionEndpoints:
  - {type: ws-json}
  - {type: ws-binary}
limits: {closeDelay: 50}
"""
#: The same, with a server that soon disconnects a silent client.
BEATING = CONFIG.replace("ws-json}", "ws-json, options: {heartbeatInterval: 2000}}")
USERS = "ann: {password: secret, clientData: {role: admin, n: [1, null]}}"


class JsonModeTests(Scenario):
    """
    Clients in JSON mode.
    """

    options = QUICK

    def json_client(self, server: AnyServer, password: str = "secret", **options: Any) -> Client:
        client = self.client("v7", server, JSON_PATH, **JSON_MODE, **options)
        client.start_login({"username": "ann", "password": password})
        return client

    def configured(self, config: str = CONFIG) -> Server:
        directory = scratch_directory()
        (directory / "users.yml").write_text(USERS, encoding="utf-8")
        (directory / "config.yml").write_text(config, encoding="utf-8")
        return self.own_server(directory / "config.yml")

    def test_login(self) -> None:
        """
        The client gets the data of its user, and the reason of a refusal.
        """
        server = self.configured()
        client = self.json_client(server)
        client.wait_for_report(1, "login", success=True, data='{"role":"admin","n":[1,null]}')
        refused = self.json_client(server, "wrong")
        refused.wait_for_report(1, "login", success=False)

    def test_requestor_data(self) -> None:
        """
        A provider is told who calls, in both protocols. In JSON mode, the client fails on data that is no text.
        """
        server = self.configured()
        provider, caller = self.json_client(server), self.client("v7", server)
        caller.start_login({"username": "ann", "password": "secret"})
        for providing, calling in ((provider, caller), (caller, provider)):
            rpc = self.name(providing.name)
            providing.wait_for_state("OPEN")
            calling.wait_for_state("OPEN")
            providing.provide(rpc)
            self.assertEqual(calling.call(rpc, '{"a":1}'), '{"a":1}')
            (report,) = providing.filter("request", name=rpc)
            self.assertEqual(
                report["requestor"], '{"requestorName":"ann","requestorData":{"role":"admin","n":[1,null]}}'
            )

    def test_heartbeat(self) -> None:
        """
        A client that only sends heartbeats stays connected.
        """
        client = self.json_client(self.configured(BEATING), heartbeatInterval=2000)
        client.wait_for_state("OPEN")
        # The server would disconnect a silent client after six seconds, and the client a silent server after four.
        client.sleep(7000)
        self.assertEqual(client.states().count("RECONNECTING"), 0)

    def test_restart(self) -> None:
        """
        After a restart of the server, the client is back with its records and subscriptions.
        """
        server = self.own_server(PATIENT, scratch_directory())
        clients = [self.client("v7", server, JSON_PATH, **JSON_MODE) for _ in range(2)]
        for client in clients:
            client.login()
            client.subscribe("news")
            client.tolerate_error("CONNECTION_ERROR")
        one, other = (Record(client, "r") for client in clients)
        self.assertIsNone(one.set_with_ack('{"a":1}'))
        server.stop()
        for client in clients:
            client.wait_for_state("RECONNECTING")
        server.start()
        for client in clients:
            client.wait_for_state("OPEN")
            client.settle()
        self.assertIsNone(one.set_with_ack("2", "b"))
        other.until('{"a":1,"b":2}')
        clients[0].emit("news", '"back"')
        self.assertEqual(clients[1].wait_for_values("news", 1), ['"back"'])
