"""
L{dstwist.protocol.protobuf} against C{@deepstream/protobuf}, which official clients use. Google's runtime is in
L{tests.protocol.test_protobuf_peers}.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf import SERVER
from dstwist.protocol.schema import ACKS, REQUESTS
from tests.protocol.test_protobuf import CONTENTS, DECLARED, EVERY_ACTION, FRAMES, fill
from tests.protocol.test_protobuf_peers import camel_case, scalars

HERE = Path(__file__).parent

NODE_MODULES = HERE / "node_modules"


class NpmTests(SynchronousTestCase):
    """
    The same bytes mean the same to the official JavaScript client.
    """

    def setUp(self) -> None:
        node = shutil.which("node")
        if node is None:
            self.fail("Node.js is needed to compare with the official client's codec, and there is no 'node'")
        if not (NODE_MODULES / "@deepstream" / "protobuf").is_dir():
            self.fail("@deepstream/protobuf is needed: run 'npm ci' in tests/e2e")
        self.node = subprocess.Popen(
            [node, str(HERE / "npm_codec.js"), str(NODE_MODULES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self.addCleanup(self.stop)

    def stop(self) -> None:
        self.node.communicate()

    def ask(self, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        assert self.node.stdin is not None and self.node.stdout is not None
        answers = []
        for question in questions:
            self.node.stdin.write(json.dumps(question) + "\n")
            self.node.stdin.flush()
            answers.append(json.loads(self.node.stdout.readline()))
        return answers

    def javascript(self, message: Message) -> dict[str, Any]:
        """
        The message as the client's own code has it in hand.
        """
        said = scalars(message) | {"topic": int(message.topic)}
        if "names" in said:
            said["names"] = list(said["names"])
        if message.requestor_data is not None:
            said["requestorData"] = loads(message.requestor_data)
        return said

    def compare(self, messages: list[Message]) -> None:
        known = [self.javascript(message) for message in messages]
        frames = [answer["frame"] for answer in self.ask([{"encode": message} for message in known])]
        self.assertEqual([SERVER.encode(message).hex() for message in messages], frames)
        read = self.ask([{"decode": SERVER.encode(message).hex()} for message in messages])
        for message, answer in zip(known, read, strict=True):
            theirs = answer["message"]
            # Lists and maps are there, and empty, in everything the library reads.
            for name in ("names", "versions", "fullState"):
                if not theirs.get(name):
                    theirs.pop(name, None)
            self.assertEqual(theirs, message)

    def test_worked_frames(self) -> None:
        """
        The worked frames are what the client's library makes of their messages.
        """
        self.compare([message for _, message, _ in FRAMES])
        answers = self.ask([{"encode": self.javascript(message)} for _, message, _ in FRAMES])
        self.assertEqual([answer["frame"] for answer in answers], [text for _, _, text in FRAMES])

    @EVERY_ACTION
    @given(CONTENTS)
    def test_messages(self, contents: dict[str, Any]) -> None:
        """
        Messages of every topic and action are the same bytes on both sides, and read the same.
        """
        # The library makes text only of requestor data that JavaScript takes for true.
        contents["requestor_data"] = dumps({"of": loads(contents["requestor_data"] or b"0")})
        self.compare([fill(topic, action, contents) for topic, action in DECLARED])

    @EVERY_ACTION
    @given(CONTENTS)
    def test_requests(self, contents: dict[str, Any]) -> None:
        """
        A server reads what the client's library writes.
        """
        messages = [fill(topic, action, contents, request=True) for topic, action in REQUESTS]
        answers = self.ask([{"encode": self.javascript(message)} for message in messages])
        decoded = [item for answer in answers for item in SERVER.decode(bytes.fromhex(answer["frame"]))]
        self.assertEqual(decoded, messages)

    def test_acks(self) -> None:
        """
        Acknowledgements reach the client with the fields that end its timers.
        """
        for (topic, action), repeated in ACKS.items():
            request = Message(topic, action, name="n", names=("n",), correlation_id="1")
            [answer] = self.ask([{"decode": SERVER.encode(request.ack()).hex()}])
            said = {name for name, value in answer["message"].items() if value != []} - {"topic"}
            self.assertEqual(said - {"versions"}, {camel_case(name) for name in repeated})
            self.assertIs(answer["message"]["isAck"], True)

    def test_verbatim(self) -> None:
        """
        An emit of a JavaScript client reaches the next one in the very bytes it was sent in.
        """
        emits = [
            {"topic": 4, "action": 2, "name": name, "data": json.dumps("x" * size)}
            for name in ("e", "e" * 200)
            for size in (0, 50, 118, 130, 20000)
        ]
        for answer in self.ask([{"encode": emit} for emit in emits]):
            payload = bytes.fromhex(answer["frame"])
            [message] = SERVER.decode(payload)
            assert isinstance(message, Message)
            self.assertIs(message.verbatim, SERVER)
            self.assertIs(SERVER.encode(message), payload)
