"""
Checks the grants of clients again, after new rules have come into force.

A grant is something that a client requested and keeps: a subscription, a provided procedure, a listener. The permission
is asked when the client requests it, and not for each message that is delivered later. Without a recheck, a subscriber
that the new rules deny would still receive messages. A L{Recheck} goes through all grants, asks the permission about
each as if it were requested now, and revokes those that are denied:

======================  ============================  =================================================================
grant                   checked as                    the client receives MESSAGE_DENIED of
======================  ============================  =================================================================
events                  SUBSCRIBE                     SUBSCRIBE
records                 READ                          SUBSCRIBECREATEANDREAD
procedures              PROVIDE                       PROVIDE
one user's presence     SUBSCRIBE                     SUBSCRIBE
all users' presence     SUBSCRIBE_ALL                 SUBSCRIBE_ALL
listeners               LISTEN                        LISTEN
names that a listener   LISTEN, with that name        nothing; SUBSCRIPTION_FOR_PATTERN_REMOVED for names it provided
is offered or provides
======================  ============================  =================================================================

L{dstwist.services.topics} makes a L{GrantType} for each line. A rule that fails denies.

Always true: a run takes at most a time slice of each turn (L{dstwist.scheduling.time_slices}), and at most
L{MAX_WAITING_CHECKS} of its checks wait for data. Grants that are requested during a run are not checked by it, because
the new rules have decided about them already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.interfaces import IPermission, IRequester, IRevocable, Work
from dstwist.log import Logger
from dstwist.permission.denials import Denials
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import TimeSlices
from dstwist.scheduling.turns import Turns

#: The most checks that wait for the data that their rules need.
MAX_WAITING_CHECKS = 100


@dataclass(frozen=True)
class GrantType:
    """
    A kind of grant.

    @ivar registry: the grants of this kind.
    @ivar checked_as: the action that the permission is asked about.
    @ivar denied_as: the action that the client is told is denied; C{None} if the client is told nothing here.
    @ivar named: whether a grant has a name.
    """

    registry: IRevocable
    topic: Topic
    checked_as: IntEnum
    denied_as: IntEnum | None
    named: bool = True

    def request(self, name: str) -> Message:
        return Message(self.topic, self.checked_as, name if self.named else None)

    def denial(self, name: str) -> Message:
        """
        The message for a client that loses the grant for C{name}.
        """
        return Message(
            self.topic,
            ACTIONS[self.topic]["MESSAGE_DENIED"],
            name if self.named else None,
            original_action=self.denied_as,
            is_error=True,
        )


class Recheck:
    """
    Checks all grants, whenever L{run} is called.
    """

    def __init__(self, permission: IPermission, grant_types: Sequence[GrantType], clock: IReactorTime) -> None:
        self._permission = permission
        self._grant_types = grant_types
        self._clock = clock
        self._run: _Run | None = None

    def run(self) -> None:
        """
        Begin in a later turn. The new run checks all grants, so an earlier run that has not finished is stopped.
        """
        self.stop()
        self._run = _Run(self._permission, self._grant_types, self._clock)

    def stop(self) -> None:
        """
        End the run.
        """
        if self._run is not None:
            self._run.stop()
            self._run = None


class _Run:
    """
    One run through all grants.
    """

    _log = Logger()

    def __init__(self, permission: IPermission, grant_types: Sequence[GrantType], clock: IReactorTime) -> None:
        self._allows = permission.allows
        self._denials = Denials(permission)
        self._grant_types = grant_types
        self._turns = Turns.of(clock)
        self._stopped = False
        self._checked = self._ended = self._failed = 0
        self._waiting = 0
        self._wanted = 0
        self._room: Deferred[None] | None = None
        self._time_slices = TimeSlices(clock)
        self._time_slices.do(self._check_all())

    def stop(self) -> None:
        self._stopped = True
        self._time_slices.stop()

    def _check_all(self) -> Work:
        try:
            # The answer to the reload comes first.
            yield self._turns.next()
            for grant_type in self._grant_types:
                for connection in list(grant_type.registry.connections()):
                    for name in grant_type.registry.names_of(connection):
                        self._check(grant_type, name, connection)
                        yield self._until(MAX_WAITING_CHECKS - 1) if self._waiting >= MAX_WAITING_CHECKS else None
            if self._waiting:
                yield self._until(0)
            self._say()
        except Exception:
            self._broke(Failure())

    def _until(self, waiting: int) -> Deferred[None]:
        """
        Fires when at most C{waiting} checks wait.
        """
        self._wanted = waiting
        self._room = Deferred()
        return self._room

    def _check(self, grant_type: GrantType, name: str, connection: IRequester) -> None:
        # The connection may have closed, or may have ended the grant, since the names were listed.
        if connection.closed or not grant_type.registry.holds(name, connection):
            return
        self._checked += 1
        decision = self._allows(grant_type.request(name), connection)
        if isinstance(decision, Deferred):
            self._waiting += 1
            decision.addBoth(self._decided, grant_type, name, connection)
            decision.addErrback(self._broke)
        elif decision is not True:
            self._denials.tell(decision, grant_type.request(name), connection)
            self._end(grant_type, name, connection)

    def _decided(self, decision: bool | Failure, grant_type: GrantType, name: str, connection: IRequester) -> None:
        if self._stopped:
            return
        self._waiting -= 1
        try:
            if decision is not True:
                self._failed += isinstance(decision, Failure)
                self._denials.tell(decision, grant_type.request(name), connection)
                self._end(grant_type, name, connection)
        finally:
            if self._room is not None and self._waiting <= self._wanted:
                room, self._room = self._room, None
                room.callback(None)

    def _end(self, grant_type: GrantType, name: str, connection: IRequester) -> None:
        if grant_type.registry.revoke(name, connection):
            self._ended += 1
            if grant_type.denied_as is not None:
                connection.send(grant_type.denial(name))

    def _say(self) -> None:
        self._log.info(
            "RELOAD | permission: {checked} subscriptions checked by the new rules, {ended} ended, {failed} of them "
            "because their rule failed",
            checked=self._checked,
            ended=self._ended,
            failed=self._failed,
            event="RELOAD",
        )

    def _broke(self, failure: Failure) -> None:
        if not self._stopped:
            self._log.failure("RELOAD | the check of subscriptions by the new rules broke off", failure, event="RELOAD")
