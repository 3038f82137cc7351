"""
The server goes and comes back with its data directory, and clients of both generations go on. RC, EC2, PC and PR are
the acceptance criteria.
"""

from __future__ import annotations

import atexit
from functools import cache, partial

from tests.e2e.clients import Client
from tests.e2e.records import AnonymousRecord, Record, RecordList
from tests.e2e.scenario import GENERATIONS, PATIENT, Scenario, scratch_directory
from tests.e2e.server import Server

#: The record that was asked for while there was no server, and more, is not given up.
OPTIONS = {"v7": {"subscriptionInterval": 10, "offlineBufferTimeout": 60000}}


@cache
def _server() -> Server:
    server = Server(None, PATIENT, scratch_directory())
    atexit.register(server.kill)
    return server


def restarting_server() -> Server:
    """
    The server that only these tests use, one after the other. It runs.
    """
    server = _server()
    if not server.running:
        server.start()
    return server


class Restarting(Scenario):
    """
    A server that keeps its records, and four clients in turn of both generations.
    """

    options = OPTIONS

    def setUp(self) -> None:
        super().setUp()
        self.at = self.first()
        self.quartet: list[Client] = []

    def first(self) -> Server:
        """
        The server as it is before it goes.
        """
        server = restarting_server()
        self.servers.append(server)
        return server

    def four(self) -> list[Client]:
        self.quartet = [self.logged_in(generation, self.at) for generation in GENERATIONS * 2]
        return self.quartet

    def down(self, kill: bool = False) -> None:
        """
        Stop the server, and come back when all clients have raised the error that tells them.
        """
        if kill:
            self.at.kill()
        else:
            self.at.stop()
            self.assertEqual(self.at.take_trouble(), [])
        for client in self.clients:
            client.expect_error({"v2": "connectionError", "v7": "CONNECTION_ERROR"}[client.driver.generation])

    def up(self) -> None:
        """
        Start the server again, and come back when all clients are logged in.
        """
        opened = {client: client.states().count("OPEN") for client in self.clients}
        self.at.start()
        for client, times in opened.items():
            client.wait_for_report(times + 1, "state", state="OPEN")

    def expect_surprise(self, client: Client) -> None:
        """
        A client of v2 subscribes when it is back to what it subscribed to while there was no server, and once more
        because of its return: the server says so, in a way that surprises the client.
        """
        for error in ("UNSOLICITED_MESSAGE", "MULTIPLE_SUBSCRIPTIONS"):
            client.tolerate_error(error)

    def settled(self) -> None:
        """
        Come back when the server has handled what the clients told it on their return.
        """
        for client in self.clients:
            if client.state == "OPEN":
                # An acknowledged subscription is behind all that the client sent when it came back.
                client.subscribe(self.name("back"))


class EndingTests(Restarting):
    """
    What clients end while there is no server.
    """

    def test_ended_offline(self) -> None:
        """
        The end of whatever a client had when the server went, and ends before it is back, is acknowledged: no client
        raises an error or waits for an answer. What the others do brings these clients nothing any more.
        """
        clients = self.four()
        for number, client in enumerate(clients):
            client.subscribe(self.name("news"))
            client.provide(self.name(f"rpc {number}"))
            client.watch_users()
            client.watch_users("ann")
            for topic in ("event", "record"):
                client.listen(self.name(f"{number}/.*"), topic=topic)
        records = [Record(client, self.name("doc")) for client in clients]
        # Client 7.0.5 says so of each record that it discarded while it was offline.
        self.tolerate_output("Deleted record while offline")
        self.down()
        for number, (client, record) in enumerate(zip(clients, records, strict=True)):
            client.do("unsubscribe", self.name("news"))
            client.do("unprovide", self.name(f"rpc {number}"))
            client.stop_watching()
            client.stop_watching("ann")
            for topic in ("event", "record"):
                client.do("unlisten", topic, self.name(f"{number}/.*"))
            record.discard()
        self.up()
        self.settled()
        speaker = self.logged_in("v7", self.at)
        speaker.emit(self.name("news"), "1")
        self.user("v7", self.at, "ann")
        for number, client in enumerate(clients):
            self.assertEqual(speaker.call(self.name(f"rpc {number}")), "NO_RPC_PROVIDER")
            speaker.subscribe(self.name(f"{number}/x"))
            self.fence(speaker, client)
            self.assertEqual((client.values(self.name("news")), client.offers(), client.presences()), ([], [], []))
        # Nor do later changes of a record that was discarded.
        Record(speaker, self.name("doc")).set('{"a":1}')
        for client, record in zip(clients, records, strict=True):
            self.fence(speaker, client)
            if client.driver.generation == "v2":
                self.assertEqual(len(record.events("discard")), 1)
                Record(client, self.name("doc"), "again").until('{"a":1}')


