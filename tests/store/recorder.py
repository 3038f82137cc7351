"""
A connection to Redis that executes nothing: it keeps the calls, and the test answers them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.redis.interface import Done, IRedis, ServerIdentity, Word
from dstwist.redis.scripts import Script
from dstwist.scheduling.firing import fire

SERVER = ServerIdentity("127.0.0.1:6379", "a" * 40, "b" * 40, 17, "master", "7.0.15")


@implementer(IRedis)
class RecordingRedis:
    """
    Keeps the calls.

    @ivar calls: the words of each call, as texts. A script stands for itself by its name, with its keys and arguments.
    @ivar answers: by the words of a call that are joined by blanks: its answer. Such a call is answered at once.
    @ivar stopped: whether it was stopped.
    @ivar trouble: why no call can be executed at present, if that is so.
    """

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self.on_connected: list[Callable[[ServerIdentity], object]] = []
        self.calls: list[tuple[str, ...]] = []
        self.answers = answers or {}
        self.stopped = False
        self.trouble: str | None = None
        self._open: list[tuple[Done, Any]] = []

    def start(self) -> Deferred[None]:
        self.connect()
        return succeed(None)

    def connect(self, server: ServerIdentity = SERVER) -> None:
        """
        A connection was made.
        """
        for notice in self.on_connected:
            notice(server)

    def stop(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)

    def call(self, key: Word | None, *words: Word) -> Deferred[Any]:
        outcome: Deferred[Any] = Deferred()
        self.submit(key, words, fire, outcome)
        return outcome

    def submit(self, key: Word | None, words: Sequence[Word], done: Done, argument: Any) -> None:
        self._take(words, done, argument)

    def run(self, script: Script, keys: Sequence[Word], arguments: Sequence[Word], done: Done, argument: Any) -> None:
        self._take((script.name, *keys, *arguments), done, argument)

    def fence(self) -> Deferred[None]:
        return succeed(None)

    def problem(self) -> str | None:
        return self.trouble

    def take(self) -> list[tuple[str, ...]]:
        """
        The calls since the last time.
        """
        calls, self.calls = self.calls, []
        return calls

    def answer(self, *answers: Any) -> None:
        """
        Answer the oldest calls; an L{Exception} is a failure.
        """
        for answer in answers:
            done, argument = self._open.pop(0)
            if isinstance(answer, Exception):
                done(argument, answer, None)
            else:
                done(argument, None, answer)

    def _take(self, words: Sequence[Word], done: Done, argument: Any) -> None:
        texts = tuple(word.decode() if isinstance(word, bytes) else str(word) for word in words)
        self.calls.append(texts)
        self._open.append((done, argument))
        if (line := " ".join(texts)) in self.answers:
            self._open.pop()
            answer = self.answers[line]
            if isinstance(answer, Exception):
                done(argument, answer, None)
            else:
                done(argument, None, answer)
