"""
The dialogues and numbers in docs/json-protocol.rst.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import Settings
from dstwist.node import Node
from dstwist.protocol.constants import ACTIONS, FIRST_TEXT_ONLY_ACTION, FROM_CLIENT, Topic
from dstwist.protocol.json_layout import KEYS
from dstwist.protocol.schema import REQUESTS
from tests.nodes.client import MemoryClient, server_frame

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "json-protocol.rst").read_text(encoding="utf-8")


class Talker(MemoryClient):
    """
    A client that knows JSON, and nothing of the protocol.
    """

    def texts(self) -> list[Any]:
        """
        What the server has sent.
        """
        data, found, position = self._unread + self.transport.value(), [], 0
        self.transport.clear()
        while (frame := server_frame(data, position)) is not None:
            opcode, payload, position = frame
            assert opcode == 1
            found.append(json.loads(payload))
        self._unread = data[position:]
        return found


class DialogueTests(SynchronousTestCase):
    """
    The dialogues, one after the other.
    """

    def test_dialogues(self) -> None:
        """
        The server answers what the page says, in that order, and nothing else.
        """
        lines = re.findall(r"^    (\w+) ([<>]) (.*)$", PAGE, re.MULTILINE)
        self.assertGreater(len(lines), 60)
        reactor = MemoryReactorClock()
        node = Node(Settings(), [], reactor)
        node.startService()
        self.addCleanup(reactor.advance, 1)
        self.addCleanup(node.stopService)
        reactor.advance(0)
        clients: dict[str, Talker] = {}
        heard: dict[str, list[Any]] = {}
        for name, direction, text in lines:
            if name not in clients:
                clients[name], heard[name] = Talker(node, "json"), []
            if direction == ">":
                self.assertEqual({who: left for who, left in heard.items() if left}, {}, text)
                clients[name].send(text.encode())
                for _ in range(5):
                    reactor.advance(0)
                for who, client in clients.items():
                    heard[who] += client.texts()
            else:
                self.assertEqual(heard[name][:1], [json.loads(text)])
                del heard[name][0]
        self.assertEqual({who: left for who, left in heard.items() if left}, {})


class TableTests(SynchronousTestCase):
    """
    The tables.
    """

    def rows(self) -> dict[Topic, dict[str, tuple[str, str, str]]]:
        """
        By topic and action: its number, who sends it, and its keys.
        """
        found: dict[Topic, dict[str, tuple[str, str, str]]] = {}
        topic = Topic.UNKNOWN
        table = PAGE.partition("topic     action")[2].partition("\n\n")[0]
        for line in table.splitlines()[2:-1]:
            if line[0] != "\\":
                topic = Topic(int(line[0]))
            for number, action in re.findall(r"(\d+) (\w+)", line[10:47]):
                found.setdefault(topic, {})[action] = (number, line[47:53].strip(), line[53:])
        return found

    def test_numbers(self) -> None:
        """
        Each number is that of its action.
        """
        for topic, actions in self.rows().items():
            for action, (number, _, _) in actions.items():
                self.assertEqual(str(ACTIONS[topic][action].value), number)

    def test_requests(self) -> None:
        """
        Each request is there, with its keys.
        """
        rows = self.rows()
        for topic, actions in FROM_CLIENT.items():
            for action in actions:
                if action.name == "PONG" or action >= FIRST_TEXT_ONLY_ACTION:
                    continue
                _, direction, keys = rows[topic][action.name]
                self.assertIn(">", direction)
                named = set(re.findall(r"\w+", keys.partition(" (")[0].partition("; <")[0]))
                required, optional = REQUESTS[topic, action]
                expected = {KEYS.get(name, "parsedData") for name in (*required, *optional)}
                self.assertEqual(named, expected, action)

    def test_keys(self) -> None:
        """
        Each key is explained.
        """
        for key in (*KEYS.values(), "topic", "data", "parsedData"):
            self.assertRegex(PAGE, rf"(?m)^``{key}`` ")

    def test_errors(self) -> None:
        """
        Each number in the table of errors is that of the error.
        """
        table = PAGE.partition("error                  ")[2].partition("\n\n")[0]
        topics = (Topic.EVENT, Topic.RECORD, Topic.RPC, Topic.PRESENCE)
        count = 0
        for line in table.splitlines()[2:-1]:
            name = line[:39].strip()
            for place, topic in enumerate(topics):
                number = line[39 + 9 * place : 48 + 9 * place].strip()
                if name and number:
                    self.assertEqual(str(ACTIONS[topic][name].value), number, name)
                    count += 1
        self.assertGreater(count, 25)
