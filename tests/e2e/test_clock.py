"""
A real server on a machine whose clock is put back.
"""

from __future__ import annotations

import json
import time

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.nodes import Nodes
from tests.e2e.raw import RawClient
from tests.e2e.scenario import scratch_directory
from tests.e2e.server import Server

HOUR = 3600

#: The wall clock of the server is an hour slow as soon as a file exists.
SLOW = """
import os, time
right = time.time
time.time = lambda: right() - {hour} * os.path.exists({file!r})
"""


class ClockTests(SynchronousTestCase):
    """
    The wall clock is put back by an hour while a client is connected.
    """

    def test_put_back(self) -> None:
        """
        Rules go by the new time of day, and timers go on: a silent client is still disconnected.
        """
        directory = scratch_directory()
        put_back, config = directory / "put back", directory / "config.yml"
        half_an_hour_ago = (time.time() - HOUR / 2) * 1000
        rules = {
            "event": {"*": {"subscribe": f"now < {half_an_hour_ago:.0f}"}},
            **{topic: {"*": {}} for topic in ("record", "rpc", "presence")},
        }
        config.write_text(
            json.dumps(
                {
                    "permission": {"type": "config", "options": {"permissions": rules}},
                    "connectionEndpoints": [{"type": "ws-binary", "options": {"heartbeatInterval": 2000}}],
                }
            )
        )
        server = Server(config=config, before=SLOW.format(hour=HOUR, file=str(put_back)))
        self.addCleanup(server.stop)
        server.start()
        client = RawClient(server.port, "v4", "ann")
        self.addCleanup(client.close)
        subscribe = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",), correlation_id="1")
        client.say(subscribe)
        self.assertEqual([message.action for message in client.hear()], [EventAction.MESSAGE_DENIED])
        put_back.touch()
        client.say(subscribe)
        (answer,) = client.hear()
        self.assertEqual((answer.action, answer.is_ack), (EventAction.SUBSCRIBE, True))
        # Without its timers, the server would not close the connection for an hour.
        self.assertRaises(ConnectionError, client.hear)

    def test_leases(self) -> None:
        """
        The nodes of a cluster go on to renew their leases, and to notice that one of them has died.
        """
        put_back = scratch_directory() / "put back"
        nodes = Nodes(
            more="\ncluster: {leaseTime: 6000, leaseInterval: 200}\n", before=SLOW.format(hour=HOUR, file=str(put_back))
        )
        self.addCleanup(nodes.kill)
        nodes.start()
        ann, bob, cat = nodes.servers
        put_back.touch()
        # The lease of cat ends later than that of a node that stopped to renew it at the touch.
        cat.kill()
        for server in (ann, bob):
            server.wait_for_line("is dead")
        dead = [line.partition("CLUSTER | node ")[2] for line in nodes.log.splitlines() if "is dead" in line]
        self.assertEqual([name.partition("-")[0] for name in dead], ["cat", "cat"])
