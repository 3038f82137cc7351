"""
Stand-ins for the neighbours of what is tested, each verified against the interface it provides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from enum import IntEnum
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.errors import StoreError, StoreRefusal, StoreUnreachable
from dstwist.interfaces import (
    ANY_VERSION,
    Change,
    Done,
    HandshakeData,
    IAuthenticator,
    ICallbackStore,
    ICodec,
    IConnection,
    IIdentity,
    IKnowingStore,
    ILink,
    IPermission,
    IReplaceableStore,
    IRequester,
    ISharedStore,
    ITopicService,
    IWire,
    Login,
    Record,
    Work,
)
from dstwist.protocol.dialect import PROTOBUF, Dialect
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Malformed, Message
from dstwist.record import NO_RECORD


class BusyClock(Clock):
    """
    A clock on which everything takes time: each look at it takes some. What is called later is called by the first
    L{advance} after that, as a reactor does it in its next turn.

    @ivar tick: how long a look takes, in seconds.
    """

    tick = 0.0

    def seconds(self) -> float:
        self.rightNow += self.tick
        return float(self.rightNow)

    def advance(self, amount: float) -> None:
        self.rightNow += amount
        for call in [call for call in self.calls if call.getTime() <= self.rightNow]:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)


class FakeFrame(Message):
    """
    A message that has a length, as frames do, and is equal to the message it was made of.
    """

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message
        for field in fields(message):
            setattr(self, field.name, getattr(message, field.name))

    def __len__(self) -> int:
        return 10

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and all(
            getattr(self, field.name) == getattr(other, field.name) for field in fields(self) if field.compare
        )

    __hash__ = None  # type: ignore[assignment]


def unframed(frame: Any) -> Any:
    """
    The very message that C{frame} was made of, if it is known.
    """
    return frame.message if isinstance(frame, FakeFrame) else frame


class BusyReactor(BusyClock, MemoryReactorClock):
    """
    A reactor in memory, in which things take time.
    """


@implementer(IWire)
class FakeWire:
    """
    A wire whose frames are the messages themselves; it counts how often it was asked.
    """

    def __init__(self, codec: Any = None, patches_many: bool = False, takes_patches: bool = True) -> None:
        self.codec = codec
        self.patches_many = patches_many
        self.takes_patches = takes_patches
        self.encoded = 0

    def encode(self, message: Message) -> Any:
        self.encoded += 1
        return FakeFrame(message)


@implementer(ICodec)
class FakeCodec:
    """
    A codec of a protocol whose payloads are lists of messages.
    """

    name = "fake"

    def decode(self, payload: Any) -> list[Message | Malformed]:
        return list(payload)

    def pieces(self, payload: Any, size: int) -> list[Any]:
        return [payload]

    def names_apart(self, payload: Any) -> Any:
        return iter(())

    def json_apart(self, payload: Any) -> None:
        return None

    def encode(self, message: Message) -> Any:
        return message


@implementer(IRequester)
class FakeRequester:
    """
    A requester that keeps what it was sent. No fan-out reaches it.

    @ivar turns: whether long work waits for L{turn}.
    """

    def __init__(self, user: str = "ann", dialect: Dialect = PROTOBUF) -> None:
        self.user: str | None = user
        self.client_data: bytes | None = None
        self.server_data: Any = None
        self.address = "192.0.2.1"
        self.path = "/deepstream"
        self.number = 7
        self.node = ""
        self.dialect = dialect
        self.is_server = False
        self.closed = False
        self.reason: str | None = None
        self.paused = False
        self.turns = False
        self.callbacks: list[Callable[[IRequester], None]] = []
        self._taken: list[Any] = []
        self._works: list[Work] = []

    def send(self, message: Message) -> None:
        if not self.closed:
            self._taken.append(message)

    def do(self, work: Work) -> None:
        """
        Do all of it at once, unless a test takes C{turns}: then the first step, and the others by L{turn}.
        """
        for awaited in work:
            if self.closed:
                return
            if awaited is not None and not awaited.called:
                self.paused = True
                awaited.addBoth(lambda _: self._go_on(work))
                return
            if awaited is None and self.turns:
                self._works.append(work)
                return

    def _go_on(self, work: Work) -> None:
        self.paused = False
        if not self.closed:
            self.do(work)

    def turn(self) -> bool:
        """
        Do the next step of the work under way; whether there is more.
        """
        if self._works and not self.closed:
            self.do(self._works.pop())
        return bool(self._works) and not self.closed

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self, reason: str = "gone") -> None:
        self.closed = True
        self.reason = reason
        self._works.clear()
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback(self)

    def on_close(self, callback: Callable[[IRequester], None]) -> None:
        self.callbacks.append(callback)

    def take(self) -> list[Message]:
        """
        What was sent since this was last asked.
        """
        taken, self._taken = self._taken, []
        return [unframed(frame) for frame in taken]


@implementer(IConnection)
class FakeConnection(FakeRequester):
    """
    A connection that keeps what it was sent.
    """

    def __init__(self, user: str = "ann", wire: Any = None, dialect: Dialect = PROTOBUF) -> None:
        super().__init__(user, dialect)
        self.wire = wire or FakeWire()

    def send(self, message: Message) -> None:
        if not self.closed:
            self.write(self.wire.encode(message))

    def write(self, frame: Any) -> None:
        self._taken.append(frame)


@implementer(ILink)
class FakeLink:
    """
    A transport that keeps the frames it was given.
    """

    address = "192.0.2.1"

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.flushed = 0
        self.paused = False
        self.known = False
        self.closed: tuple[int, str] | None = None

    @property
    def outbox(self) -> FakeLink:
        return self

    def write(self, frame: Any) -> None:
        self.frames.append(frame)

    def answer(self, frame: Any) -> None:
        self.write(frame)

    def flush(self) -> None:
        self.flushed += 1

    def logged_in(self) -> None:
        self.known = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def take(self) -> list[Any]:
        """
        What was written since this was last asked.
        """
        frames, self.frames = self.frames, []
        return [unframed(frame) for frame in frames]


class FakeSubjects:
    """
    The subjects of a bus, which come into force when a test says so.

    @ivar calls: what was asked, as C{("want", "name")}.
    @ivar is_lost: whether the bus is away, so that nothing waits for it.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.is_lost = False
        self._waiting: dict[str, list[Deferred[None]]] = {}

    def want(self, name: str) -> Deferred[None] | None:
        self.calls.append(("want", name))
        if self.is_lost:
            return None
        waiting: Deferred[None] = Deferred()
        self._waiting.setdefault(name, []).append(waiting)
        return waiting

    def unwant(self, name: str) -> None:
        self.calls.append(("unwant", name))

    def waiting(self, name: str) -> list[Deferred[None]]:
        """
        The Deferreds that wait for C{name}.
        """
        return self._waiting.get(name, [])

    def confirm(self, *names: str) -> None:
        """
        Have C{names} in force.
        """
        for name in names:
            for waiting in self._waiting.pop(name):
                waiting.callback(None)


