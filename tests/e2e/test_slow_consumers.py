"""
Clients that do not read what they are sent, beside official clients that do.
"""

from __future__ import annotations

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.scenario import GENERATIONS, Scenario, scratch_directory
from tests.e2e.server import Server
from tests.hostile.intruder import Intruder, close_all

#: Less than the limit of a single connection: it is the limit of all together that is met.
CONFIG = "limits: {maxOutgoingBytes: 8388608, closeDelay: 50}\n"

#: What the server runs first: it waits until the clients read why they are closed, however slow the machine is.
PATIENT_CLOSE = "from dstwist.transports import closing_link; closing_link.CLOSE_TIMEOUT = 600"

COUNT = 30
SIZE = 500_000
VALUE = b'"%s"' % (b"x" * SIZE)


class SlowConsumerTests(Scenario):
    """
    C{limits.maxOutgoingBytes}, and large frames for many clients.
    """

    def test_others_are_served(self) -> None:
        """
        Clients that do not read are closed, with a reason, when too much waits for all of them. The others get all
        events, in order, and stay connected.
        """
        config = scratch_directory() / "config.yml"
        config.write_text(CONFIG)
        server = Server(None, config, before=PATIENT_CLOSE)
        self._own_servers.append(server)
        server.start()
        self.servers.append(server)
        readers = [self.client(generation, server) for generation in GENERATIONS]
        for reader in readers:
            reader.login()
            reader.subscribe("news")
        slow = [Intruder(server.port, buffer=4096).log_in(f"slow{number}") for number in range(4)]
        self.addCleanup(close_all, slow)
        for client in slow:
            client.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="1"))
            client.outcome()
        writer = Intruder(server.port).log_in("writer")
        self.addCleanup(writer.close)
        for sent in range(1, COUNT + 1):
            writer.say(Message(Topic.EVENT, EventAction.EMIT, "news", VALUE))
            # On a busy machine readers would fall behind, and count as slow themselves.
            values = [reader.wait_for_values("news", sent) for reader in readers]
        self.assertEqual({len(value) for received in values for value in received}, {SIZE + 2})
        server.wait_for_line("maxOutgoingBytes")
        closed = [client for client in slow if client.ended(20.0)]
        self.assertEqual({client.fate for client in closed} - {"close 1013 (slow consumer)"}, set())
        self.assertGreater(len(closed), 1)
