"""
What clients have been permitted to have, judged once more: after new rules have come into force.

Permissions are asked for when something is requested, never for what is delivered later. So a subscriber who would not
be let in any more would go on hearing. A L{Recheck} goes through all that clients have, asks the permission about each
as if it were requested now, and ends what is refused:

======================  ============================  =================================================================
what                    judged as                     the client is told MESSAGE_DENIED of
======================  ============================  =================================================================
events                  SUBSCRIBE                     SUBSCRIBE
records                 READ                          SUBSCRIBECREATEANDREAD
procedures              PROVIDE                       PROVIDE
one user's presence     SUBSCRIBE                     SUBSCRIBE
everybody's presence    SUBSCRIBE_ALL                 SUBSCRIBE_ALL
listeners               LISTEN                        LISTEN
names that a listener   LISTEN, with that name        nothing; SUBSCRIPTION_FOR_PATTERN_REMOVED of what it provided
is offered or provides
======================  ============================  =================================================================

That table is made by L{dstwist.node}: a L{GrantType} for each line. A rule that fails denies.

Always true: a run does no more than L{CHUNK} of them in one turn of the reactor, and none after L{TIME_SLICE}; of those
that wait for data there are never more than L{MAX_WAITING}. What is requested meanwhile is nobody's business here: it
is judged by the new rules already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure

from dstwist.interfaces import IConnection, IPermission, IRevocable
from dstwist.log import Logger
from dstwist.permission.denials import Denials
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.scheduling.time_slices import Turns

#: How many are judged in one turn of the reactor, at most.
CHUNK = 200
#: After how many seconds of a turn no other is judged in it.
TIME_SLICE = 0.005
#: How many may wait for what their rules ask for, at a time.
MAX_WAITING = 100
#: How many failures of rules are told one by one in the log.
MAX_TOLD = 10


@dataclass(frozen=True)
class GrantType:
    """
    One kind of what clients have.

    @ivar asked: the request that it is judged as.
    @ivar told: the request that the client is told is denied; C{None} if it is told nothing here.
    @ivar named: it is about a name.
    """

    registry: IRevocable
    topic: Topic
    asked: IntEnum
    told: IntEnum | None
    named: bool = True

    def request(self, name: str) -> Message:
        return Message(self.topic, self.asked, name if self.named else None)

    def denial(self, name: str) -> Message:
        """
        What the client is told that loses C{name}.
        """
        return Message(
            self.topic,
            ACTIONS[self.topic]["MESSAGE_DENIED"],
            name if self.named else None,
            original_action=self.told,
            is_error=True,
        )


class Recheck:
    """
    Judges again what clients have, whenever it is told to.

    @param clock: an L{twisted.internet.interfaces.IReactorTime}.
    """

    def __init__(self, permission: IPermission, grant_types: Sequence[GrantType], clock: Any) -> None:
        self._permission = permission
        self._grant_types = grant_types
        self._clock = clock
        self._run: _Run | None = None

    def run(self) -> None:
        """
        Begin, in a later turn. A run that is under way ends: this one goes through all of it.
        """
        self.stop()
        self._run = _Run(self._permission, self._grant_types, self._clock)

    def stop(self) -> None:
        """
        Judge nothing any more.
        """
        if self._run is not None:
            self._run.stop()
            self._run = None


class _Run:
    """
    One time through everything.
    """

    _log = Logger()

    def __init__(self, permission: IPermission, grant_types: Sequence[GrantType], clock: Any) -> None:
        self._allows = permission.allows
        self._denials = Denials(permission)
        self._grant_types = grant_types
        self._turns = Turns.of(clock)
        self._stopped = False
        self._judged = self._ended = self._failed = 0
        self._waiting = 0
        self._wanted = 0
        self._room: Deferred[None] | None = None
        self._cooperator = Cooperator(self._slice, lambda call: clock.callLater(0, call))
        self._cooperator.cooperate(self._steps()).whenDone().addErrback(self._broke)

    def stop(self) -> None:
        self._stopped = True
        self._cooperator.stop()

    def _slice(self) -> Callable[[], bool]:
        """
        Says when the turn that begins now has had its share.
        """
        left = CHUNK
        end = min(self._turns.slice_end(), self._turns.now() + TIME_SLICE)

        def over() -> bool:
            nonlocal left
            left -= 1
            return left <= 0 or self._turns.now() >= end

        return over

    def _steps(self) -> Iterator[Deferred[None] | None]:
        for grant_type in self._grant_types:
            for connection in list(grant_type.registry.connections()):
                for name in grant_type.registry.names_of(connection):
                    self._judge(grant_type, name, connection)
                    yield self._until(MAX_WAITING - 1) if self._waiting >= MAX_WAITING else None
        if self._waiting:
            yield self._until(0)
        self._say()

    def _until(self, waiting: int) -> Deferred[None]:
        """
        Fires when no more than that many wait.
        """
        self._wanted = waiting
        self._room = Deferred()
        return self._room

    def _judge(self, grant_type: GrantType, name: str, connection: IConnection) -> None:
        # It may be gone, or have ended it, since the names were listed.
        if connection.closed or not grant_type.registry.wants(name, connection):
            return
        self._judged += 1
        decision = self._allows(grant_type.request(name), connection)
        if isinstance(decision, Deferred):
            self._waiting += 1
            decision.addBoth(self._decided, grant_type, name, connection)
            decision.addErrback(self._broke)
        elif decision is not True:
            self._denials.tell(decision, grant_type.request(name), connection)
            self._end(grant_type, name, connection)

    def _decided(self, decision: bool | Failure, grant_type: GrantType, name: str, connection: IConnection) -> None:
        if self._stopped:
            return
        self._waiting -= 1
        try:
            if decision is not True:
                self._failed += isinstance(decision, Failure)
                if self._failed <= MAX_TOLD or not isinstance(decision, Failure):
                    self._denials.tell(decision, grant_type.request(name), connection)
                self._end(grant_type, name, connection)
        finally:
            if self._room is not None and self._waiting <= self._wanted:
                room, self._room = self._room, None
                room.callback(None)

    def _end(self, grant_type: GrantType, name: str, connection: IConnection) -> None:
        if grant_type.registry.revoke(name, connection):
            self._ended += 1
            if grant_type.told is not None:
                connection.send(grant_type.denial(name))

    def _say(self) -> None:
        self._log.info(
            "RELOAD | permission: {judged} subscriptions judged by the new rules, {ended} ended, {failed} of them "
            "because their rule failed",
            judged=self._judged,
            ended=self._ended,
            failed=self._failed,
            event="RELOAD",
        )

    def _broke(self, failure: Failure) -> None:
        if not self._stopped:
            self._log.failure("RELOAD | judging subscriptions by the new rules broke off", failure, event="RELOAD")
