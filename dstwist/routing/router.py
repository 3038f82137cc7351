"""
The way of a request from an open connection to its topic: limits on names, permission, then the topic's service.

A service authorizes some actions itself (L{dstwist.interfaces.ITopicService}): it asks the permission when it has the
data that the decision depends on. The router asks for all other actions.

Always true: the requests of one connection reach their services in the order in which they came, however long a
permission takes to decide. A request that has to wait is work of the connection (L{dstwist.interfaces.IRequester.do}),
and later requests wait behind it. Each name of a bulk request is authorized by itself, in steps
(L{dstwist.scheduling.time_slices.Steps}). The service gets the request with the permitted names only (C{services.md}
section 1).

The rules may change between the decision about a name and the service of the request. A caller that replaces rules
waits for L{Router.drain}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.counters.messages import MessageCounts
from dstwist.interfaces import IPermission, IRequester, ITopicService, IWriteService, Work
from dstwist.limits.names import NameLimit
from dstwist.permission.denials import Denials
from dstwist.protocol.constants import BULK_ACTIONS, ParserAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.name_parts import DistinctNames
from dstwist.scheduling.drain import DrainGroup, InFlight
from dstwist.scheduling.time_slices import NAMES_PER_STEP, Steps

#: Requests with more names are searched for repeated names.
_MAX_UNSEARCHED_NAMES = 100

#: To search more names takes long; it is done in parts of this size.
_NAMES_PER_STEP = 5000


#: The service of a topic: its method, and for each action whether the service authorizes it, and how often it came.
_Served = tuple[Callable[[Message, IRequester], None], list[bool], list[int]]


class Router:
    """
    Routes the requests of all connections.

    @ivar name_limit: connections apply it to messages before they route them.
    @ivar received: the requests of all requesters, before the permission.
    @ivar sent: the messages to single requesters. L{IRequester.send} counts them.
    @param max_name_length: how many characters a name may have; C{None} for any number.
    @param clock: bulk requests are cut into steps by its time; C{None} to cut them by the number of names only.
    """

    def __init__(
        self,
        permission: IPermission,
        services: Mapping[Topic, ITopicService],
        max_name_length: int | None = None,
        clock: IReactorTime | None = None,
        denials: Denials | None = None,
    ) -> None:
        """
        @param denials: logs the denied requests.
        """
        self._clock = clock
        self._denials = denials if denials is not None else Denials(permission)
        self.name_limit = NameLimit(max_name_length)
        self._allows = permission.allows
        self._handlers = {topic: service.handle for topic, service in services.items()}
        self.received = received = MessageCounts()
        self.sent = MessageCounts()
        # By the number of the topic, and of the action: to look into a list takes half the time.
        self._services: list[_Served | None] = [None] * (max(Topic) + 1)
        for topic, service in services.items():
            counts = received.by_topic[topic]
            authorized = [action in service.authorizes_itself for action in range(len(counts))]
            self._services[topic] = service.handle, authorized, counts
        self._writes = {topic: IWriteService(service, None) for topic, service in services.items()}
        self._bulks = InFlight()

    def drain(self) -> Deferred[None]:
        """
        Fires when the bulk requests about whose names the permission has decided so far are served, or given up.
        """
        return self._bulks.drain()

    def route(self, message: Message, sender: IRequester) -> None:
        """
        Have the service of its topic serve C{message}, or tell C{sender} why not.
        """
        service = self._services[message.topic]
        if service is None:
            self._unknown_topic(message, sender)
            return
        handle, authorized_by_service, received = service
        names = message.names
        if names and len(names) > _MAX_UNSEARCHED_NAMES and not isinstance(names, DistinctNames):
            if len(names) > _NAMES_PER_STEP:
                sender.do(self._route_distinct(message, sender))
                return
            names = _without_repetitions(names)
            message = replace(message, names=names)
        action = message.action
        received[action] += 1
        if authorized_by_service[action]:
            handle(message, sender)
            return
        # The permission decides about the name, and the service gets only that.
        if names and action in BULK_ACTIONS.get(message.topic, ()):
            if len(names) > 1:
                sender.do(self._authorize(message, sender))
                return
            (name,) = names
            decision = self._allows(_about(name, message), sender)
        else:
            name = None
            decision = self._allows(message, sender)
        if decision is True:
            handle(message, sender)
        elif isinstance(decision, Deferred):
            sender.do(self._wait(decision, name, message, sender))
        else:
            sender.send(self._refusal(decision, message, name, sender))

    def malformed(self, message: Message, sender: IRequester) -> None:
        """
        Have the service send C{sender} the true state after a write that could not be read: L{IWriteService}.
        """
        service = self._writes.get(message.topic)
        if service is not None and message.action in service.authorizes_itself and message.name is not None:
            service.malformed(message, sender)

    def _route_distinct(self, message: Message, sender: IRequester) -> Work:
        """
        Do L{route} for a request with very many names, after a search for repeated ones.
        """
        names = message.names
        once: dict[str, None] = {}
        repeated: set[str] = set()
        for start in range(0, len(names), _NAMES_PER_STEP):
            if start:
                yield None
            for name in names[start : start + _NAMES_PER_STEP]:
                if name in once:
                    repeated.add(name)
                else:
                    once[name] = None
        distinct = DistinctNames((*once, *(name for name in once if name in repeated)) if repeated else once)
        self.route(replace(message, names=distinct), sender)

    def _wait(self, decision: Deferred[bool], name: str | None, message: Message, sender: IRequester) -> Work:
        results: list[bool | Failure] = []
        yield decision.addBoth(results.append)
        (result,) = results
        if result is True:
            self._handlers[message.topic](message, sender)
        else:
            sender.send(self._refusal(result, message, name, sender))

    def _authorize(self, message: Message, sender: IRequester) -> Work:
        """
        Have the service serve the permitted names of a bulk request.
        """
        names = message.names
        allowed: list[str] = []
        told = False
        group = self._bulks.group
        with group:
            done = 0
            steps = Steps(self._clock)
            while done < len(names):
                if done:
                    yield None
                    steps.begin()
                decisions: list[object] = []
                for number in range(done, len(names)):
                    decisions.append(self._allows(_about(names[number], message), sender))
                    if steps.over():
                        break
                part = names[done : done + len(decisions)]
                done += len(part)
                if any(isinstance(decision, Deferred) for decision in decisions):
                    later = [
                        decision if isinstance(decision, Deferred) else succeed(decision) for decision in decisions
                    ]
                    results: list[tuple[bool, object]] = []
                    # If a rule fails, its own name is denied, not the whole request.
                    yield DeferredList(later, consumeErrors=True).addCallback(results.extend)
                    decisions = [decision for _, decision in results]
                for name, decision in zip(part, decisions, strict=True):
                    if decision is True:
                        allowed.append(name)
                        continue
                    refusal = self._refusal(decision, message, name, sender)
                    if not (told and sender.dialect.is_refused_once):
                        sender.send(refusal)
                        told = True
            if len(allowed) > NAMES_PER_STEP:
                sender.do(_while_served(group))
            if len(allowed) == len(names):
                self._handlers[message.topic](message, sender)
            elif allowed:
                self._handlers[message.topic](replace(message, names=tuple(allowed)), sender)

    def _refusal(self, decision: object, message: Message, name: str | None, sender: IRequester) -> Message:
        """
        The error for the sender. Only the log contains the rule that denied, and the reason why a rule failed.
        """
        self._denials.tell(decision, message, sender, name)
        return message.error("MESSAGE_PERMISSION_ERROR" if isinstance(decision, Failure) else "MESSAGE_DENIED", name)

    def _unknown_topic(self, message: Message, sender: IRequester) -> None:
        sender.send(
            Message(
                Topic.PARSER,
                ParserAction.UNKNOWN_TOPIC,
                original_topic=message.topic,
                original_action=message.action,
            )
        )


def _while_served(group: DrainGroup) -> Work:
    with group:
        # The work that the service makes of the request is done before the next step of this work.
        yield None


def _about(name: str, message: Message) -> Message:
    """
    The request about one name of a bulk request.
    """
    return Message(message.topic, message.action, name, None, message.raw, None, (), message.correlation_id)


def _without_repetitions(names: tuple[str, ...]) -> tuple[str, ...]:
    """
    The names in their order. Each name that was repeated, however often, stands once more at the end, because the
    sender is told of the repetition.
    """
    once = dict.fromkeys(names)
    if len(once) == len(names):
        return names
    counted = Counter(names)
    return (*once, *(name for name in once if counted[name] > 1))