class RecordRestartTests(Restarting):
    """
    Records.
    """

    def all_see(self, records: list[Record], value: str) -> None:
        for record in records:
            record.until(value)

    def test_rc1_values_survive(self) -> None:
        """
        RC1: Values survive, and every client has noticed. All hold the records as before, and write on.
        """
        name, entries = self.name("kept"), self.name("entries")
        records = [Record(client, name) for client in self.four()]
        lists = [RecordList(client, entries) for client in self.quartet]
        pointer = AnonymousRecord(self.quartet[0], "pointer")
        pointer.set_name(name)
        records[0].set('{"user":{"firstname":"John","ü":[null,0,"",false,1e+21]}}')
        lists[1].set_entries(["a", "b"])
        before = records[0].get()
        self.all_see(records, before)
        for held in lists:
            held.until('["a","b"]')
        self.down()
        self.up()
        self.settled()
        self.assertEqual([record.get() for record in (*records, pointer)], [before] * 5)
        self.assertEqual([held.get() for held in lists], ['["a","b"]'] * 4)
        for number, writer in enumerate(records):
            writer.set(f'{{"n":{number}}}')
            self.all_see([*records, pointer], f'{{"n":{number}}}')
        lists[2].add("c")
        for held in lists:
            held.until('["a","b","c"]')
        self.assertEqual([record.version for record in records], [5] * 4)
        newcomer = self.logged_in("v7", self.at)
        self.assertEqual(newcomer.look("head", name), "5")

    def test_rc1_deletions_survive(self) -> None:
        """
        RC1: What was deleted is not there again.
        """
        name = self.name("deleted")
        records = [Record(client, name) for client in self.four()]
        self.assertIsNone(records[0].set_with_ack('{"a":1}'))
        records[1].delete()
        for record in records:
            record.wait_for_event("delete")
        self.down()
        self.up()
        self.settled()
        for client in self.quartet:
            self.assertEqual(client.look("has", name), "false")
            self.assertEqual(client.look("snapshot", name), "RECORD_NOT_FOUND")

    def test_rc1_killed(self) -> None:
        """
        RC1: The same if the server is killed: every acknowledged write is there.
        """
        name = self.name("acknowledged")
        records = [Record(client, name) for client in self.four()]
        for number, record in enumerate(records):
            self.assertIsNone(record.set_with_ack(f'{{"n":{number}}}'))
            self.all_see(records, f'{{"n":{number}}}')
        self.assertIsNone(self.quartet[0].set_data_with_ack(self.name("unheld"), '{"a":1}'))
        self.down(kill=True)
        self.up()
        self.settled()
        self.all_see(records, '{"n":3}')
        for client in self.quartet:
            self.assertEqual(client.look("snapshot", self.name("unheld")), '{"a":1}')
            self.assertEqual(client.look("head", name), "4")

    def test_rc2_offline_writes_dropped(self) -> None:
        """
        RC2: Three offline writes to paths of a v4+ client are discarded on its return; all have the server's value.
        """
        name = self.name("offline")
        records = [Record(client, name) for client in self.four()]
        records[0].set('{"user":{"firstname":"John"}}')
        self.all_see(records, '{"user":{"firstname":"John"}}')
        self.down()
        writer = records[1]
        for number in range(3):
            writer.set(f'"{number}"', "user.firstname")
        self.assertEqual(writer.get("user.firstname"), '"2"')
        self.up()
        self.settled()
        self.all_see(records, '{"user":{"firstname":"John"}}')
        for number, record in enumerate(records):
            record.set(str(number), "user.age")
            self.all_see(records, f'{{"user":{{"firstname":"John","age":{number}}}}}')

    def test_offline_writes_of_v2(self) -> None:
        """
        A v2 client keeps what it wrote offline in line, and the server takes it: nobody else has written.
        """
        name = self.name("in line")
        records = [Record(client, name) for client in self.four()]
        records[1].set('{"a":1}')
        self.all_see(records, '{"a":1}')
        self.down()
        records[0].set("2", "b")
        records[0].set("3", "c")
        self.up()
        self.settled()
        self.all_see(records, '{"a":1,"b":2,"c":3}')
        self.assertEqual(self.quartet[1].look("snapshot", name), '{"a":1,"b":2,"c":3}')
        records[1].set('{"on":1}')
        self.all_see(records, '{"on":1}')

    def test_offline_records(self) -> None:
        """
        Records that are got and written while there is no server are made on return.
        """
        self.four()
        self.down()
        names = [self.name(f"new/{number}") for number in range(4)]
        made = [Record(client, name, wait=False) for client, name in zip(self.quartet, names, strict=True)]
        for number, record in enumerate(made):
            record.set(f'{{"n":{number}}}')
        self.up()
        self.settled()
        for client in self.quartet:
            # A client of v2 asks twice, and is told so.
            client.tolerate_error("MULTIPLE_SUBSCRIPTIONS")
        # It takes the second answer, older than its write, for a newer one: what it holds itself does not count.
        for client in self.quartet[1::2]:
            for number, name in enumerate(names):
                Record(client, name, key=f"{name} again").until(f'{{"n":{number}}}')
        newcomer = self.logged_in("v2", self.at)
        for number, name in enumerate(names):
            Record(newcomer, name).until(f'{{"n":{number}}}')

    def test_acknowledgement_lost(self) -> None:
        """
        A write whose server is gone ends with an error, or when the server is back; never silently, never twice.
        """
        name = self.name("in flight")
        records = [Record(client, name) for client in self.four()[:2]]
        self.down()
        writes = [record.start_set(f'{{"n":{number}}}') for number, record in enumerate(records)]
        for write in writes:
            self.assertIsNotNone(write.error())
        self.up()
        self.settled()

    def provided(self, record: Record) -> bool:
        """
        Whether the record's holder was told, and told again, that there is a provider.
        """
        told = record.events("hasProviderChanged")
        return len(told) > 1 and told[-1] == "true"

    def test_providers(self) -> None:
        """
        Providers of records are asked again, and those who hold the records are told.
        """
        name = self.name("p/x")
        provider, *holders = self.four()
        provider.listen(self.name("p/.*"), topic="record")
        records = [Record(client, name) for client in holders]
        for record in records:
            record.wait_for_event("hasProviderChanged")
        self.down()
        self.up()
        provider.wait_for_report(2, "offer", name=name)
        for record in records:
            # A server that stops may have had the time to say that the provider is gone.
            record.client.driver.wait(partial(self.provided, record), f"{record.client.name}: a provider")
            self.assertTrue(record.has_provider)
        provider.set_data(name, '{"provided":1}')
        self.all_see(records, '{"provided":1}')


