"""
The way of a message from an open connection to its topic: permission first, then the topic's service. Of actions that
a service judges itself (L{dstwist.interfaces.ITopicService}) the service asks for the permission.

Always true: the messages of one connection reach their services in the order they came in, however long a permission
takes. While one waits, the connection is paused, and what was read before that queues behind it. Of a bulk request
every name is permitted by itself; what is left of it, without the refused names, is served (C{services.md} section 1).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.python.failure import Failure

from dstwist.interfaces import IConnection, IPermission, ITopicService
from dstwist.log import Logger
from dstwist.protocol.constants import BULKS, ParserAction, Topic
from dstwist.protocol.message import Message

#: From so many names on it is worth looking whether they are all different.
_MANY = 100


class Router:
    """
    Permission, then topic.
    """

    _log = Logger()

    def __init__(self, permission: IPermission, services: Mapping[Topic, ITopicService]) -> None:
        self._allows = permission.allows
        self._handlers = {topic: service.handle for topic, service in services.items()}
        self._judged = {topic: service.judges for topic, service in services.items()}
        # Per connection that waits for a permission: what came in after the message that waits.
        self._waiting: dict[IConnection, deque[Message]] = {}

    def route(self, message: Message, sender: IConnection) -> None:
        """
        Have C{message} served, or its sender told why not.
        """
        if self._waiting:
            queue = self._waiting.get(sender)
            if queue is not None:
                queue.append(message)
                return
        handle = self._handlers.get(message.topic)
        if handle is None:
            self._unknown_topic(message, sender)
            return
        if len(message.names) > _MANY:
            message = replace(message, names=_without_repetitions(message.names))
        if message.action in self._judged[message.topic]:
            handle(message, sender)
            return
        # Of all others the name is permitted, and it alone is served.
        if message.names and message.action in BULKS.get(message.topic, ()):
            self._route_bulk(message, sender)
            return
        verdict = self._allows(message, sender)
        if verdict is True:
            handle(message, sender)
        elif isinstance(verdict, Deferred):
            self._wait(verdict, message, sender)
        else:
            sender.send(message.error("MESSAGE_DENIED"))

    def _route_bulk(self, message: Message, sender: IConnection) -> None:
        verdicts = [self._allows(replace(message, name=name, names=()), sender) for name in message.names]
        if all(verdict is True for verdict in verdicts):
            self._handlers[message.topic](message, sender)
            return
        if not any(isinstance(verdict, Deferred) for verdict in verdicts):
            self._finish_bulk(verdicts, message, sender)
            return
        later = [verdict if isinstance(verdict, Deferred) else succeed(verdict) for verdict in verdicts]
        # A rule that fails refuses its own name, not the whole request.
        settled = DeferredList(later, consumeErrors=True)
        self._hold(sender)
        settled.addCallback(lambda results: self._finish_bulk([value for _, value in results], message, sender))
        settled.addErrback(self._broke, sender)
        settled.addCallback(lambda _: self._go_on(sender)).addErrback(self._broke, sender)

    def _finish_bulk(self, verdicts: Sequence[object], message: Message, sender: IConnection) -> None:
        if sender.closed:
            return
        allowed = []
        told = False
        for name, verdict in zip(message.names, verdicts, strict=True):
            if verdict is True:
                allowed.append(name)
                continue
            refusal = self._refusal(verdict, message, name)
            if not (told and sender.dialect.is_refused_once):
                sender.send(refusal)
                told = True
        if allowed:
            self._handlers[message.topic](replace(message, names=tuple(allowed)), sender)

    def _wait(self, verdict: Deferred[bool], message: Message, sender: IConnection) -> None:
        def decided(result: bool | Failure) -> None:
            # The client may have gone while its permission was looked up.
            if sender.closed:
                return
            if result is True:
                self._handlers[message.topic](message, sender)
            else:
                sender.send(self._refusal(result, message))

        self._hold(sender)
        verdict.addBoth(decided)
        verdict.addErrback(self._broke, sender)
        verdict.addCallback(lambda _: self._go_on(sender)).addErrback(self._broke, sender)

    def _hold(self, sender: IConnection) -> None:
        self._waiting[sender] = deque()
        sender.pause()

    def _go_on(self, sender: IConnection) -> None:
        queue = self._waiting.pop(sender)
        while queue and not sender.closed:
            self.route(queue.popleft(), sender)
            again = self._waiting.get(sender)
            if again is not None:  # that one waits as well: the rest stays behind it
                again.extend(queue)
                return
        sender.resume()

    def _broke(self, failure: Failure, sender: IConnection) -> None:
        self._log.failure("serving a message of {user} failed", failure, user=sender.user)
        sender.close("internal error")

    def _refusal(self, verdict: object, message: Message, name: str | None = None) -> Message:
        """
        What the sender is told; why a rule failed is for the log alone.
        """
        if isinstance(verdict, Failure):
            self._log.warn(
                "MESSAGE_PERMISSION_ERROR | {error}",
                error=verdict.getErrorMessage(),
                event="MESSAGE_PERMISSION_ERROR",
            )
            return message.error("MESSAGE_PERMISSION_ERROR", name)
        return message.error("MESSAGE_DENIED", name)

    def _unknown_topic(self, message: Message, sender: IConnection) -> None:
        sender.send(
            Message(
                Topic.PARSER,
                ParserAction.UNKNOWN_TOPIC,
                original_topic=message.topic,
                original_action=message.action,
            )
        )


def _without_repetitions(names: tuple[str, ...]) -> tuple[str, ...]:
    """
    The names in their order, and each that was repeated, however often, once more at the end: its sender is told of it.
    """
    once = dict.fromkeys(names)
    if len(once) == len(names):
        return names
    counted = Counter(names)
    return (*once, *(name for name in once if counted[name] > 1))
