"""
One message about a hundred thousand names, and the end of the client that has sent it: how long that takes the server,
and how long another client waits meanwhile for the answer to a PING, at worst.
"""

from __future__ import annotations

import socket
import struct
import threading
import time

from bench.sockets import connect, dstwist, say
from dstwist.protocol import protobuf
from dstwist.protocol.constants import (
    ConnectionAction,
    EventAction,
    PresenceAction,
    RecordAction,
    RpcAction,
    Topic,
)
from dstwist.protocol.message import Message

COUNT = 100_000
NAMES = tuple(f"{number:06}" for number in range(COUNT))
MASK = b"\x00\x00\x00\x00"

PING = Message(Topic.CONNECTION, ConnectionAction.PING)

BULKS = [
    (Topic.EVENT, EventAction.SUBSCRIBE),
    (Topic.EVENT, EventAction.UNSUBSCRIBE),
    (Topic.RPC, RpcAction.PROVIDE),
    (Topic.PRESENCE, PresenceAction.SUBSCRIBE),
    (Topic.PRESENCE, PresenceAction.QUERY),
    (Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD),
    (Topic.RECORD, RecordAction.UNSUBSCRIBE),
    (Topic.RECORD, RecordAction.SUBSCRIBEANDREAD),
    (Topic.RECORD, RecordAction.UNSUBSCRIBE),
    (Topic.RECORD, RecordAction.SUBSCRIBEANDHEAD),
    (Topic.RECORD, RecordAction.UNSUBSCRIBE),
    (Topic.RECORD, RecordAction.SUBSCRIBE),
    (Topic.RECORD, RecordAction.NOTIFY),
]


class Bystander:
    """
    Pings all the time.

    @ivar worst: the longest that an answer took since this was last set to 0, in seconds.
    """

    def __init__(self, link: socket.socket) -> None:
        self.worst = 0.0
        self.answers = 0
        self._link = link
        self._stopped = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            before = time.perf_counter()
            say(self._link, PING)
            self._link.recv(4096)
            self.worst = max(self.worst, time.perf_counter() - before)
            self.answers += 1

    def wait(self) -> None:
        """
        Come back when a PING that is sent now has been answered.
        """
        wanted = self.answers + 2
        while self.answers < wanted:
            time.sleep(0.001)

    def stop(self) -> None:
        self._stopped = True
        self._thread.join()


def long_frame(message: Message) -> bytes:
    """
    A message of up to a megabyte, masked with zeros.
    """
    payload = protobuf.CLIENT.encode(message)
    return b"\x82\xff" + struct.pack("!Q", len(payload)) + MASK + payload


def until_pong(client: socket.socket) -> None:
    """
    Read until the answer to a PING, which stands behind the answers to all that was said before.
    """
    end, tail = protobuf.SERVER.encode(Message(Topic.CONNECTION, ConnectionAction.PONG)), b""
    while not tail.endswith(end):
        tail = (tail + client.recv(1 << 20))[-len(end) :]


def main() -> None:
    with dstwist() as server:
        bystander = Bystander(connect(server, "bystander"))
        client = connect(server, "greedy")
        for topic, action in BULKS:
            frame = long_frame(Message(topic, action, names=NAMES, correlation_id="1"))
            bystander.worst, before = 0.0, server.cpu()
            client.sendall(frame)
            say(client, PING)
            until_pong(client)
            bystander.wait()
            took = server.cpu() - before
            print(
                f"{topic.name + '.' + action.name:30} {COUNT} names: {took:5.2f} s of CPU time (pings included), "
                f"longest wait of another client {bystander.worst * 1000:6.0f} ms"
            )
        bystander.worst = 0.0
        client.close()
        time.sleep(3)
        print(f"{'the end of that client':30} longest wait of another client {bystander.worst * 1000:6.0f} ms")
        bystander.stop()


if __name__ == "__main__":
    main()
