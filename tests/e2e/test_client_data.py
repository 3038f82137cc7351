"""
Data about a user that logging in brings the client, and what the client hears of it when it logs in again by itself,
because the server was restarted. L4 and LR1 to LR3 are acceptance criteria.

Clients of v7 tell of news by events of their own. Clients of v2 have no such events: they call the login callback with
the answer to each login, also of those that they make by themselves. So what the server says is seen there.
"""

from __future__ import annotations

from tests.e2e.clients import Client
from tests.e2e.scenario import GENERATIONS, scratch_directory
from tests.e2e.server import Server
from tests.e2e.test_restarts import Restarting

RED, BLUE = '{"colour":"red"}', '{"colour":"blue"}'


class ClientDataTests(Restarting):
    """
    Users of a file that may be another one when the server comes back.
    """

    def first(self) -> Server:
        directory = scratch_directory()
        self.users = directory / "users.yml"
        self.write(f"ann: {{password: secret, clientData: {RED}}}")
        config = directory / "config.yml"
        # Without "hash" the passwords stand there as they are.
        config.write_text("auth: [{type: file, options: {users: fileLoad(users.yml)}}]\n", encoding="utf-8")
        return self.own_server(config)

    def write(self, users: str) -> None:
        self.users.write_text(f"{users}\n", encoding="utf-8")

    def all_in(self) -> list[Client]:
        """
        A client of each generation, logged in as the same user.
        """
        clients = [self.client(generation, self.at) for generation in GENERATIONS]
        for client in clients:
            client.login({"username": "ann", "password": "secret"})
        return clients

    def restart(self, users: str) -> None:
        """
        Come back when all clients are logged in at a server with those users.
        """
        self.down()
        self.write(users)
        self.up()

    def assert_heard(self, client: Client, answers: list[str], changes: list[str]) -> None:
        """
        @param answers: the data that came with each login, all of which were successful.
        @param changes: those that were news.
        """
        # All that came of the login is heard when something later is acknowledged.
        client.subscribe(self.name("fence"))
        client.catch_up()
        logins = [(report["success"], report["data"]) for report in client.filter("login")]
        news = [report["data"] for report in client.filter("clientDataChanged")]
        if client.driver.generation == "v2":
            self.assertEqual(logins, [(True, answer) for answer in answers])
            self.assertEqual(news, [])
        else:
            self.assertEqual(logins, [(True, answers[0])])
            self.assertEqual(news, changes)
        self.assertEqual(client.filter("reauthenticationFailure"), [])

    def test_l4_client_data(self) -> None:
        """
        L4: Client data reaches the login callback, and the event that tells of it, once.
        """
        for client in self.all_in():
            self.assert_heard(client, [RED], [RED])

    def test_lr1_unchanged(self) -> None:
        """
        LR1: A client that is back with the same data hears neither of data nor of a failure.
        """
        clients = self.all_in()
        self.restart(f"ann: {{password: secret, clientData: {RED}}}")
        for client in clients:
            self.assert_heard(client, [RED, RED], [RED])

    def test_lr2_changed(self) -> None:
        """
        LR2: A client that is back with other data hears of that, and of no failure.
        """
        clients = self.all_in()
        self.restart(f"ann: {{password: secret, clientData: {BLUE}}}")
        for client in clients:
            self.assert_heard(client, [RED, BLUE], [RED, BLUE])

    def test_lr2_gone(self) -> None:
        """
        LR2: So does one that is back without data; the event then has an empty object.
        """
        clients = self.all_in()
        self.restart("ann: {password: secret}")
        for client in clients:
            self.assert_heard(client, [RED, "null"], [RED, "{}"])

    def test_lr3_refused(self) -> None:
        """
        LR3: A client whose user is gone when it comes back hears of that once. It may log in as somebody else.
        """
        clients = self.all_in()
        self.down()
        self.write(f"bob: {{password: other, clientData: {BLUE}}}")
        self.at.start()
        for client in clients:
            old = client.driver.generation == "v2"
            if old:
                client.wait_for_report(1, "login", success=False)
            else:
                client.wait_for_report(1, "reauthenticationFailure")
            client.wait_for_state("AWAITING_AUTHENTICATION")
            client.start_login({"username": "bob", "password": "other"})
            client.wait_for_state("OPEN")
            client.subscribe(self.name("fence"))
            client.catch_up()
            logins = [(report["success"], report["data"]) for report in client.filter("login")]
            failures = [report["reason"] for report in client.filter("reauthenticationFailure")]
            refused = [(False, "undefined")] if old else []
            self.assertEqual(logins, [(True, RED), *refused, (True, BLUE)])
            self.assertEqual(failures, [] if old else [{"reason": "INVALID_AUTHENTICATION_DETAILS"}])
            self.assertEqual(client.states().count("OPEN"), 2)
