"""
What the tests of authentication share.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from dstwist.interfaces import HandshakeData, IStore, Login, Record

HANDSHAKE = HandshakeData("192.0.2.1", {"user-agent": "x"})


class DirectPool:
    """
    In the place of L{dstwist.auth.hash_pool.HashPool}: does at once what it is asked, and remembers what that was.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> Deferred[None]:
        self.calls.append("stop")
        return succeed(None)

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.asked.append(args)
        return succeed(function(*args))


@implementer(IStore)
class FakeStore:
    """
    A store that holds what it is given, answers when it is told to, and fails if it has something to fail with.

    @ivar holding: keep what is asked in C{pending} instead of answering.
    """

    def __init__(self, **records: Any) -> None:
        self.records: dict[str, Record] = dict(records)
        self.pending: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self.holding = False
        self.error: Exception | None = None
        self.writes: list[str] = []

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def get(self, name: str) -> Deferred[Record | None]:
        return self._answer(lambda: self.records.get(name))

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        self.writes.append(name)
        return self._answer(lambda: self.records.__setitem__(name, Record(version, data)))

    def delete(self, name: str) -> Deferred[None]:
        return self._answer(lambda: self.records.pop(name, None))

    def answer(self) -> None:
        """
        Response the oldest question.
        """
        deferred, act = self.pending.pop(0)
        deferred.callback(act())

    def _answer(self, act: Callable[[], Any]) -> Deferred[Any]:
        if self.error is not None:
            return fail(self.error)
        if not self.holding:
            return succeed(act())
        deferred: Deferred[Any] = Deferred(lambda _: None)
        self.pending.append((deferred, act))
        return deferred


class AuthCase(SynchronousTestCase):
    """
    A test of an authenticator.

    @ivar authenticator: to be set by C{setUp}.
    """

    authenticator: Any

    def login(self, **credentials: Any) -> Login:
        """
        The decision about these credentials, which has to be there at once.
        """
        login: Login = self.successResultOf(self.authenticator.login(HANDSHAKE, credentials))
        return login

    def told(self, login: Login) -> Any:
        """
        The data for the client; C{...} if it gets none.
        """
        return ... if login.client_data is None else json.loads(login.client_data)

    def log(self) -> Log:
        """
        The lines that are logged from now on.
        """
        log = Log()
        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        return log


@implementer(ILogObserver)
class Log:
    """
    Collects log events.
    """

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)

    @property
    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    def holds(self, text: str) -> bool:
        """
        Whether C{text} is anywhere in what was logged, be it only in a field that is not shown.
        """
        return any(text in line for line in self.lines) or any(text in repr(event) for event in self.events)
