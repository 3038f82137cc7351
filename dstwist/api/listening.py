"""
Listening: the application is told which names clients want, and provides them.

::

    server --SUBSCRIPTION_FOR_PATTERN_FOUND--> wanted(name) --> a function, or True: LISTEN_ACCEPT
                                                            --> None or False: LISTEN_REJECT
    server --SUBSCRIPTION_FOR_PATTERN_REMOVED--> the function is called: no client wants the name any more

C{wanted} may return a Deferred or a coroutine. If the name is not wanted any more when that has its result, the
function is called at once.

Always true: the function of a name is called once, when the name is not wanted any more, or when the listening ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from dstwist.api.errors import ApiError, HandleClosed, ResponseTimeout, error_of, make_error
from dstwist.api.handle import Handle
from dstwist.api.ongoing import Ongoing, ignore
from dstwist.api.subscription import run
from dstwist.api.values import check_function, check_name
from dstwist.log import Logger, shown
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message

#: Called when a name is not wanted any more. It may return a coroutine or a Deferred.
Unwanted = Callable[[], object]

#: Called with a name that clients want. Returns a function to be called when they do not want it any more, or C{True};
#: C{None} or C{False} if the name is not provided.
Wanted = Callable[[str], Any]

_log = Logger()


class Listening(Ongoing):
    """
    One pattern.
    """

    _kind = "listening to"

    def __init__(self, pattern: str, wanted: Wanted, listeners: Listeners) -> None:
        super().__init__(pattern, listeners.endings)
        self._wanted = wanted
        self._listeners = listeners
        # The names that were offered, until they are decided, and those that are provided.
        self._offers: dict[str, Deferred[Any]] = {}
        self._provided: dict[str, Any] = {}

    @property
    def provided(self) -> list[str]:
        """
        The names that are provided now.
        """
        return list(self._provided)

    def _offered(self, name: str) -> None:
        """
        Clients want C{name}.
        """
        self._removed(name)
        offer = run(self._wanted, name)
        self._offers[name] = offer
        offer.addErrback(self._failed, name)
        offer.addCallback(self._decided, name, offer)

    def _decided(self, answer: Any, name: str, offer: Deferred[Any]) -> None:
        if self.closed or self._offers.get(name) is not offer:
            _stop(answer, name)
            return
        del self._offers[name]
        if callable(answer) or answer is True:
            self._provided[name] = answer
            self._listeners.answer("LISTEN_ACCEPT", self.name, name)
        else:
            self._listeners.answer("LISTEN_REJECT", self.name, name)

    def _failed(self, failure: Failure, name: str) -> None:
        if not failure.check(CancelledError):
            _log.failure("the application failed to provide {name}", failure, name=shown(name), contained=True)

    def _removed(self, name: str) -> None:
        """
        C{name} is not wanted any more.
        """
        self._offers.pop(name, None)
        _stop(self._provided.pop(name, None), name)

    def _leave(self) -> Deferred[None]:
        return self._listeners.unlisten(self)

    def _finish(self, error: ApiError | None) -> None:
        super()._finish(error)
        for name in [*self._offers, *self._provided]:
            self._removed(name)


class Listeners:
    """
    The listening of one topic.

    @ivar endings: of the handle.
    """

    def __init__(self, handle: Handle, topic: Topic) -> None:
        self._topic = topic
        self._actions = actions = ACTIONS[topic]
        self._calls = handle.subscribing
        self._deliveries = handle.deliveries
        self.endings = handle.endings
        self._patterns: dict[str, Listening] = {}
        handle.news[topic, actions["SUBSCRIPTION_FOR_PATTERN_FOUND"]] = self._found
        handle.news[topic, actions["SUBSCRIPTION_FOR_PATTERN_REMOVED"]] = self._removed
        handle.denied[topic, actions["LISTEN"]] = self._denied
        handle.on_close.append(self._closed)

    def listen(self, pattern: str, wanted: Wanted) -> Deferred[Listening]:
        """
        Listen to a pattern.

        @raise ApiError: this handle listens to it already.
        """
        check_name(pattern, "pattern")
        check_function(wanted)
        if pattern in self._patterns:
            raise make_error("MULTIPLE_SUBSCRIPTIONS", pattern, "this handle listens to it already")
        listening = self._patterns[pattern] = Listening(pattern, wanted, self)
        asked = self._calls.ask(Message(self._topic, self._actions["LISTEN"], pattern))
        return asked.addCallbacks(lambda _: listening, self._refused, errbackArgs=(listening,))

    def _refused(self, failure: Failure, listening: Listening) -> Failure:
        self._forget(listening)
        if failure.check(CancelledError, ResponseTimeout):
            self.unlisten(listening)
        return failure

    def unlisten(self, listening: Listening) -> Deferred[None]:
        """
        The application does not listen any more.
        """
        self._forget(listening)
        message = Message(self._topic, self._actions["UNLISTEN"], listening.name)
        return self._calls.ask(message, always=True).addCallbacks(lambda _: None, ignore)

    def answer(self, action: str, pattern: str, name: str) -> None:
        """
        Accept or reject C{name}.
        """
        self._calls.post(Message(self._topic, self._actions[action], pattern, subscription=name))

    def _forget(self, listening: Listening) -> None:
        if self._patterns.get(listening.name) is listening:
            del self._patterns[listening.name]

    # -- news; called while the server is at work

    def _found(self, message: Message) -> None:
        self._deliveries.add(self._offer, message)

    def _removed(self, message: Message) -> None:
        self._deliveries.add(self._withdraw, message)

    def _denied(self, message: Message) -> None:
        self._deliveries.add(self._end, message)

    # -- deliveries

    def _offer(self, message: Message) -> None:
        listening = self._patterns.get(message.name or "")
        if listening is not None and message.subscription is not None and not self._calls.closed:
            listening._offered(message.subscription)

    def _withdraw(self, message: Message) -> None:
        listening = self._patterns.get(message.name or "")
        if listening is not None and message.subscription is not None:
            listening._removed(message.subscription)

    def _end(self, message: Message) -> None:
        listening = self._patterns.pop(message.name or "", None)
        if listening is not None:
            listening._end(error_of(message))

    def _closed(self, error: HandleClosed) -> None:
        patterns, self._patterns = self._patterns, {}
        for listening in patterns.values():
            listening._end(error)


def _stop(unwanted: Any, name: str) -> None:
    if callable(unwanted):
        run(unwanted).addErrback(_not_stopped, name)


def _not_stopped(failure: Failure, name: str) -> None:
    _log.failure("the application failed to stop providing {name}", failure, name=shown(name), contained=True)
