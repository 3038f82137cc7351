"""
Data about a user that logging in brings the client, and what the client hears of it when it logs in again by itself,
because the server was restarted. L4 and LR1 to LR3 are acceptance criteria.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.clients import Client
from tests.e2e.scenario import GENERATIONS, scratch_directory
from tests.e2e.server import Server
from tests.e2e.test_restarts import Restarting

#: Without C{hash} passwords stand there as they are.
ANN = '{password: secret, clientData: {colour: "%s"}}'


class ClientDataTests(Restarting):
    """
    Users of a file that is another one when the server comes back. Clients of v2 tell the login callback
    alone, each time.
    """

    def setUp(self) -> None:
        super().setUp()
        directory = scratch_directory()
        self.users = directory / "users.yml"
        self.write("ann: " + ANN % "red")
        self.at = Server(None, self.config(directory))
        self.servers.append(self.at)
        self._own_servers.append(self.at)
        self.at.start()

    def config(self, directory: Path) -> Path:
        config = directory / "config.yml"
        config.write_text("auth: [{type: file, options: {users: fileLoad(users.yml)}}]\n", encoding="utf-8")
        return config

    def write(self, users: str) -> None:
        self.users.write_text(f"{users}\n", encoding="utf-8")

    def log_all_in(self) -> list[Client]:
        clients = [self.client(generation, self.at) for generation in GENERATIONS]
        for client in clients:
            client.login({"username": "ann", "password": "secret"})
        return clients

    def heard(self, client: Client, kind: str, field: str) -> list[Any]:
        client.catch_up()
        return [report[field] for report in client.filter(kind)]

    def assert_told(self, client: Client, logins: list[str], changes: list[str]) -> None:
        """
        @param logins: what came with each login.
        @param changes: those of it that were news.
        """
        old = client.driver.generation == "v2"
        self.assertEqual(self.heard(client, "login", "data"), logins if old else logins[:1])
        self.assertEqual(self.heard(client, "clientDataChanged", "data"), [] if old else changes)

    def test_l4_client_data(self) -> None:
        """
        L4: Client data reaches the login callback, and the event that tells of it, once.
        """
        for client in self.log_all_in():
            self.assert_told(client, ['{"colour":"red"}'], ['{"colour":"red"}'])

    def test_lr1_unchanged(self) -> None:
        """
        LR1: Who is back with the same data hears neither of data nor of a failure.
        """
        clients = self.log_all_in()
        self.down()
        self.up()
        for client in clients:
            client.subscribe(self.name("back"))
            self.assert_told(client, ['{"colour":"red"}'] * 2, ['{"colour":"red"}'])
            self.assertEqual(self.heard(client, "reauthenticationFailure", "reason"), [])

    def test_lr2_changed(self) -> None:
        """
        LR2: Who is back with other data hears of that, and of no failure.
        """
        clients = self.log_all_in()
        self.down()
        self.write("ann: " + ANN % "blue")
        self.up()
        for client in clients:
            client.subscribe(self.name("back"))
            self.assert_told(
                client, ['{"colour":"red"}', '{"colour":"blue"}'], ['{"colour":"red"}', '{"colour":"blue"}']
            )
            self.assertEqual(self.heard(client, "reauthenticationFailure", "reason"), [])

    def test_lr3_refused(self) -> None:
        """
        LR3: Who is refused when it is back hears of that once.
        """
        clients = self.log_all_in()
        self.down()
        self.write("bob: {password: secret}")
        self.at.start()
        for client in clients:
            if client.driver.generation == "v7":
                client.wait_for_report(1, "reauthenticationFailure")
            client.wait_for_state("AWAITING_AUTHENTICATION")
            self.assertEqual(self.heard(client, "login", "success").count(True), 1)
            failures = self.heard(client, "reauthenticationFailure", "reason")
            self.assertEqual(len(failures), {"v2": 0, "v7": 1}[client.driver.generation])
