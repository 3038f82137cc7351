"""
Which names a listener may be offered.

The permission decides about LISTEN twice: about the pattern, as if it was a name, when a client begins to listen; and
about each matching name, before the listener is told the name. Without the second decision, a client that may listen to
C{game/*} could learn all other names by listening to C{game/.*|secret/.*}, since the rule sees only the text of the
pattern.

The permission is asked about each name as about a LISTEN request with that name. A registration that is denied a name
is passed over as if its pattern did not match, and tried again like one that declined. A rule that fails denies.

A text client is not offered a name that the text protocol cannot carry, because it would be told another name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.interfaces import IPermission, IRequester, IRevocable
from dstwist.log import Logger, about, shown
from dstwist.permission.denials import Denials
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.typed import has_separators
from dstwist.routing.registrations import Registration

#: How long a decision may take, in seconds. The rules of a permissions file have the time-outs of the stores. This
#: limit is for a permission class of the operator's that has no time-out: names that wait for a decision have no
#: provider.
DECISION_TIMEOUT = 30.0


class OfferRules:
    """
    Decides which names of one topic a listener may be told.

    @param permission: decides; C{None} if everything is permitted.
    """

    _log = Logger()

    def __init__(self, topic: Topic, permission: IPermission | None, clock: IReactorTime) -> None:
        self._topic = topic
        self._listen = ACTIONS[topic]["LISTEN"]
        self._allows = None if permission is None else permission.allows
        self._clock = clock
        self._denials = Denials(permission)

    def allow(self, registration: Registration, name: str) -> bool | Deferred[bool]:
        """
        Whether C{registration} may be told C{name}, now or later. The Deferred never fails.
        """
        if _cannot_carry(registration, name):
            return False
        if self._allows is None:
            return True
        request = Message(self._topic, self._listen, name)
        decision = self._allows(request, registration.connection)
        if not isinstance(decision, Deferred):
            return decision is True
        if not decision.called:
            decision.addTimeout(DECISION_TIMEOUT, self._clock)
        decision.addBoth(self._decided, request, registration)
        if decision.called and isinstance(decision.result, bool):
            return decision.result
        return decision

    def _decided(self, result: bool | Failure, request: Message, registration: Registration) -> bool:
        if isinstance(result, Failure):
            self._denials.tell(result, request, registration.connection)
        return result is True

    def log_refusal(self, registration: Registration, name: str) -> None:
        """
        Log, once, that C{registration} is not told all names that its pattern matches.
        """
        # This runs for each denied name of each registration, so even the limit of the log would cost too much.
        if registration.refused:
            return
        registration.refused = True
        request = Message(self._topic, self._listen)
        why, by = "may not listen to", f", by {self._denials.rule(request, name)}"
        if _cannot_carry(registration, name):
            why, by = "cannot be told", ""
        self._log.info(
            "MESSAGE_DENIED | {client} listens to {pattern} of {topic}, but {why} all names that match: {name} is the "
            "first that is not offered{by}",
            why=why,
            by=by,
            pattern=shown(registration.pattern.text),
            topic=self._topic.name,
            name=shown(name),
            event="MESSAGE_DENIED",
            **about(registration.connection),
        )


def _cannot_carry(registration: Registration, name: str) -> bool:
    return not registration.connection.dialect.carries_every_name and has_separators(name)


@implementer(IRevocable)
class OfferedNames:
    """
    The names that listeners are offered or provide. New rules may take them away.

    @param listeners: the connections that listen.
    @param registrations: the registrations of a connection.
    @param holder: the registration that is offered a name, or provides it; C{None} if there is none.
    @param withdraw: takes a name from a registration that is offered or provides it.
    """

    def __init__(
        self,
        listeners: Callable[[], Iterable[IRequester]],
        registrations: Callable[[IRequester], Iterable[Registration]],
        holder: Callable[[str], Registration | None],
        withdraw: Callable[[Registration, str], None],
    ) -> None:
        self._listeners = listeners
        self._registrations = registrations
        self._holder = holder
        self._withdraw = withdraw

    def connections(self) -> Iterable[IRequester]:
        return self._listeners()

    def names_of(self, connection: IRequester) -> list[str]:
        return [
            name
            for registration in self._registrations(connection)
            for names in (registration.asked, registration.provides)
            for name in names
        ]

    def holds(self, name: str, connection: IRequester) -> bool:
        holder = self._holder(name)
        return holder is not None and holder.connection is connection

    def revoke(self, name: str, connection: IRequester) -> bool:
        holder = self._holder(name)
        if holder is None or holder.connection is not connection:
            return False
        self._withdraw(holder, name)
        return True
