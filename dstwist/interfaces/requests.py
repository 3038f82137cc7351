"""
Requests of clients, and the topics that serve them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from dstwist.interfaces.transport import IWire
from dstwist.protocol.message import Message

#: Long work in steps, none of which takes long; it does the next one when it is asked for its next item. That is
#: C{None}, or a Deferred that has to fire before there can be another step.
Work = Iterator[Deferred[Any] | None]


class IConnection(Interface):
    """
    One client, whatever its transport and generation.
    """

    user: str | None = Attribute("The user id; C{None} before login.")
    client_data: bytes | None = Attribute("What the authenticator says about the user to its clients, as JSON text.")
    server_data: Any = Attribute("What the authenticator says about the user to permission rules.")
    address: str = Attribute("Where the client is, for logs and limits: C{'192.0.2.1'}.")
    path: str = Attribute("The path of the URL that the client is connected to, for logs.")
    number: int = Attribute("The number of the connection, its own in this process, for logs.")
    wire: IWire = Attribute("How this client's frames are made.")
    dialect = Attribute("The L{dstwist.protocol.dialect.Dialect} of this client.")
    closed: bool = Attribute("It is gone, or going: nothing reaches it any more.")

    def send(message: Message) -> None:
        """
        Say C{message} to this client; messages arrive in the order they were sent. Does nothing once closed.
        """

    def write(frame: bytes) -> None:
        """
        Like L{send}, for a frame that C{wire} made. Never calls back.
        """

    def do(work: Work) -> None:
        """
        Do C{work} that this client has asked for, before all that it asks later; none of it any more once closed.

        The first step is done before this comes back, and so are those behind Deferreds that have fired already; if
        there are more, the others have their turns in between. Called while a message is served, as the last thing that
        is done about it; also by work, as the last thing in its last step.

        @param work: what it yields has no result left: work that wants the results of its Deferreds takes them itself.
        """

    def pause() -> None:
        """
        Accept no more messages for now. Those that were already read still come.
        """

    def resume() -> None:
        """
        Undo one L{pause}: as many are needed as there were.
        """

    def close(reason: str) -> None:
        """
        End the connection.
        """

    def on_close(callback: Callable[[IConnection], None]) -> None:
        """
        Have C{callback} called, once, with this connection when it closes. Callbacks are called in the order they
        were registered.
        """


class IRevocable(Interface):
    """
    What clients have been permitted to have until they end it: subscriptions, provisions, listeners. Each has a name.
    """

    def connections() -> Iterable[IConnection]:
        """
        Who has some.
        """

    def names_of(connection: IConnection) -> list[str]:
        """
        What C{connection} has, as a list of the caller's own.
        """

    def wants(name: str, connection: IConnection) -> bool:
        """
        Whether C{connection} has that one.
        """

    def revoke(name: str, connection: IConnection) -> bool:
        """
        End it although the client did not ask for that; whether it was there. The client is not told of it, but of what
        comes of it. If it ends it as well, which it may do at any time, that is acknowledged once.
        """


class ITopicService(Interface):
    """
    The semantics of one topic.
    """

    authorizes_itself: frozenset[IntEnum] = Attribute(
        "The actions whose permission the service asks for itself, because it depends on data that only the service "
        "has at the right moment. The router asks for all others."
    )

    def handle(message: Message, sender: IConnection) -> None:
        """
        Do what a client asks, which is well formed and permitted.
        """

    def handle_remote(message: Message) -> None:
        """
        Take notice of what another node published. Never forwarded again.
        """


class IWriteService(ITopicService):
    """
    A topic whose clients write to copies of their own before they send what they write.
    """

    def malformed(message: Message, sender: IConnection) -> None:
        """
        Bring C{sender} back in step after a write that could not be read, or whose name is too long. The error has been
        sent.

        @param message: the write as far as it could be read, at least with its name and its action.
        """
