"""
Record patches: what the service costs by itself, and patches per second of a server's CPU time with one subscriber.
"""

from __future__ import annotations

import itertools
import select
import time
from collections.abc import Callable

from twisted.internet.task import Clock

from bench.sockets import Server, connect, dstwist, say
from dstwist.config.settings import ListenSettings, RecordSettings
from dstwist.permission.open import OpenPermission
from dstwist.protocol import protobuf
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record.service import RecordService
from dstwist.store.memory import MemoryStore
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeConnection
from tests.nodes.client import client_frame

NAME = "player/17"
SECONDS = 4.0
ROUNDS = 100_000


def patch(version: int, acknowledged: bool = False) -> Message:
    """
    A write as the official client sends it.
    """
    message = Message(Topic.RECORD, RecordAction.PATCH, NAME, b"1.5", path="position.x", version=version)
    if acknowledged:
        message.is_write_ack, message.correlation_id = True, "1"
    return message


GET = Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=(NAME,), correlation_id="0")


class Deaf(FakeConnection):
    """
    A connection that costs nothing.
    """

    def write(self, frame: object) -> None:
        pass


class DeafWire:
    """
    A wire that costs nothing.
    """

    codec = None
    takes_patches = True
    patches_many = False

    def encode(self, message: Message) -> str:
        return "frame"


def each(work: Callable[[], object]) -> float:
    """
    Microseconds of CPU time that C{work} takes.
    """
    best = 1e9
    for _ in range(5):
        before = time.process_time()
        for _ in range(ROUNDS):
            work()
        best = min(best, (time.process_time() - before) / ROUNDS)
    return best * 1e6


def service_alone(acknowledged: bool) -> float:
    """
    Microseconds from a decoded patch to a subscriber's C{write}, with a wire that costs nothing.
    """
    subscriptions = SubscriptionRegistry(Topic.RECORD)
    clock = Clock()
    listeners = ListenerRegistry(Topic.RECORD, subscriptions, ListenSettings(), clock)
    settings = RecordSettings()
    tiers = TieredStore(MemoryStore(max_bytes=1 << 30, evict=False), None, settings, clock)
    service = RecordService(subscriptions, listeners, None, OpenPermission(), tiers, settings, clock)
    writer, subscriber = Deaf(wire=DeafWire()), Deaf(wire=DeafWire())
    service.handle(GET, subscriber)
    message = patch(0, acknowledged)
    message.verbatim = None if acknowledged else protobuf.SERVER

    def serve() -> None:
        message.version += 1  # type: ignore[operator]
        service.handle(message, writer)

    return each(serve)


def patches(server: Server, acknowledged: bool) -> float:
    """
    Patches per CPU-second while never more than eight batches are on their way.
    """
    writer, subscriber = connect(server, "writer"), connect(server, "subscriber")
    say(subscriber, GET)
    subscriber.recv(4096)
    poll = select.epoll()
    for client in (writer, subscriber):
        client.setblocking(False)
        poll.register(client.fileno(), select.EPOLLIN)
    mark, batch = NAME.encode(), 100
    versions = itertools.count(1)
    bursts = [
        b"".join(client_frame(protobuf.CLIENT.encode(patch(next(versions), acknowledged)), 2) for _ in range(batch))
        for _ in range(4000)
    ]
    sent = received = 0
    start, before = time.monotonic(), server.cpu()
    while time.monotonic() - start < SECONDS and (sent < len(bursts) or received < sent * batch):
        while sent < len(bursts) and sent * batch - received < batch * 8:
            writer.setblocking(True)
            writer.sendall(bursts[sent])
            writer.setblocking(False)
            sent += 1
        for number, _ in poll.poll(1):
            if number == subscriber.fileno():
                received += subscriber.recv(1 << 18).count(mark)
            else:
                writer.recv(1 << 18)
    return received / (server.cpu() - before)


def main() -> None:
    print(f"service, plain         {service_alone(False):8.2f} us a patch")
    print(f"service, acknowledged  {service_alone(True):8.2f} us a patch")
    plain, acknowledged = patch(1000), patch(1000, True)
    for kind, message in (("plain", plain), ("acknowledged", acknowledged)):
        payload = protobuf.CLIENT.encode(message)
        print(f"decode, {kind:13}  {each(lambda payload=payload: protobuf.SERVER.decode(payload)):8.2f} us")  # type: ignore[misc]
    print(f"encode                 {each(lambda: protobuf.SERVER.encode(plain)):8.2f} us", flush=True)
    for wants_acknowledgement in (False, True):
        with dstwist() as server:
            kind = "acknowledged" if wants_acknowledgement else "plain"
            rate = patches(server, wants_acknowledgement)
            print(f"1 subscriber, {kind:13}{rate:10,.0f} patches per CPU-second", flush=True)


if __name__ == "__main__":
    main()
