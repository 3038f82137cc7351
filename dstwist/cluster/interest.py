"""
The subjects of the bus that this node subscribes to, because its clients want them.

The first client that wants a name makes the node subscribe to the subject of the name. When the last client has gone,
the node stays subscribed for some time, because the name may be wanted again (L{dstwist.limits.lingering}). A subject
is in one of these phases::

             want              room in the window          confirmed
    absent --------> queued -----------------------> asked -----------> in force
      ^                ^                                                   | nobody has wanted it for C{linger}
      |                | it is wanted again                                v
      +----------------+------------------ confirmed ------------------ leaving

    the bus is lost: queued, or absent if nobody wants it; it starts again when the bus is back

================  ===========  ==========  ==========  =========================  ==========================
event             absent       queued      asked       in force                   leaving
================  ===========  ==========  ==========  =========================  ==========================
want              queued       no change   no change   no change                  no change
room              --           asked       --          --                         --
confirmed         --           --          in force    --                         absent; queued if wanted
linger is over    --           absent      no change   leaving                    --
bus is lost       --           the phase is queued if the subject is wanted, otherwise absent
================  ===========  ==========  ==========  =========================  ==========================

A client that wants a name is answered when the subject is in force, when the bus is known to be lost, or when
C{subscribeTimeout} is over. If it is answered before the subject is in force, messages may be missed. When the subject
is in force at last, C{late} is called, and the caller compares what it has with the store.

At most C{window} operations are unconfirmed at a time, because some engines end a connection that asks for too much at
once. When the bus is back, nodes wait a random time, and ask first for the subjects that were wanted last.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.config.cluster import ClusterSettings
from dstwist.interfaces import IBus, Work
from dstwist.limits.lingering import LingeringNames
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import TimeSlices


class Phase(Enum):
    """
    The phase of a subject that is not absent.
    """

    QUEUED = "queued"
    ASKED = "asked"
    IN_FORCE = "in force"
    LEAVING = "leaving"


class _Waiter:
    """
    A client that waits until C{subject} is in force.
    """

    __slots__ = ("answered", "subject")

    def __init__(self, subject: _Subject) -> None:
        self.subject = subject
        self.answered: Deferred[None] = Deferred()


class _Subject:
    """
    One subject that is not absent.

    @ivar waiters: the clients that are not answered yet.
    @ivar is_late: a client was answered before the subject was in force.
    """

    __slots__ = ("is_late", "phase", "waiters", "wanted")

    def __init__(self) -> None:
        self.phase = Phase.QUEUED
        self.wanted = True
        self.waiters: list[_Waiter] = []
        self.is_late = False


class Interest:
    """
    The subjects of one node.

    @param received: called with each payload and its subject.
    @param late: called with each subject of which messages may have been missed, when it is in force.
    """

    def __init__(
        self,
        bus: IBus,
        clock: IReactorTime,
        settings: ClusterSettings,
        received: Callable[[str, bytes], object],
        late: Callable[[str], object],
        rng: random.Random | None = None,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._received = received
        self._late = late
        self._random = rng if rng is not None else random.Random()
        # The subject that was wanted last is at the end.
        self._subjects: OrderedDict[str, _Subject] = OrderedDict()
        self._queue: OrderedDict[str, None] = OrderedDict()
        self._unconfirmed = 0
        # Confirmations of before the bus was lost do not count.
        self._connection = 0
        self._is_ready = not bus.is_lost
        # Fires when all subjects are queued or absent after a loss of the bus; C{None}: they are.
        self._resetting: Deferred[None] | None = None
        self._recovery: IDelayedCall | None = None
        self._slices = TimeSlices(clock)
        self._lingering = LingeringNames(settings.linger, clock, self._lingered)
        self._waiting: Deadlines[_Waiter] = Deadlines(settings.subscribe_timeout, clock, self._timed_out)
        bus.observe(self._lost, self._back)

    @property
    def unconfirmed(self) -> int:
        """
        How many operations are unconfirmed.
        """
        return self._unconfirmed

    def phase(self, subject: str) -> Phase | None:
        """
        The phase of C{subject}; C{None}: it is absent.
        """
        found = self._subjects.get(subject)
        return None if found is None else found.phase

    def want(self, subject: str) -> Deferred[None] | None:
        """
        A client wants C{subject}, and none has wanted it before.

        @return: fires when the client may be answered; C{None}: at once.
        """
        found = self._subjects.get(subject)
        if found is None:
            found = self._subjects[subject] = _Subject()
            self._enqueue(subject)
        else:
            found.wanted = True
            self._subjects.move_to_end(subject)
            self._lingering.remove(subject)
            if found.phase is Phase.IN_FORCE:
                return None
        if self._bus.is_lost:
            found.is_late = True
            return None
        waiter = _Waiter(found)
        found.waiters.append(waiter)
        self._waiting.add(waiter)
        return waiter.answered

    def unwant(self, subject: str) -> None:
        """
        No client wants C{subject} any more.
        """
        found = self._subjects.get(subject)
        if found is not None and found.wanted:
            found.wanted = False
            self._lingering.add(subject)

    def stop(self) -> None:
        """
        Call nothing any more. The clients that wait are answered.
        """
        self._connection += 1
        self._is_ready = False
        self._lingering.stop()
        self._waiting.stop()
        self._slices.stop()
        if self._recovery is not None and self._recovery.active():
            self._recovery.cancel()
        for subject in self._subjects.values():
            self._answer(subject)

    # -- operations

    def _enqueue(self, subject: str) -> None:
        self._queue[subject] = None
        self._fill_window()

    def _fill_window(self) -> None:
        while self._is_ready and self._queue and self._unconfirmed < self._settings.subscribe_window:
            subject, _ = self._queue.popitem(last=False)
            self._subjects[subject].phase = Phase.ASKED
            self._unconfirmed += 1
            confirmed = self._bus.subscribe(subject, partial(self._received, subject))
            confirmed.addCallback(self._subscribed, subject, self._connection)

    def _subscribed(self, _: object, name: str, connection: int) -> None:
        if connection != self._connection:
            return
        self._unconfirmed -= 1
        subject = self._subjects[name]
        subject.phase = Phase.IN_FORCE
        if not subject.wanted and name not in self._lingering:
            self._leave(name)
        self._answer(subject)
        if subject.is_late:
            subject.is_late = False
            if subject.wanted:
                self._late(name)
        self._fill_window()

    def _leave(self, name: str) -> None:
        self._subjects[name].phase = Phase.LEAVING
        self._unconfirmed += 1
        self._bus.unsubscribe(name).addCallback(self._unsubscribed, name, self._connection)

    def _unsubscribed(self, _: object, name: str, connection: int) -> None:
        if connection != self._connection:
            return
        self._unconfirmed -= 1
        subject = self._subjects[name]
        if subject.wanted:
            subject.phase = Phase.QUEUED
            self._enqueue(name)
        else:
            del self._subjects[name]
            self._lingering.remove(name)
            self._fill_window()

    # -- times

    def _lingered(self, name: str) -> None:
        subject = self._subjects[name]
        if subject.phase is Phase.QUEUED:
            self._drop(name)
        elif subject.phase is Phase.IN_FORCE and self._resetting is None:
            self._leave(name)

    def _drop(self, name: str) -> None:
        subject = self._subjects.pop(name)
        self._queue.pop(name, None)
        self._lingering.remove(name)
        self._answer(subject)

    def _timed_out(self, waiter: _Waiter) -> None:
        waiter.subject.is_late = True
        waiter.subject.waiters.remove(waiter)
        waiter.answered.callback(None)

    def _answer(self, subject: _Subject) -> None:
        waiters, subject.waiters = subject.waiters, []
        for waiter in waiters:
            self._waiting.remove(waiter)
            waiter.answered.callback(None)

    # -- the bus

    def _lost(self) -> None:
        self._connection += 1
        self._unconfirmed = 0
        self._is_ready = False
        if self._recovery is not None and self._recovery.active():
            self._recovery.cancel()
        self._queue.clear()
        self._resetting = Deferred()
        self._slices.do(self._reset(self._connection))

    def _reset(self, connection: int) -> Work:
        """
        Queue or drop all subjects, and answer the clients that wait for them. They may be very many. A client that
        wants one meanwhile is answered at once in either phase: the bus is lost.
        """
        for name in list(self._subjects):
            subject = self._subjects.get(name)
            if subject is None:
                pass
            elif subject.wanted:
                subject.phase = Phase.QUEUED
                subject.is_late = True
                self._answer(subject)
            else:
                self._drop(name)
            yield None
            if connection != self._connection:
                return
        reset, self._resetting = self._resetting, None
        if reset is not None:
            reset.callback(None)

    def _back(self) -> None:
        delay = self._random.uniform(0, self._settings.recovery_delay) if self._subjects else 0
        self._recovery = self._clock.callLater(delay, self._recover)

    def _recover(self) -> None:
        self._slices.do(self._ask_again(self._connection))

    def _ask_again(self, connection: int) -> Work:
        """
        Ask for all subjects, for those first that were wanted last.
        """
        if connection == self._connection and self._resetting is not None:
            yield self._resetting
        if connection != self._connection:
            # The bus was lost again before this work had its turn.
            return
        self._is_ready = True
        for name in list(reversed(self._subjects)):
            subject = self._subjects.get(name)
            if subject is not None and subject.phase is Phase.QUEUED:
                self._enqueue(name)
            yield None
            if connection != self._connection:
                return
