"""
Many outboxes whose clients read little, beside a model: what each client gets, byte by byte.

A seed gives a history: events for the subscribers of a few names, answers, clients that come, leave, subscribe, are
muted, watched, and stop reading for a while. The limits are low, so that some clients are closed as too slow.

Always true of each client: it has got the first bytes of all that it has to get. If it was closed, it has got whole
frames without a gap, then the reason. At the end, each client that reads has all, and no byte is counted any more.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.outgoing_bytes import LARGE_FRAME_BYTES, OutgoingBytes
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing import fan_out as fan_out_module
from dstwist.routing import shared_frames
from dstwist.routing.fan_out import FanOut
from dstwist.transports import outbox as outbox_module
from dstwist.transports.outbox_group import EagerOutbox, OutboxGroup
from dstwist.transports.tcp_outbox import outbox_for
from dstwist.transports.watched_outbox import unwatch, watch
from tests.fakes import FakeConnection, FakeWire
from tests.transports.helpers import Idle, PushTransport, tcp

NAMES = ("a", "b", "c", "d")
REASON = b"<too slow>"
NO_LIMIT = 1 << 30
PAUSE = 0.01
HISTORIES = 60
TURNS = 25


class TaggedWire(FakeWire):
    """
    A wire whose frames tell that they are of this wire.
    """

    def __init__(self, tag: bytes) -> None:
        super().__init__()
        self._tag = tag

    def encode(self, message: Message) -> Any:
        data: Any = message.data
        return b"<%s %s>" % (self._tag, data)


class ModelClient(FakeConnection):
    """
    A client, and what it has to get.

    @ivar due: all that it has to get, in order.
    @ivar ends: the places in C{due} at which a frame ends.
    @ivar got: what it has got.
    @ivar closed_slow: the server has closed it.
    @ivar gone: it has left.
    @ivar reads: whether it reads.
    """

    def __init__(self, history: History, wire: FakeWire, group: OutboxGroup, limit: int, eager: int) -> None:
        super().__init__(wire=wire)
        self._history = history
        self.transport: Any = history.random.choice((tcp(history.reactor, Idle()), PushTransport()))
        # A lost transport drops its socket.
        self._sink = self.transport if isinstance(self.transport, PushTransport) else self.transport.socket
        self.inner = outbox_for(self.transport, group, limit, self._too_slow)
        self.outbox: Any = EagerOutbox(self.inner, group, eager) if eager else self.inner
        self.write = self.outbox.write  # type: ignore[method-assign]
        self.due, self.got = bytearray(), bytearray()
        self.ends = {0}
        self.closed_slow = self.gone = False
        self.reads = True

    @property
    def is_open(self) -> bool:
        return not self.closed_slow and not self.gone

    def _too_slow(self) -> None:
        self.closed_slow = True
        self._history.unsubscribe_all(self)
        self.inner.send(REASON)
        self.inner.shut()

    def expect(self, frame: bytes) -> None:
        if self.is_open:
            self.due += frame
            self.ends.add(len(self.due))

    def read(self, random: Random) -> None:
        """
        Read what has come, and perhaps make room for more.
        """
        if isinstance(self.transport, PushTransport):
            self.got += self._sink.take()
            self.transport.high = NO_LIMIT if self.reads else random.choice((0, 40, 300))
            if self.inner._stalled and (self.reads or random.random() < 0.2):
                self.inner.resumeProducing()
            return
        if self.reads:
            self._sink.room = None
        elif random.random() < 0.3:
            self._sink.room = random.choice((0, 1, 7, 50, 300))
        if self.transport in self._history.reactor.writers:
            self.transport.doWrite()
        self.got += self._sink.take()

    def problem(self) -> str:
        """
        How its bytes differ from those that it has to get.
        """
        got = bytes(self.got)
        if self.closed_slow:
            frames, reason, _ = got.partition(REASON)
            if reason:
                if len(frames) not in self.ends:
                    return f"not the first frames of what is due before the reason: {frames[-100:]!r}"
                if not got.endswith(REASON):
                    return f"more after the reason: {got[-100:]!r}"
            else:
                # The reason may have left in part.
                start = next((size for size in range(len(REASON), 0, -1) if got.endswith(REASON[:size])), 0)
                frames = got if self.due.startswith(got) else got[: len(got) - start]
            got = frames
        return "" if self.due.startswith(got) else f"not the first bytes of what is due: {got[-100:]!r}"


class History:
    """
    One history.
    """

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.reactor = MemoryReactorClock()
        self.outgoing = OutgoingBytes(
            self.reactor, random.choice((NO_LIMIT, 500, 5000)), random.choice((NO_LIMIT, NO_LIMIT, 3000))
        )
        self._groups = [OutboxGroup(self.reactor, pause, self.outgoing) for pause in (0.0, PAUSE)]
        self._fan_out = FanOut(self.outgoing, Topic.EVENT)
        self._wires = [TaggedWire(b"v4"), TaggedWire(b"v3"), TaggedWire(b"json")]
        self._limit = random.choice((NO_LIMIT, 300, 2000))
        self._subscribers: dict[str, dict[ModelClient, None]] = {name: {} for name in NAMES}
        self._muted: set[tuple[str, ModelClient]] = set()
        self._leaving: list[ModelClient] = []
        self._serial = 0
        self.clients: list[ModelClient] = []
        for _ in range(random.randint(4, 14)):
            self._come()

    def unsubscribe_all(self, client: ModelClient) -> None:
        for name in NAMES:
            if client in self._subscribers[name]:
                self._toggle(name, client)

    def turn(self) -> None:
        """
        What comes in one turn, and its end.
        """
        for _ in range(self.random.choice((1, 3, 10, 40))):
            self._do_something()
        self.reactor.advance(self.random.choice((0, 0, PAUSE)))
        for client in self._leaving:
            self.unsubscribe_all(client)
        self._leaving.clear()
        self._read()

    def end(self) -> None:
        """
        All clients read all.
        """
        for client in self.clients:
            client.reads = True
        for _ in range(10):
            self.reactor.advance(PAUSE)
            self._read()

    def _read(self) -> None:
        for client in self.clients:
            client.read(self.random)

    def _frame(self) -> bytes:
        self._serial += 1
        return b"%d%s" % (self._serial, b"." * self.random.randint(0, 30))

    def _do_something(self) -> None:
        random = self.random
        is_open = [client for client in self.clients if client.is_open]
        kind = random.random()
        if kind < 0.02 or not is_open:
            self._come()
            return
        client, name = random.choice(is_open), random.choice(("a", *NAMES))
        if kind < 0.57:
            large = b"x" * LARGE_FRAME_BYTES if random.random() < 0.01 else b""
            left_out = random.choice((None, client))
            for _ in range(random.choice((1, 1, 2, 5, 30))):
                self._publish(name, self._frame() + large, left_out)
        elif kind < 0.72:
            self._toggle(name, client)
        elif kind < 0.75:
            for each in is_open:
                if each not in self._subscribers[name]:
                    self._toggle(name, each)
        elif kind < 0.87:
            frame = b"<answer %s>" % self._frame()
            client.expect(frame)
            (client.inner.send if random.random() < 0.2 else client.outbox.answer)(frame)
        elif kind < 0.89 and client in self._subscribers[name]:
            self._mute(name, client)
        elif kind < 0.9:
            client.outbox.flush()
        elif kind < 0.91 and len(is_open) > 3:
            client.gone = True
            client.inner.close()
            self._leaving.append(client)
        elif kind < 0.93:
            client.reads = not client.reads
        elif kind < 0.94:
            if random.random() < 0.5:
                watch(client.inner, lambda frames: None)
            else:
                unwatch(client.inner)

    def _come(self) -> None:
        random = self.random
        number = random.randrange(2)
        eager = random.choice((0, 50, 1000)) if number else 0
        (wire,) = random.choices(self._wires, (6, 2, 1))
        self.clients.append(ModelClient(self, wire, self._groups[number], self._limit, eager))

    def _toggle(self, name: str, client: ModelClient) -> None:
        subscribers = self._subscribers[name]
        if client in subscribers:
            del subscribers[client]
            self._muted.discard((name, client))
            self._fan_out.remove(name, client)
        else:
            subscribers[client] = None
            self._fan_out.add(name, client)

    def _mute(self, name: str, client: ModelClient) -> None:
        if (name, client) in self._muted:
            self._muted.discard((name, client))
            self._fan_out.unmute(name, client)
        else:
            self._muted.add((name, client))
            self._fan_out.mute(name, client)

    def _publish(self, name: str, data: bytes, left_out: ModelClient | None) -> None:
        message = Message(Topic.EVENT, EventAction.EMIT, name, data)
        for client in self._subscribers[name]:
            if client is not left_out and (name, client) not in self._muted:
                client.expect(client.wire.encode(message))
        self._fan_out.publish(message, left_out)


class HistoryTests(SynchronousTestCase):
    """
    Histories of outboxes.
    """

    def test_histories(self) -> None:
        """
        Each client gets all that it has to get, in order, until it leaves or is too slow.
        """
        # So that frames are shared, and answers are sent early, in histories of a few clients.
        self.patch(fan_out_module, "SHARED_FROM", 2)
        for name, value in (("_STEADY", 2), ("_PATIENCE", 1), ("_REST", 1), ("_FEW", 2), ("_MANY", 4)):
            self.patch(shared_frames, name, value)
        self.patch(outbox_module, "MAX_WAITING_ANSWER_BYTES", 100)
        closed = 0
        for seed in range(HISTORIES):
            history = History(seed)
            for number in range(TURNS):
                history.turn()
                self._check(history, f"seed {seed}, turn {number}")
            history.end()
            self._check(history, f"seed {seed}, end")
            for client in history.clients:
                self.assertEqual(client.inner.counted, 0)
                if client.is_open:
                    self.assertEqual(bytes(client.got), bytes(client.due), f"seed {seed}")
            outgoing = history.outgoing
            self.assertEqual((outgoing.waiting, outgoing.room, outgoing.large), (0, outgoing.limit, False))
            closed += sum(client.closed_slow for client in history.clients)
        self.assertGreater(closed, HISTORIES)

    def _check(self, history: History, where: str) -> None:
        problems = [client.problem() for client in history.clients]
        self.assertEqual([problem for problem in problems if problem], [], where)