@implementer(ITopicService)
class FakeService:
    """
    A topic that keeps what it was asked.

    @ivar then: called after that.
    """

    def __init__(self) -> None:
        self.handled: list[Message] = []
        self.authorizes_itself: frozenset[IntEnum] = frozenset()
        self.then: Callable[[], None] | None = None

    def handle(self, message: Message, sender: IRequester) -> None:
        self.handled.append(message)
        if self.then is not None:
            self.then()


@implementer(IPermission)
class FakePermission:
    """
    Decisions by name; what is not in here is allowed.
    """

    def __init__(self, **decisions: Any) -> None:
        self.decisions = decisions
        self.asked: list[str | None] = []

    def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> bool | Deferred[bool]:
        self.asked.append(message.name)
        decision: bool | Deferred[bool] = self.decisions.get(message.name or "", True)
        return decision


@implementer(IKnowingStore, ISharedStore)
class FakeStore:
    """
    A store that is as slow and as unreliable as a test wants it. Operations on one name take effect in order.

    @ivar records: what it holds. Data is checked never to be changed once it is here.
    @ivar removed: the versions at which records were removed.
    @ivar calls: what was asked, as C{("set", "name", 1)}.
    @ivar asked: the names of each call of C{heads}.
    @ivar delay: how long operations take by its clock; with 0 they are answered at once.
    @ivar outcome: what becomes of them:
        C{ok}; C{fails}: nothing done, and an error; C{refuses}: the same, and the error says so; C{unreachable}: not
        sent, and the error says so; C{lost}: done, and an error; C{hangs}: nothing done, no answer; C{mute}: done, no
        answer.
    @ivar behave: decides on delay and outcome of each operation instead.
    @ivar instant: whether it does without Deferreds what takes no time.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.records: dict[str, Record] = {}
        self.removed: dict[str, int] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.asked: list[list[str]] = []
        self.delay = 0.0
        self.outcome = "ok"
        self.behave: Callable[[str, str], tuple[float, str]] = lambda operation, name: (self.delay, self.outcome)
        self.instant = False
        self._clock = clock or Clock()
        self._busy: dict[str, float] = {}
        self._frozen: dict[str, bytes] = {}

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def known(self, name: str) -> Record | None:
        if not self._is_instant("get", name):
            return None
        self.calls.append(("get", name))
        return self.records.get(name)

    def keep(self, name: str, record: Record) -> bool:
        if not self._is_instant("set", name):
            return False
        self.calls.append(("set", name, record.version))
        self._put(name, record.version, record.data)
        return True

    def lacks(self, name: str) -> bool:
        return self._is_instant("get", name) and name not in self.records and name not in self.removed

    def _is_instant(self, operation: str, name: str) -> bool:
        busy = self._busy.get(name, 0.0) > self._clock.seconds()
        return self.instant and not busy and self.behave(operation, name) == (0.0, "ok")

    def get(self, name: str) -> Deferred[Record | None]:
        return self._do("get", name, lambda: self.records.get(name))

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self._do("set", name, lambda: self._put(name, version, data), version)

    def write(self, name: str, record: Record) -> Deferred[None]:
        return self.set(name, record.version, record.data)

    def delete(self, name: str) -> Deferred[None]:
        def effect() -> None:
            self._check(name)
            self.records.pop(name, None)

        return self._do("delete", name, effect)

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        def effect() -> Record | None:
            found = self.records.get(name, NO_RECORD)
            if found.version != (-1 if expected is None else expected):
                return found
            removed = self.removed.get(name, -1)
            if expected is None and record.version <= removed:
                return Record(removed, None)
            self._put(name, record.version, record.data)
            return None

        return self._do("set", name, effect, record.version)

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        def effect() -> Record | None:
            self._check(name)
            found = self.records.get(name, NO_RECORD)
            if found.version != (-1 if expected is None else expected):
                return found
            if self.records.pop(name, None) is not None:
                self.removed[name] = found.version
            return None

        return self._do("delete", name, effect)

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        names = list(names)
        self.asked.append(names)
        return self._do(
            "heads", "!heads", lambda: {name: self.records.get(name, NO_RECORD).version for name in names}, len(names)
        )

    def fence(self) -> Deferred[None]:
        return succeed(None)

    def put(self, name: str, version: int, data: Any) -> None:
        """
        Have a record without anybody having asked for it.
        """
        self.records[name] = Record(version, data)
        self._frozen[name] = dumps(data)

    def _put(self, name: str, version: int, data: Any) -> None:
        self._check(name)
        self.records[name] = Record(version, data)
        self._frozen[name] = dumps(data)

    def _check(self, name: str) -> None:
        if name in self.records:
            assert dumps(self.records[name].data) == self._frozen[name], f"the data of {name} was changed"

    def _do(self, operation: str, name: str, effect: Callable[[], Any], *details: Any) -> Deferred[Any]:
        self.calls.append((operation, name, *details))
        delay, outcome = self.behave(operation, name)
        answer: Deferred[Any] = Deferred()
        now = self._clock.seconds()
        at = max(now + delay, self._busy.get(name, 0.0))
        if at <= now:
            self._take_effect(outcome, effect, answer)
        else:
            self._busy[name] = at
            self._clock.callLater(at - now, self._take_effect, outcome, effect, answer)
        return answer

    def _take_effect(self, outcome: str, effect: Callable[[], Any], answer: Deferred[Any]) -> None:
        result = effect() if outcome in ("ok", "lost", "mute") else None
        # Whoever gave up waiting is not there any more: what is said then is lost.
        if outcome == "ok":
            answer.callback(result)
        elif outcome in ("fails", "lost"):
            answer.errback(StoreError("out of order"))
        elif outcome == "refuses":
            answer.errback(StoreRefusal("out of order"))
        elif outcome == "unreachable":
            answer.errback(StoreUnreachable("no connection"))


@implementer(ICallbackStore)
class FakeCallbackStore(FakeStore):
    """
    A L{FakeStore} that needs no Deferreds for writes.
    """

    def submit(
        self, name: str, expected: Any, record: Record, changes: Sequence[Change], done: Done, argument: Any
    ) -> None:
        assert expected is not ANY_VERSION
        self.replace(name, expected, record, changes).addCallbacks(
            lambda found: done(argument, None, found), lambda failure: done(argument, failure.value, None)
        )


@implementer(IReplaceableStore)
class FakeReplaceableStore(FakeStore):
    """
    A L{FakeStore} that can go back.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._callbacks: list[Callable[[str | None], object]] = []

    def on_reconnected(self, callback: Callable[[str | None], object]) -> None:
        self._callbacks.append(callback)

    def reconnect(self, reason: str | None = None) -> None:
        """
        It can be used again.
        """
        for callback in self._callbacks:
            callback(reason)

    def replace_by(self, **versions: int) -> None:
        """
        Another server answers from now on, which has these records only, each with its version as C{n}.
        """
        self.records.clear()
        self.removed.clear()
        for name, version in versions.items():
            self.put(name, version, {"n": version})
        self.reconnect("another server")


@implementer(IAuthenticator)
class FakeAuthenticator:
    """
    Gives the decisions it was given, or keeps one waiting.
    """

    def __init__(self, *decisions: Any) -> None:
        self.decisions = list(decisions)
        self.asked: list[Any] = []

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        self.asked.append(credentials)
        decision = self.decisions.pop(0) if self.decisions else Login(True, "ann")
        return decision if isinstance(decision, Deferred) else succeed(decision)


class FakesTests(SynchronousTestCase):
    """
    The stand-ins have the shape of what they stand in for.
    """

    def test_interfaces(self) -> None:
        """
        Each provides its interface.
        """
        verifyObject(IWire, FakeWire())
        verifyObject(ICodec, FakeCodec())
        verifyObject(IRequester, FakeRequester())
        verifyObject(IConnection, FakeConnection())
        verifyObject(ILink, FakeLink())
        verifyObject(ITopicService, FakeService())
        verifyObject(IPermission, FakePermission())
        verifyObject(IKnowingStore, FakeStore())
        verifyObject(ISharedStore, FakeStore())
        verifyObject(ICallbackStore, FakeCallbackStore())
        verifyObject(IReplaceableStore, FakeReplaceableStore())
        verifyObject(IAuthenticator, FakeAuthenticator())
