"""
A whole node and clients that have it keep more than there is room for.
"""

from __future__ import annotations

from dstwist.config.limits import LimitSettings
from dstwist.config.settings import RecordSettings
from dstwist.config.stores import MemorySettings
from dstwist.protocol.constants import RecordAction as A
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from dstwist.services.record.acks import ACK_DELAY_SECONDS
from tests.nodes.client import GENERATIONS, MemoryClient
from tests.nodes.test_limits import NodeCase


def write(action: A, name: str, data: str, version: int = -1, path: str | None = None) -> Message:
    message = Message(Topic.RECORD, action, name, data.encode(), path=path, version=version)
    message.is_write_ack, message.correlation_id = True, f"w{version}"
    return message


class MemoryCase(NodeCase):
    """
    A node that has sent all it has to say.
    """

    def hear(self, client: MemoryClient) -> list[Message]:
        self.reactor.advance(0)
        self.reactor.advance(ACK_DELAY_SECONDS)
        return client.heard()


class FullCacheTests(MemoryCase):
    """
    A node without a storage whose cache is full.
    """

    def fill(self, generation: str) -> tuple[MemoryClient, list[str]]:
        """
        A client, and the names of the records that it made until there was no more room.
        """
        self.node(cache=MemorySettings(max_bytes=20_000))
        client = self.client(generation, "ann")
        made: list[str] = []
        for number in range(100):
            name = f"record/{number}"
            client.say(Message(Topic.RECORD, A.SUBSCRIBECREATEANDREAD, names=(name,), correlation_id="7"))
            answers = self.hear(client)
            if A.READ_RESPONSE not in [each.action for each in answers]:
                self.assertIn(A.RECORD_CREATE_ERROR, [each.action for each in answers])
                break
            made.append(name)
        self.assertTrue(10 < len(made) < 99)
        return client, made

    def actions(self, client: MemoryClient, message: Message) -> list[object]:
        client.say(message)
        return [each.action for each in self.hear(client)]

    def test_refused(self) -> None:
        """
        A write without room is refused to clients of both generations, with a line in the log. The server goes on:
        records are read and may become smaller, and deletions make room.
        """
        for generation in GENERATIONS:
            client, made = self.fill(generation)
            self.assertIn("the memory store is full", self.lines.last("error"))
            large = '{"a":"%s"}' % ("x" * 5000)
            answers = self.actions(client, write(A.UPDATE, made[0], large, 1))
            self.assertIn(A.RECORD_UPDATE_ERROR, answers)
            self.assertIn(A.READ_RESPONSE, self.actions(client, Message(Topic.RECORD, A.READ, made[0])))
            for name in made[1:12]:
                self.assertIn(A.DELETE_SUCCESS, self.actions(client, Message(Topic.RECORD, A.DELETE, name)))
            self.assertEqual(
                [A.WRITE_ACKNOWLEDGEMENT], self.actions(client, write(A.UPDATE, made[0], '{"a":"%s"}' % ("x" * 500), 1))
            )
            self.assertEqual([A.WRITE_ACKNOWLEDGEMENT], self.actions(client, write(A.UPDATE, made[0], "{}", 2)))
            self.assertIsNone(client.closed)

    def test_refused_reason(self) -> None:
        """
        Text clients are told why.
        """
        client, made = self.fill("v3")
        client.say(write(A.UPDATE, made[0], '{"a":"%s"}' % ("x" * 5000), 1))
        self.assertIn("cache is full", " ".join(str(each) for each in self.hear(client)))

    def test_said_at_start(self) -> None:
        """
        The log says at start how much the cache takes.
        """
        self.node(cache=MemorySettings(max_bytes=20 << 20))
        self.assertIn("INFO | cache ready: memory, at most 20 MiB; past that writes are refused", self.lines.of("info"))


class GapTests(MemoryCase):
    """
    Paths that would make much.
    """

    def test_gap(self) -> None:
        """
        An index far past the end of an array is refused to clients of both generations, whatever kind of write it is
        in, up to the limit that the settings say.
        """
        for generation in GENERATIONS:
            self.node(record=RecordSettings(max_array_gap=10))
            client = self.client(generation, "ann")
            client.say(write(A.CREATEANDUPDATE, "a", "{}"))
            self.hear(client)
            for action, path in ((A.PATCH, "a[11]"), (A.PATCH, "a[5][6]"), (A.CREATEANDPATCH, "a[999999999]")):
                client.say(write(action, "a", "1", path=path))
                self.assertIn(A.INVALID_MESSAGE_DATA, [each.action for each in self.hear(client)], path)
            client.say(write(A.PATCH, "a", "1", path="a[10]"))
            self.assertEqual([A.WRITE_ACKNOWLEDGEMENT], [each.action for each in self.hear(client)])

    def test_several(self) -> None:
        """
        All changes of one message share the limit.
        """
        self.node(record=RecordSettings(max_array_gap=10))
        client = self.client("v4", "ann")
        client.say(write(A.CREATEANDUPDATE, "a", "{}"))
        client.say(write(A.PATCH_MULTI, "a", '[{"path":"a[6]","data":1},{"path":"b[5]","data":1}]'))
        self.assertIn(A.INVALID_MESSAGE_DATA, [each.action for each in self.hear(client)])


class SubscriptionMemoryTests(MemoryCase):
    """
    Names that all clients have the server keep.
    """

    def test_bounded(self) -> None:
        """
        Past the limit of all clients, names are refused to those who ask for more, and all others keep theirs.
        """
        self.node(limits=LimitSettings(max_subscription_bytes=100_000))
        ann, bob = self.client("v4", "ann"), self.client("v4", "bob")
        bob.subscribe("news")
        self.hear(bob)
        for number in range(50):
            ann.subscribe(f"{number}" + "x" * 4000)
        denied = [each for each in self.hear(ann) if each.action.name == "MESSAGE_DENIED"]
        self.assertTrue(20 < len(denied) < 40, len(denied))
        ann.emit("news", b"1")
        self.assertEqual([each.name for each in self.hear(bob)], ["news"])
