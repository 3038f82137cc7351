"""
One event to many subscribers: deliveries per second of the server's CPU time, saturated and one event at a time.
"""

from __future__ import annotations

import select
import socket
import time

from bench.sockets import Server, connect, dstwist, say
from dstwist.protocol import protobuf
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import client_frame

MARK = b"~#"
SECONDS = 3.0


def deliveries(server: Server, subscribers: list[socket.socket], publisher: socket.socket, batch: int) -> float:
    """
    Deliveries per CPU-second while never more than eight batches are on their way.
    """
    event = Message(Topic.EVENT, EventAction.EMIT, "bench", b'"%s1.34325"' % MARK)
    burst = client_frame(protobuf.CLIENT.encode(event), 2) * batch
    poll = select.epoll()
    by_number = {client.fileno(): client for client in subscribers}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    window = batch * (8 if batch > 1 else 1)
    sent = received = 0
    start, before = time.monotonic(), server.cpu()
    while time.monotonic() - start < SECONDS:
        while sent * len(subscribers) - received < window * len(subscribers):
            publisher.sendall(burst)
            sent += batch
        for number, _ in poll.poll(1):
            received += by_number[number].recv(1 << 18).count(MARK)
    return received / (server.cpu() - before)


def main() -> None:
    for count in (10, 100, 1000):
        for batch in (50, 1):
            with dstwist() as server:
                subscribers = [connect(server, f"s{index}") for index in range(count)]
                for client in subscribers:
                    say(client, Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("bench",), correlation_id="0"))
                    client.recv(4096)
                rate = deliveries(server, subscribers, connect(server, "publisher"), batch)
                kind = "saturated" if batch > 1 else "one at a time"
                print(f"{count:5} subscribers  {kind:14}{rate:12,.0f} deliveries per CPU-second", flush=True)


if __name__ == "__main__":
    main()
