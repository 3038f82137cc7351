"""
All commands of the administration at the nodes of a real cluster, also while its Redis hangs, and at a server whose
storage hangs. Commands that wait for each other's nodes, or for stores, are asked at the same time.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import click
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cli.admin import admin
from dstwist.cli.admin_client import connect
from dstwist.protocol.constants import EventAction, RpcAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.nodes import Nodes
from tests.e2e.raw import RawClient
from tests.e2e.scenario import scratch_directory
from tests.e2e.server import PATIENCE, Server
from tests.e2e.stream_readers import Reader

#: Each command with the values that it is asked with; C{drain} comes last, and so is not here. C{--all} is asked too
#: where there is C{all}.
READS: dict[str, dict[str, Any]] = {
    "status": {},
    "cluster": {},
    "clients": {},
    "subscriptions": {"name": "news"},
    "records": {"name": "car"},
    "providers": {},
    "patterns": {},
    "bans": {},
}
CHANGES: dict[str, dict[str, Any]] = {
    "kick": {"user": "nobody"},
    "ban": {"user": "nobody"},
    "unban": {"user": "somebody"},
    "reload": {},
    "log-level": {"level": "info"},
    "check": {},
}
OF_NODES = ("clients", "subscriptions", "records", "providers", "patterns")

#: How the answers name nodes and stores that hang. The connection to a Redis may give up first.
NO_NODE, NO_STORE = "no answer within 8 s", "no answer within 5 s|it did not answer for"

#: Lines of the log about a storage that hangs.
EXPECTED = re.compile("STORAGE_RETRIEVAL_TIMEOUT|CACHE_RETRIEVAL_TIMEOUT|RECORD_[A-Z]*_ERROR|PLUGIN_ERROR")

#: The server itself waits for stores for a short time.
HASTY = "\nrecord: {writeTimeout: 500, storageRetrievalTimeout: 500}\n"

#: How often a client hears an event of another while the commands wait, at least and at most: on a busy machine the
#: commands may end before the last time.
FEWEST_ROUNDS, ROUNDS = 20, 200


class Operator:
    """
    Asks one server, with a thread for each question.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._pool = ThreadPoolExecutor(32)

    def ask(self, command: str, /, **values: Any) -> Any:
        """
        The answer to one command.
        """
        client = connect(None, None, None, str(self._data), None)
        return client.post(command, values) if command in {*CHANGES, "drain"} else client.get(command, values)

    def ask_everything(self, but: str = "") -> dict[str, Future[Any]]:
        """
        Begin all commands, except one.
        """
        commands = {name: (name, values) for name, values in {**READS, **CHANGES}.items() if name != but}
        commands |= {f"{name} --all": (name, {**READS[name], "all": True}) for name in OF_NODES}
        return {each: self._pool.submit(partial(self.ask, name, **values)) for each, (name, values) in commands.items()}

    def trace(self, user: str) -> Iterator[Any]:
        """
        The rows of a trace.
        """
        return map(json.loads, connect(None, None, None, str(self._data), None).lines("trace", {"user": user}))

    def close(self) -> None:
        """
        End the threads.
        """
        self._pool.shutdown()


class AdminTestCase(SynchronousTestCase):
    """
    Clients and operators of real servers.
    """

    def operator(self, data: Path) -> Operator:
        operator = Operator(data)
        self.addCleanup(operator.close)
        return operator

    def client(self, server: Server, user: str) -> RawClient:
        client = RawClient(server.port, "v4", user)
        self.addCleanup(client.close)
        return client

    def subscribed(self, server: Server, user: str) -> RawClient:
        client = self.client(server, user)
        client.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="1"))
        client.hear()
        return client

    def serve_clients(
        self, server: Server, ask: Callable[[], dict[str, Future[Any]]], waiting: set[str]
    ) -> dict[str, Future[Any]]:
        """
        Have clients hear each other while commands wait, and none of C{waiting} has ended.

        @param ask: begins the commands.
        @return: what it gave.
        """
        with closing(self.subscribed(server, "reader")) as reader, closing(self.client(server, "writer")) as writer:
            asked = ask()
            for number in range(ROUNDS):
                data = b"%d" % number
                writer.say(Message(Topic.EVENT, EventAction.EMIT, "news", data))
                while all(message.data != data for message in reader.hear()):
                    pass
                if ended := [name for name in waiting if asked[name].done()]:
                    self.assertGreater(number, FEWEST_ROUNDS, ended)
                    break
        return asked

    def storage_hangs(self, answers: dict[str, Any]) -> None:
        """
        The commands that read the storage have said that it does not answer.
        """
        for name in ("records", "records --all"):
            self.assertRegex(answers[name]["storage"]["error"], NO_STORE)
        self.assertFalse(answers["check"]["fine"])
        (result,) = [step["result"] for step in answers["check"]["steps"] if step["place"] == "storage"]
        self.assertRegex(result, NO_STORE)

    def answers(self, asked: dict[str, Future[Any]]) -> dict[str, Any]:
        return {name: future.result(PATIENCE) for name, future in asked.items()}


