"""
Requests of clients, and the topics that serve them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from dstwist.interfaces.transport import Frame, IWire
from dstwist.protocol.message import Message

#: Long work in short steps. Asking for the next item does the next step. The item is C{None}, or a Deferred that has to
#: fire before the next step.
Work = Iterator[Deferred[Any] | None]


class IIdentity(Interface):
    """
    All that a permission knows of the party that asks.
    """

    user: str | None = Attribute("The user id; C{None} before login.")
    client_data: bytes | None = Attribute("The authenticator's data about the user for its clients, as JSON text.")
    server_data: Any = Attribute("The authenticator's data about the user for permission rules.")
    address: str = Attribute("The address of the client, for logs and limits: C{'192.0.2.1'}.")
    is_server: bool = Attribute(
        "The server itself asks, or the application that embeds it: everything is permitted, and no rule is asked."
    )


class IRequester(IIdentity):
    """
    A party whose requests the services answer: a client, a single HTTP request, or the application that embeds the
    node.
    """

    path: str = Attribute("The path of the URL that the client is connected to, for logs.")
    number: int = Attribute("The number of the connection, unique in this process, for logs; 0 without a connection.")
    node: str = Attribute("The label of the node that serves this party, for logs; empty if the node has none.")
    dialect = Attribute("The L{dstwist.protocol.dialect.Dialect} of this party.")
    closed: bool = Attribute("It has ended, or is ending: nothing reaches the party any more.")

    def send(message: Message) -> None:
        """
        Send C{message} to this party. Messages arrive in the order in which they were sent. Does nothing once closed.
        """

    def do(work: Work) -> None:
        """
        Do C{work} that this party has asked for, before its later requests. Once closed, no more steps are done.

        The first step is done before this returns, and so are the steps behind Deferreds that have fired already.
        Before the further steps, other parties have their turns. Call this as the last thing while a message is served,
        or as the last thing in the last step of other work.

        @param work: takes the results of its Deferreds itself. If a Deferred fails and the work does not take the
            failure, it is logged, and the work goes on.
        """

    def pause() -> None:
        """
        Take no more requests from the party for now. Requests that have been read already still come.
        """

    def resume() -> None:
        """
        Undo one L{pause}. The server goes on when each pause is undone.
        """

    def close(reason: str) -> None:
        """
        End it. Messages that were sent before still arrive.
        """

    def on_close(callback: Callable[[IRequester], None]) -> None:
        """
        Call C{callback} once, with this requester, when it closes. Callbacks are called in the order in which they were
        registered.
        """


class IConnection(IRequester):
    """
    A requester that a fan-out reaches, so that it can subscribe to names: it takes frames that were made once for many.
    """

    wire: IWire = Attribute("The wire that makes frames for this client.")

    def write(frame: Frame) -> None:
        """
        Send a frame that C{wire} made. Never calls back.
        """


class IRevocable(Interface):
    """
    Things that clients may hold until they end them: subscriptions, provisions, listeners. Each has a name.
    """

    def connections() -> Iterable[IRequester]:
        """
        The connections that hold any.
        """

    def names_of(connection: IRequester) -> list[str]:
        """
        The names that C{connection} holds, as a list that the caller may change.
        """

    def holds(name: str, connection: IRequester) -> bool:
        """
        Whether C{connection} holds C{name}.
        """

    def revoke(name: str, connection: IRequester) -> bool:
        """
        End C{name} for C{connection} although the client did not ask for that. The client gets no message about the
        end, only about its consequences. If the client ends C{name} as well, which it may do at any time, the request
        is acknowledged once.

        @return: whether C{connection} held C{name}.
        """


class ITopicService(Interface):
    """
    The semantics of one topic.
    """

    authorizes_itself: frozenset[IntEnum] = Attribute(
        "The actions whose permission the service asks for itself, because it depends on data that only the service "
        "has at the right moment. The router asks for all others."
    )

    def handle(message: Message, sender: IRequester) -> None:
        """
        Serve a request, which is well formed and permitted.
        """


class IWriteService(ITopicService):
    """
    A topic whose clients change copies of their own before they send the change.
    """

    def malformed(message: Message, sender: IRequester) -> None:
        """
        Show C{sender} the true state after a write that could not be read, or whose name is too long. The error has
        been sent.

        @param message: the write as far as it could be read, at least with its name and its action.
        """
