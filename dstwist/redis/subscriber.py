"""
Subscriptions to the channels of a Redis, over one connection at a time (L{dstwist.redis.reconnection}).

A connection with subscriptions has no answers in the order of the questions. Redis sends messages and confirmations as
they come, and each confirmation says its channel. So they are matched by the channel, and a channel has one operation
under way at a time::

              subscribe                  room in the window              confirmed
    absent -------------> to be asked for ------------------> asked for ------------> in force
      ^                                                                                  | unsubscribe
      +------- confirmed ------- asked to end <------- room in the window -------- to be ended

At most C{window} operations are unconfirmed, because Redis ends a connection to which it has to send too much at once.
The operations of one turn leave in one command.

Always true: C{received} is called from the confirmation of the start to the confirmation of the end. When the
connection is lost, all channels are absent.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from dstwist.config.redis import RedisConnectionSettings
from dstwist.errors import StoreError
from dstwist.log import Logger
from dstwist.redis.call import Call, pack
from dstwist.redis.errors import InvalidAnswer, RedisReplyError
from dstwist.redis.interface import ServerIdentity
from dstwist.redis.primary import Primary
from dstwist.redis.protocol import RedisProtocol
from dstwist.redis.reconnection import Callbacks, Reconnection

Received = Callable[[bytes], object]

#: The advice if Redis refuses a channel.
RIGHTS = "the user needs +publish, +subscribe, +unsubscribe, and the channels that begin with the channelPrefix"

_SUBSCRIBE = b"subscribe"
_UNSUBSCRIBE = b"unsubscribe"


class SubscriberProtocol(RedisProtocol):
    """
    A connection that takes commands and answers until L{push} is called.
    """

    _pushed: Callable[[Any], None] | None = None

    def push(self, pushed: Callable[[Any], None]) -> None:
        """
        From now on call C{pushed} with all that comes.
        """
        self._pushed = pushed

    def write(self, *words: bytes) -> None:
        """
        Send a command that has no answer of its own.
        """
        self.transport.write(pack(words))

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        pushed = self._pushed
        if pushed is None:
            super().dataReceived(data, unpause)
            return
        if self._over:
            return
        self.heard = True
        partial = self._partial + len(data)
        reader = self._reader
        reader.feed(data)
        try:
            while (found := reader.gets()) is not False:
                partial = len(data)
                pushed(found)
                if self._has_ended():
                    return
        except InvalidAnswer as error:
            self.give_up(InvalidAnswer(f"this is no message of Redis: {error}"))
            return
        self._partial = partial if reader.has_data() else 0
        if self._partial > self._max_reply_bytes:
            self.give_up(InvalidAnswer(f"a message has more than {self._max_reply_bytes} bytes (maxReplyBytes)"))

    def _has_ended(self) -> bool:
        return self._over


class _Operation(NamedTuple):
    """
    An operation that is not confirmed.

    @ivar kind: subscribe or unsubscribe.
    @ivar confirmed: fires when it is.
    """

    kind: bytes
    received: Received
    confirmed: Deferred[None]


class Subscriber:
    """
    The subscriptions. For the other parameters see L{RedisLink<dstwist.redis.link.RedisLink>}.

    @param window: how many operations may be unconfirmed.
    """

    _log = Logger()

    def __init__(
        self,
        settings: RedisConnectionSettings,
        reactor: Any,
        client_name: str,
        primary: Primary,
        window: int,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._reactor = reactor
        self._window = window
        callbacks = Callbacks(self._answered, self._ready, self._lost)
        self._reconnection = Reconnection(
            settings, client_name, reactor, primary, callbacks, jitter, SubscriberProtocol, "other nodes are not heard"
        )
        self._connection: SubscriberProtocol | None = None
        self._on_ready: Callable[[], object] = _nothing
        self._on_lost: Callable[[str], object] = _nothing
        # By the channel. A channel that is to be ended is in both.
        self._received: dict[bytes, Received] = {}
        self._operations: dict[bytes, _Operation] = {}
        # The channels whose operations wait for room in the window.
        self._queue: deque[bytes] = deque()
        self._unconfirmed = 0
        self._flushes = False

    def observe(self, ready: Callable[[], object], lost: Callable[[str], object]) -> None:
        """
        Call C{ready} and C{lost}, with the reason, in turns, when there is a connection and when it is lost. Called
        before the start.
        """
        self._on_ready = ready
        self._on_lost = lost

    # -- the connection

    def start(self) -> Deferred[None]:
        """
        Connect: see L{IRedis.start<dstwist.redis.interface.IRedis.start>}.
        """
        return self._reconnection.start()

    def stop(self) -> Deferred[None]:
        """
        End the connection. Nothing is called after that.
        """
        self._forget()
        return self._reconnection.stop()

    def give_up(self, reason: str) -> None:
        """
        End the connection, and make another one.
        """
        if self._connection is not None:
            self._connection.give_up(StoreError(reason))

    def take_heard(self) -> bool:
        """
        Whether bytes have come since the last time.
        """
        connection = self._connection
        if connection is None:
            return False
        heard, connection.heard = connection.heard, False
        return heard

    def text(self, problem: str) -> str:
        """
        A problem, with the server that has it.
        """
        return self._reconnection.text(problem)

    def _answered(self, call: Call, reply: Any) -> None:
        call.done(call.argument, None, reply)

    def _ready(self, connection: RedisProtocol, server: ServerIdentity) -> None:
        assert isinstance(connection, SubscriberProtocol)
        self._connection = connection
        connection.push(self._pushed)
        self._on_ready()

    def _lost(self, unanswered: Sequence[Call], reason: str) -> None:
        for call in unanswered:
            call.done(call.argument, StoreError(reason), None)
        was_ready = self._connection is not None
        self._forget()
        if was_ready:
            self._on_lost(reason)

    def _forget(self) -> None:
        self._connection = None
        self._received.clear()
        self._operations.clear()
        self._queue.clear()
        self._unconfirmed = 0

    # -- operations

    @property
    def unconfirmed(self) -> int:
        """
        How many operations are not confirmed, whether they are asked for or not.
        """
        return len(self._operations)

    def subscribe(self, channel: bytes, received: Received) -> Deferred[None]:
        """
        Call C{received} with each message of a channel that is absent.

        @return: fires when the subscription is in force. If the connection is lost before that, it never fires.
        """
        if channel in self._received:
            raise ValueError("the channel has a subscription")
        return self._operate(channel, _SUBSCRIBE, received)

    def unsubscribe(self, channel: bytes) -> Deferred[None]:
        """
        End a subscription that is in force.

        @return: fires when it has ended. If the connection is lost before that, it never fires.
        """
        return self._operate(channel, _UNSUBSCRIBE, self._received[channel])

    def _operate(self, channel: bytes, kind: bytes, received: Received) -> Deferred[None]:
        if channel in self._operations:
            raise ValueError("the channel has an operation under way")
        confirmed: Deferred[None] = Deferred()
        if self._connection is not None:
            self._operations[channel] = _Operation(kind, received, confirmed)
            self._queue.append(channel)
            self._flush_later()
        return confirmed

    def _flush_later(self) -> None:
        if not self._flushes:
            self._flushes = True
            self._reactor.callLater(0, self._flush)

    def _flush(self) -> None:
        self._flushes = False
        if self._connection is None:
            return
        words: dict[bytes, list[bytes]] = {_SUBSCRIBE: [], _UNSUBSCRIBE: []}
        while self._queue and self._unconfirmed < self._window:
            channel = self._queue.popleft()
            self._unconfirmed += 1
            words[self._operations[channel].kind].append(channel)
        for kind, channels in words.items():
            if channels:
                self._connection.write(kind, *channels)

    # -- all that comes

    def _pushed(self, found: Any) -> None:
        if type(found) is list and len(found) == 3:
            kind, channel, value = found
            if kind == b"message" and type(channel) is bytes:
                received = self._received.get(channel)
                if received is not None:
                    try:
                        received(value)
                    except Exception:
                        self._log.failure("a message of another node was not taken in")
                return
            operation = self._operations.get(channel) if type(channel) is bytes else None
            if operation is not None and operation.kind == kind:
                self._confirmed(channel, operation)
                return
        if isinstance(found, RedisReplyError):
            text = str(found).partition(", with args")[0]
            advice = f"; {RIGHTS}" if found.code == "NOPERM" else ""
            self.give_up(f"it refuses a subscription: {text!r}{advice}")
            return
        raise InvalidAnswer("nothing like this was asked for")

    def _confirmed(self, channel: bytes, operation: _Operation) -> None:
        del self._operations[channel]
        self._unconfirmed -= 1
        if operation.kind == _SUBSCRIBE:
            self._received[channel] = operation.received
        else:
            del self._received[channel]
        if self._queue:
            self._flush_later()
        operation.confirmed.callback(None)


def _nothing(*arguments: Any) -> None:
    pass
