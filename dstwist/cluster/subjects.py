"""
The subjects of the bus, one for each name of a topic.

A subject is the letter of the topic and the name: C{enews} is the subject of the events under C{news}. A payload begins
with the random text of its sender, because a node that publishes under a subject that it has subscribed to gets its own
payloads as well, and drops them.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.cluster.interest import Interest
from dstwist.config.cluster import ClusterSettings
from dstwist.interfaces import IBus
from dstwist.log import Logger

#: The bytes of the text of the sender.
SENDER_BYTES = 16


class Subjects:
    """
    The subjects of one topic.
    """

    def __init__(self, letter: str, bus: IBus, interest: Interest, sender: bytes) -> None:
        self._letter = letter
        self._publish = bus.publish
        self._want = interest.want
        self._unwant = interest.unwant
        self._sender = sender

    def want(self, name: str) -> Deferred[None] | None:
        """
        A client wants C{name}, and none has wanted it before.

        @return: fires when the client may be answered; C{None}: at once.
        """
        return self._want(self._letter + name)

    def unwant(self, name: str) -> None:
        """
        No client wants C{name} any more.
        """
        self._unwant(self._letter + name)

    def publish(self, name: str, payload: bytes) -> None:
        """
        Send C{payload} to all other nodes that want C{name}.
        """
        self._publish(self._letter + name, self._sender + payload)


class AllSubjects:
    """
    The subjects of one node. They share the window of unconfirmed subscriptions.
    """

    _log = Logger()

    def __init__(
        self, bus: IBus, clock: IReactorTime, settings: ClusterSettings, rng: random.Random | None = None
    ) -> None:
        self._bus = bus
        self._interest = Interest(bus, clock, settings, self._received, self._late, rng)
        self._sender = secrets.token_hex(SENDER_BYTES // 2).encode()
        self._callbacks: dict[str, Callable[[str, bytes], object]] = {}
        self._late_callbacks: dict[str, Callable[[str], object]] = {}

    @property
    def unconfirmed(self) -> int:
        """
        How many operations are unconfirmed.
        """
        return self._interest.unconfirmed

    def of_topic(
        self, letter: str, received: Callable[[str, bytes], object], late: Callable[[str], object]
    ) -> Subjects:
        """
        The subjects that begin with C{letter}.

        @param received: called with the name and the payload when another node has published one.
        @param late: called with each name under which payloads may have been missed, when it is in force.
        """
        self._callbacks[letter] = received
        self._late_callbacks[letter] = late
        return Subjects(letter, self._bus, self._interest, self._sender)

    def stop(self) -> None:
        """
        Call nothing any more. The clients that wait are answered.
        """
        self._interest.stop()

    def _received(self, subject: str, payload: bytes) -> None:
        if payload.startswith(self._sender):
            return
        try:
            self._callbacks[subject[0]](subject[1:], payload[SENDER_BYTES:])
        except Exception:
            # The bus carries on.
            self._log.failure("a payload of another node was not handled")

    def _late(self, subject: str) -> None:
        self._late_callbacks[subject[0]](subject[1:])