class PauseTests(Restarting):
    """
    A v4+ client that goes offline by itself, while the others go on.
    """

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.name("paused")
        self.records = [Record(client, self.shared) for client in self.four()]
        self.mine = self.records[1]
        # A record at version 1 is one that it has made itself, a client of v7 thinks when it was offline.
        self.records[0].set('{"a":0}')
        self.records[0].set('{"a":1}')
        for record in self.records:
            record.until('{"a":1}')

    def test_remote_wins(self) -> None:
        """
        What it wrote meanwhile is discarded, and it has what the others wrote.
        """
        self.mine.client.pause()
        self.mine.set('"mine"', "m")
        self.assertIsNone(self.records[0].set_with_ack('"theirs"', "t"))
        self.mine.client.resume()
        for record in self.records:
            record.until('{"a":1,"t":"theirs"}')

    def test_writing_meanwhile(self) -> None:
        """
        If it goes on writing while it comes back, it keeps the record, and what it writes then.
        """
        # The client says so of its first write, which has the version of the record.
        self.tolerate_output("VERSION_EXISTS")
        self.mine.client.pause()
        self.mine.resume_and_write("m", '"first"', '"second"')
        for record in self.records:
            record.until('{"a":1,"m":"second"}')
        self.assertIsNone(self.mine.set_with_ack('"third"', "m"))
        for record in self.records:
            record.until('{"a":1,"m":"third"}')
        self.assertEqual(self.mine.events("delete"), [])

    def test_deleted_meanwhile(self) -> None:
        """
        If the record was deleted meanwhile, it is deleted for the client that was away, too.
        """
        self.mine.client.pause()
        self.records[0].delete()
        self.mine.client.resume()
        self.mine.wait_for_event("delete")


class EventRestartTests(Restarting):
    """
    Events.
    """

    def test_ec2_queued_emit(self) -> None:
        """
        EC2: While the server is down an emit reaches the client itself only; when it is back the others hear it, once.
        """
        name = self.name("news")
        clients = self.four()
        for client in clients:
            client.subscribe(name)
        self.down()
        for client in clients[:2]:
            client.emit(name, f'"{client.driver.generation}"')
            self.assertEqual(client.values(name), [f'"{client.driver.generation}"'])
        self.up()
        self.settled()
        # What was queued is sent before a client has subscribed again: those who come back first may miss it.
        for client in clients:
            self.fence(clients[0], client)
            self.assertLessEqual(len(client.values(name)), 2)
            self.assertEqual(len(set(client.values(name))), len(client.values(name)))