class ClusterTests(AdminTestCase):
    """
    Three nodes.
    """

    def setUp(self) -> None:
        self.nodes = Nodes(with_data=True, more=HASTY)
        self.addCleanup(self.nodes.kill)
        self.nodes.start()
        self.operators = [self.operator(self.nodes.data_dir(name)) for name in ("ann", "bob", "cat")]
        self.users = [self.subscribed(server, f"user{number}") for number, server in enumerate(self.nodes.servers)]
        self.users[1].say(
            Message(Topic.RPC, RpcAction.PROVIDE, names=("add",), correlation_id="2"),
            Message(Topic.EVENT, EventAction.LISTEN, "sport/.*"),
        )
        self.reader = Reader(self.nodes.servers[2].port, "/api/events/news")
        self.addCleanup(self.reader.close)

    def nodes_of(self, rows: list[Any]) -> list[str]:
        """
        The first letters of the nodes of rows.
        """
        return sorted(row["node"][0] for row in rows)

    def test_commands(self) -> None:
        """
        All commands are answered. While the Redis hangs, each of them ends within its time-out and says which node or
        store does not answer, and the server serves its clients meanwhile. When the Redis is back, all is well again.
        """
        assert isinstance(admin, click.Group)
        self.assertEqual(set(admin.commands), {*READS, *CHANGES, "drain", "trace"})
        self.wait_until_well()
        self.fine(self.answers(self.operators[0].ask_everything()))
        waiting = {"kick", "ban", "unban", "check", "records", *(f"{name} --all" for name in OF_NODES)}

        def ask() -> dict[str, Future[Any]]:
            self.nodes.redis.pause()
            return self.operators[0].ask_everything()

        asked = self.serve_clients(self.nodes.servers[0], ask, waiting)
        rows = self.operators[0].trace("user0")
        self.assertEqual([next(rows).get(key) for key in ("tracing", "event")], ["user0", "connected"])
        self.hanging(self.answers(asked))
        self.not_well()
        self.nodes.redis.resume()
        self.wait_until_well()
        self.fine(self.answers(self.operators[2].ask_everything()))
        self.assertGreater(self.operators[2].ask("drain", seconds=1)["clients"], 0)
        while self.reader.block():
            pass

    def fine(self, answers: dict[str, Any]) -> None:
        """
        All nodes have answered.
        """
        for name in OF_NODES[:2] + OF_NODES[3:]:
            self.assertEqual(answers[f"{name} --all"]["missing"], {}, name)
        self.assertEqual(self.nodes_of(answers["clients --all"]["clients"]), ["a", "b", "c", "c"])
        self.assertEqual(self.nodes_of(answers["subscriptions --all"]["subscriptions"]), ["a", "b", "c", "c"])
        self.assertEqual(self.nodes_of(answers["providers --all"]["providers"]), ["b"])
        self.assertEqual(self.nodes_of(answers["patterns --all"]["patterns"]), ["b"])
        for name in ("kick", "ban", "unban", "records --all"):
            self.assertEqual(len(answers[name]["nodes"]), 2)
            self.assertFalse(any("error" in answer for answer in answers[name]["nodes"].values()), name)
        self.assertTrue(answers["check"]["fine"], answers["check"])
        self.assertTrue(answers["status"]["ready"])
        self.assertEqual([row["well"] for row in answers["cluster"]["members"]], [True] * 3)

    def hanging(self, answers: dict[str, Any]) -> None:
        """
        The commands say what hangs.
        """
        for name in OF_NODES[:2] + OF_NODES[3:]:
            self.assertEqual(list(answers[f"{name} --all"]["missing"].values()), [NO_NODE] * 2, name)
        for name in ("kick", "ban", "unban", "records --all"):
            self.assertEqual(list(answers[name]["nodes"].values()), [{"error": NO_NODE}] * 2, name)
        self.storage_hangs(answers)

    def not_well(self) -> None:
        """
        A node says of itself that it is not well, and of the others that it does not know.
        """
        answer = self.operators[0].ask("cluster")
        self.assertEqual({row["node"][0]: row["well"] for row in answer["members"]}, {"a": False, "b": None, "c": None})

    def wait_until_well(self) -> None:
        ends = time.monotonic() + PATIENCE
        while True:
            members = [operator.ask("cluster")["members"] for operator in self.operators]
            if all(len(rows) == 3 and all(row["well"] for row in rows) for rows in members):
                return
            self.assertLess(time.monotonic(), ends, members)
            time.sleep(0.1)


class HangingStorageTests(AdminTestCase):
    """
    A server without a cluster, whose storage hangs.
    """

    def test_commands(self) -> None:
        """
        Each command ends within its time-out and says that the storage does not answer.
        """
        config = scratch_directory() / "config.yml"
        config.write_text(f'storage: {{module: "tests.e2e.hanging_store:HangingStore"}}{HASTY}')
        # The paths of trial are too long for sockets.
        data = scratch_directory() / "data"
        server = Server(config=config, data_dir=data)
        self.addCleanup(server.kill)
        server.start()
        operator = self.operator(data)
        ask = partial(operator.ask_everything, but="cluster")
        asked = self.serve_clients(server, ask, {"check", "records", "records --all"})
        answers = self.answers(asked)
        self.storage_hangs(answers)
        server.stop()
        self.assertEqual(server.take_trouble(EXPECTED), [])
