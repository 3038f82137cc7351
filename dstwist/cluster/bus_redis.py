"""
A bus over the channels of a Redis (PUBLISH, SUBSCRIBE).

==================  =================================================================================================
channel             messages
==================  =================================================================================================
C{p:!sNAME}         the payloads under the subject C{NAME}
C{p:!aADDRESS}      the payloads for the node with C{ADDRESS}
C{p:!pID}           the probes of one bus, which only that bus gets
==================  =================================================================================================

C{p:} is C{channelPrefix}. The bus has two connections: one publishes (L{dstwist.redis.link}), the other subscribes
(L{dstwist.redis.subscriber}). Their states make up that of the bus::

                        the subscribing one is ready,        the probe
            start       and has the bus's own channels       has come back
    lost ---------> connecting --------------------> probing ------------> works
     ^                  ^                               |                    |
     |                  +-------------------------------+--------------------+
     stop                 a payload that was sent is in doubt, the subscribing
                          connection is lost, or a probe does not come back

A probe goes out on one connection and comes back on the other, every C{probe_interval}. So it shows that all of the way
works, also if one connection is half-open or the two have reached servers that do not know each other.

A Redis Cluster is used with plain PUBLISH and SUBSCRIBE, not with the sharded SPUBLISH and SSUBSCRIBE (Redis 7). The
sharded commands send each subject to the server of its slot, so payloads of one sender under two subjects could change
their order, which L{IBus} does not allow; a node would need connections to all servers, and lose subscriptions whenever
a slot moves. With the plain ones a node needs one server for each of its two connections, every server gets all
messages from the others in order, and a confirmation holds for the messages of all of them. The cost is that each
message goes to each server of the Redis Cluster, so more of them do not carry more messages.

Always true: a payload is sent at most once, and in the order of the calls. When the bus is lost, all subscriptions at
Redis end with their connection.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.cluster.outage_buffer import OutageBuffer
from dstwist.config.cluster import ClusterSettings
from dstwist.config.redis import RedisBusSettings
from dstwist.counters.histogram import Histogram
from dstwist.errors import StoreError
from dstwist.interfaces import IBus
from dstwist.log import Logger
from dstwist.redis.any_primary import AnyPrimary
from dstwist.redis.errors import RedisReplyError, TooManyCalls
from dstwist.redis.interface import IRedis
from dstwist.redis.link import RedisLink
from dstwist.redis.primary import FixedPrimary, Primary
from dstwist.redis.sentinel import SentinelPrimary
from dstwist.redis.subscriber import RIGHTS, Received, Subscriber

#: How many times the shorter of the two intervals is looked at.
STEPS = 4

#: How many times C{command_timeout} a probe may take while other messages come, because the node is slow.
SLOW = 3

_NOT_BACK = "messages of this node do not come back"


def make_bus(settings: RedisBusSettings, cluster: ClusterSettings, reactor: Any, client_name: str) -> RedisBus:
    """
    A bus that is not started.

    @param client_name: the name that Redis shows for its connections.
    """

    def primary() -> Primary:
        if settings.nodes:
            return AnyPrimary(settings, reactor)
        return (SentinelPrimary if settings.sentinels else FixedPrimary)(settings, reactor)

    publisher = RedisLink(replace(settings, part="bus, publishing"), reactor, client_name, primary())
    subscribing = replace(settings, part="bus, subscribing")
    subscriber = Subscriber(subscribing, reactor, client_name, primary(), cluster.subscribe_window)
    return RedisBus(publisher, subscriber, settings, cluster, reactor)


@implementer(IBus)
class RedisBus:
    """
    The bus of one node.

    @ivar dropped: how many payloads were not sent, or may not have been.
    @ivar round_trips: how long it took until probes came back.
    """

    _log = Logger()

    def __init__(
        self,
        publisher: IRedis,
        subscriber: Subscriber,
        settings: RedisBusSettings,
        cluster: ClusterSettings,
        clock: IReactorTime,
    ) -> None:
        self.is_lost = True
        self.round_trips = Histogram()
        self._publisher = publisher
        self._submit = publisher.submit
        self._subscriber = subscriber
        self._settings = settings
        self._clock = clock
        prefix = settings.channel_prefix.encode()
        self._subject_prefix = prefix + b"!s"
        self._address_prefix = prefix + b"!a"
        self._probe_channel = prefix + b"!p" + secrets.token_hex(16).encode()
        # The channels that belong to the bus itself.
        self._own: dict[bytes, Received] = {self._probe_channel: self._probed}
        self._kept = OutageBuffer(cluster.outage_buffer, cluster.outage_time, clock)
        self._dropped = 0
        self._observers: list[tuple[Callable[[], object], Callable[[], object]]] = []
        # How often the bus was lost.
        self._losses = 0
        # Why the bus does not work.
        self._problem: str | None = None
        self._started: Deferred[None] | None = None
        self._stopped = False
        # The number of the last probe, and whether it has not come back.
        self._number = 0
        self._is_due = False
        # How long the probe is due, and how long nothing has come meanwhile; how long the last one is back.
        self._wait = self._silence = self._rest = 0.0
        self._probed_at = 0.0
        self._step = min(settings.command_timeout, settings.probe_interval) / STEPS
        self._timer: IDelayedCall | None = None
        subscriber.observe(self._connected, self._lose)

    # -- start and stop

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        started: Deferred[None] = Deferred()
        self._started = started
        try:
            await gatherResults([self._publisher.start(), self._subscriber.start()], consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        await started.addTimeout(self._settings.command_timeout, self._clock, self._not_started)

    def _not_started(self, result: Any, timeout: float) -> Failure:
        problem = self._problem or self._subscriber.text(f"{_NOT_BACK} in time")
        return Failure(StoreError(problem))

    def stop(self) -> Deferred[None]:
        self._stopped = self.is_lost = True
        self._kept.clear()
        self._stop_timer()
        stopped: Deferred[Any] = gatherResults([self._publisher.stop(), self._subscriber.stop()], consumeErrors=True)
        return stopped.addCallback(lambda ignored: None)

    # -- the operations

    @property
    def dropped(self) -> int:
        return self._dropped + self._kept.dropped

    @property
    def unconfirmed(self) -> int:
        """
        How many operations are not confirmed.
        """
        return self._subscriber.unconfirmed

    def publish(self, subject: str, payload: bytes) -> None:
        self._send(self._subject_prefix + _encoded(subject), payload)

    def send(self, address: str, payload: bytes) -> None:
        self._send(self._address_prefix + _encoded(address), payload)

    def subscribe(self, subject: str, received: Received) -> Deferred[None]:
        if self.is_lost:
            return Deferred()
        return self._subscriber.subscribe(self._subject_prefix + _encoded(subject), received)

    def unsubscribe(self, subject: str) -> Deferred[None]:
        if self.is_lost:
            return Deferred()
        return self._subscriber.unsubscribe(self._subject_prefix + _encoded(subject))

    def listen(self, address: str, received: Received) -> None:
        def take(payload: bytes) -> None:
            # Before the probe has come back, the bus is still lost.
            if not self.is_lost:
                received(payload)

        self._own[self._address_prefix + _encoded(address)] = take

    def observe(self, lost: Callable[[], object], back: Callable[[], object]) -> None:
        self._observers.append((lost, back))

    def _send(self, channel: bytes, payload: bytes) -> None:
        if not self.is_lost:
            self._submit(None, ("PUBLISH", channel, payload), self._sent, self._losses)
        elif not self._stopped:
            self._kept.keep(channel, payload)

    def _sent(self, losses: int, error: Exception | None, reply: Any) -> None:
        """
        There is an outcome. An answer of Redis does not say which nodes get the payload.

        @param losses: how often the bus had been lost when the payload was sent.
        """
        if error is None:
            return
        self._dropped += 1
        if self.is_lost or losses != self._losses:
            # This is known. The outcomes of many payloads are spread over turns.
            return
        if isinstance(error, TooManyCalls):
            self._log.warn(
                "CLUSTER | a message to other nodes was not sent: {problem}", problem=str(error), event="CLUSTER"
            )
        else:
            self._lose(_text(error))

    # -- the states

    def _connected(self) -> None:
        """
        There is a subscribing connection.
        """
        self._timer = self._clock.callLater(self._step, self._look)
        self._expect()
        confirmed = [self._subscriber.subscribe(channel, received) for channel, received in self._own.items()]
        gatherResults(confirmed).addCallback(self._listening)

    def _listening(self, ignored: Any) -> None:
        """
        The bus's own channels are in force.
        """
        self._probe()

    def _lose(self, problem: str) -> None:
        """
        The bus does not work. It begins anew with another subscribing connection.
        """
        was_lost, self.is_lost = self.is_lost, True
        self._problem = problem
        self._stop_timer()
        self._subscriber.give_up(problem)
        if not was_lost:
            self._losses += 1
            self._log.error(
                "CLUSTER | the bus is lost, and news of other nodes is late: {problem}",
                problem=problem,
                event="CLUSTER",
            )
            for lost, _ in list(self._observers):
                self._call(lost)

    def _back(self) -> None:
        self.is_lost, self._problem = False, None
        for channel, payload in self._kept.take():
            self._send(channel, payload)
        self._log.info("CLUSTER | the bus works", event="CLUSTER")
        if self._started is not None and not self._started.called:
            self._started.callback(None)
        for _, back in list(self._observers):
            self._call(back)

    def _call(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            self._log.failure("a change of the bus was not taken notice of")

    # -- the probe

    def _expect(self) -> None:
        """
        From now on Redis has to send something.
        """
        self._number += 1
        self._is_due = True
        self._wait = self._silence = 0.0

    def _probe(self) -> None:
        self._expect()
        self._probed_at = self._clock.seconds()
        self._submit(None, ("PUBLISH", self._probe_channel, self._number), self._probe_sent, self._number)

    def _probe_sent(self, number: int, error: Exception | None, reply: Any) -> None:
        if error is None or number != self._number or not self._is_due:
            return
        if not self.is_lost and not isinstance(error, TooManyCalls):
            self._lose(_text(error))
            return
        # The next one is sent in a while.
        self._is_due, self._rest = False, 0.0
        self._problem = _text(error)
        if isinstance(error, RedisReplyError) and self._started is not None and not self._started.called:
            self._started.errback(StoreError(self._problem))

    def _probed(self, payload: bytes) -> None:
        if self._is_due and payload == b"%d" % self._number:
            self._is_due, self._rest = False, 0.0
            self.round_trips.observe(self._clock.seconds() - self._probed_at)
            if self.is_lost:
                self._back()

    def _look(self) -> None:
        # The time is counted in steps: a clock that is set, or a process that was stopped, must not end a connection.
        self._timer = self._clock.callLater(self._step, self._look)
        heard = self._subscriber.take_heard()
        if not self._is_due:
            self._rest += self._step
            if self._rest >= self._settings.probe_interval:
                self._probe()
            return
        self._wait += self._step
        self._silence = 0.0 if heard else self._silence + self._step
        timeout = self._settings.command_timeout
        if self._silence >= timeout or self._wait >= SLOW * timeout:
            self._lose(self._subscriber.text(f"{_NOT_BACK} for {self._wait:g} s"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _encoded(name: str) -> bytes:
    # A name of a client may have half of a pair of surrogates.
    return name.encode("utf-8", "surrogatepass")


def _text(error: Exception) -> str:
    refused = isinstance(error, RedisReplyError) and error.code == "NOPERM"
    return f"{error}; {RIGHTS}" if refused else str(error)