class RpcRestartTests(Restarting):
    """
    Calls.
    """

    def test_pc1_provided_again(self) -> None:
        """
        PC1: The provider is registered again, and calls of all others work, three runs in total.
        """
        for provider_number in (0, 1):
            rpc = self.name(f"rpc {provider_number}")
            clients = self.quartet or self.four()
            provider = clients[provider_number]
            provider.provide(rpc)
            self.down()
            self.up()
            self.settled()
            for client in clients:
                if client is not provider:
                    self.assertEqual(client.call(rpc, "7"), "7")
            self.assertEqual(provider.requests(rpc), ["7"] * 3)

    def test_pc2_unprovided(self) -> None:
        """
        PC2: Unprovided while the server was down: calls of all others give NO_RPC_PROVIDER.
        """
        clients = self.four()
        rpcs = [self.name(f"rpc {number}") for number in range(2)]
        for client, rpc in zip(clients, rpcs, strict=False):
            client.provide(rpc)
        self.down()
        for client, rpc in zip(clients, rpcs, strict=False):
            client.do("unprovide", rpc)
        self.up()
        self.settled()
        for client in clients:
            for rpc in rpcs:
                self.assertEqual(client.call(rpc, "7"), "NO_RPC_PROVIDER")

    def test_call_in_flight(self) -> None:
        """
        A call that the server was busy with ends with an error; the provider goes on.
        """
        provider, caller, old, _ = self.four()
        rpc = self.name("long")
        provider.provide(rpc, "hold")
        calls = [client.start_call(rpc, "1") for client in (caller, old)]
        provider.wait_for_report(2, "request", name=rpc)
        self.down()
        self.assertEqual([call.wait() for call in calls], ["client offline", "RESPONSE_TIMEOUT"])
        self.up()
        self.settled()
        again = caller.start_call(rpc, "2")
        provider.wait_for_report(3, "request", name=rpc)
        provider.answer(rpc, "3")
        self.assertEqual(again.wait(), "3")


class PresenceRestartTests(Restarting):
    """
    Who watches whom.
    """

    NAMED = ("ann", "bob", "cat")

    def watchers(self, count: int) -> list[list[Client]]:
        """
        Pairs of clients of both generations.
        """
        return [[self.logged_in(generation, self.at) for generation in GENERATIONS] for _ in range(count)]

    def all_come_and_go(self) -> None:
        """
        Three users log in and out again, and everybody has been told who was to be told.
        """
        users = [self.user(GENERATIONS[number % 2], self.at, name) for number, name in enumerate(self.NAMED)]
        for user in users:
            user.close()
        # Told by the same server after the last of that.
        late = self.logged_in("v7", self.at)
        late.online()
        for client in self.clients:
            if client.state == "OPEN":
                self.fence(late, client)

    def heard(self, watcher: Client) -> list[tuple[str, bool]]:
        return sorted((report["user"], report["online"]) for report in watcher.filter("presence"))

    @property
    def everything(self) -> list[tuple[str, bool]]:
        return sorted((name, online) for name in self.NAMED for online in (True, False))

    def test_pr1_pr2_survive(self) -> None:
        """
        PR1, PR2: Subscriptions to everybody, and to three users by name, survive.
        """
        of_all, of_named = self.watchers(2)
        for watcher in of_all:
            watcher.watch_users()
        for watcher in of_named:
            for name in self.NAMED:
                watcher.watch_users(name)
        self.down()
        self.up()
        self.settled()
        self.all_come_and_go()
        for watcher in (*of_all, *of_named):
            self.assertEqual(self.heard(watcher), self.everything, watcher.name)

    def test_pr3_pr5_unsubscribed(self) -> None:
        """
        PR3, PR5: Who unsubscribed while the server was down, from users by name or from everybody, hears nothing.
        """
        of_all, of_named = self.watchers(2)
        for watcher in of_all:
            watcher.watch_users()
        for watcher in of_named:
            for name in self.NAMED:
                watcher.watch_users(name)
        self.down()
        for watcher in of_all:
            watcher.stop_watching()
        for watcher in of_named:
            for name in self.NAMED:
                watcher.stop_watching(name)
        self.up()
        self.settled()
        self.all_come_and_go()
        for watcher in (*of_all, *of_named):
            self.assertEqual(self.heard(watcher), [], watcher.name)

    def test_pr4_pr6_subscribed(self) -> None:
        """
        PR4, PR6: Subscriptions made while the server was down, to users by name or to everybody, take effect.
        """
        of_all, of_named = self.watchers(2)
        self.down()
        for watcher in of_all:
            self.expect_surprise(watcher)
            watcher.start_watching()
        for watcher in of_named:
            for name in self.NAMED:
                watcher.start_watching(name)
        self.up()
        self.settled()
        self.all_come_and_go()
        for watcher in (*of_all, *of_named):
            self.assertEqual(self.heard(watcher), self.everything, watcher.name)
