"""
One connection to a Redis server: commands out, answers in, in one order.

L{txredisapi.HiredisProtocol} reads the answers. Its own queue makes a Deferred for each command, and a list for each
word, which costs more than the rest of a call. So this class has a queue of L{Call}s, and C{hiredis} packs the words.
txredisapi's methods for single commands, such as C{role}, work on this queue as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from hiredis import Reader
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from txredisapi import HiredisProtocol

from dstwist.redis.call import Call, pack
from dstwist.redis.errors import TOO_LARGE, InvalidAnswer, RedisReplyError
from dstwist.redis.interface import Word


class RedisProtocol(HiredisProtocol):  # type: ignore[misc]
    """
    A connection.

    @param answered: called with each call and its answer; a L{RedisReplyError} stands for an error.
    @param ended: called when the connection has ended. C{unanswered} has the calls whose answers did not come.
    @param max_reply_bytes: an answer with more bytes ends the connection. It stands as an error (L{TOO_LARGE}) for the
        call.
    @ivar unanswered: the calls that were sent, in their order.
    @ivar heard: set whenever bytes have come, and when the first call was sent that waits for an answer.
    @ivar paused: whether bytes are left in the socket for now.
    """

    transport: Any

    def __init__(
        self,
        answered: Callable[[Call, Any], None],
        ended: Callable[[RedisProtocol, Failure], None],
        clock: IReactorTime,
        max_reply_bytes: int,
    ) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self._reader = Reader(protocolError=InvalidAnswer, replyError=RedisReplyError)
        self._answered = answered
        self._ended = ended
        self._call_later = clock.callLater
        self._max_reply_bytes = max_reply_bytes
        self.unanswered: deque[Call] = deque()
        self.heard = True
        self.paused = False
        self._unwritten: list[bytes] = []
        # Whether bytes may wait in the transport, behind which others have to wait.
        self._queued = False
        self._write_directly: Callable[[bytes], Any] | None = None
        # The bytes that have come since the last whole answer.
        self._partial = 0
        self._error: Exception | None = None
        self._over = False

    def connectionMade(self) -> None:
        # The base class logs in here, by its own factory. L{dstwist.redis.greeting} does it.
        self.connected = 1
        if isinstance(self.transport, Connection):
            # A plain socket. This saves a turn of the reactor, and two calls of the system.
            self._write_directly = self.transport.writeSomeData
        no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if no_delay is not None:
            # The bytes of a turn must not wait until Redis has confirmed those of the last one.
            no_delay(True)

    # -- out

    def send(self, call: Call) -> None:
        """
        Send a call at the end of this turn.
        """
        if not self._unwritten:
            self._call_later(0, self._flush)
            if not self.unanswered:
                # All that was sent is answered, so nothing of it is queued.
                self.heard, self._queued = True, False
        self._unwritten.append(call.data)
        self.unanswered.append(call)

    def ask(self, *words: Word) -> Deferred[Any]:
        """
        Send a command of the link itself.

        @return: the answer; a L{RedisReplyError} stands for an error.
        """
        answer: Deferred[Any] = Deferred()
        self.send(Call(None, pack(words), _fire, answer, own=True))
        return answer

    def execute_command(self, *words: Word, **options: Any) -> Deferred[Any]:
        return self.ask(*words)

    def _flush(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        if self._over:
            return
        if self._write_directly is None or self._queued:
            self.transport.writeSequence(unwritten)
            return
        data = b"".join(unwritten) if len(unwritten) > 1 else unwritten[0]
        sent = self._write_directly(data)
        if sent == len(data):
            return
        # The rest, or all of it. If the connection is lost, this write finds out.
        self._queued = True
        self.transport.write(data[sent:] if isinstance(sent, int) else data)

    # -- in

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        if self._over:
            return
        self.heard = True
        partial = self._partial + len(data)
        reader, unanswered, answered = self._reader, self.unanswered, self._answered
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not False:
                partial = len(data)
                if not unanswered:
                    if not self.connected:
                        # An answer before has ended the connection.
                        return
                    raise InvalidAnswer("there was an answer without a question")
                answered(unanswered.popleft(), reply)
        except InvalidAnswer as error:
            self.give_up(InvalidAnswer(f"this is no answer of Redis: {error}"))
            return
        self._partial = partial if reader.has_data() else 0
        if self._partial > self._max_reply_bytes:
            problem = f"an answer has more than {self._max_reply_bytes} bytes (maxReplyBytes)"
            call = unanswered.popleft() if unanswered else None
            self.give_up(InvalidAnswer(problem))
            if call is not None:
                answered(call, RedisReplyError(f"{TOO_LARGE} {problem}"))

    def pause(self, paused: bool) -> None:
        """
        Read no bytes for now, or go on.
        """
        self.paused = paused
        if not self._over:
            if paused:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()

    # -- the end

    def give_up(self, reason: Exception) -> None:
        """
        End the connection now, and take in no more answers.
        """
        if not self._over:
            self._over = True
            self._error = reason
            self.transport.abortConnection()

    def connectionLost(self, why: Failure) -> None:
        # The base class would answer the Deferreds of its own queue.
        self.connected = 0
        self._over = True
        self._write_directly = None
        self._unwritten.clear()
        self._ended(self, why if self._error is None else Failure(self._error))


def _fire(answer: Deferred[Any], error: Exception | None, reply: Any) -> None:
    if not answer.called:
        answer.callback(reply if error is None else error)
