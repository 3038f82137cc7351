"""
The seams between the parts of dstwist: few, narrow, each named for a role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from dstwist.protocol.message import Malformed, Message

# Both belong to the seams: stores and permissions, those of operators as well, take them from here.
from dstwist.record import Change as Change
from dstwist.record import Record as Record

#: Long work in steps, none of which takes long; it does the next one when it is asked for its next item. That is
#: C{None}, or a Deferred that has to fire before there can be another step.
Work = Iterator[Deferred[Any] | None]


#: Gives the messages of one payload, see L{ICodec.decode}.
Decode = Callable[[bytes | str], list[Malformed | Message]]


class ICodec(Interface):
    """
    One protocol, sans-IO. Holds no state, so that one serves all connections.
    """

    name: str = Attribute("What the protocol is called in logs.")

    def decode(payload: bytes | str) -> list[Message | Malformed]:
        """
        The messages of one payload, in order; one bad message does not lose its neighbours. Never raises.
        """

    def pieces(payload: bytes | str, size: int) -> list[bytes | str]:
        """
        A payload in parts, each with whole messages, and with no more than it takes to exceed C{size}: decoded one by
        one they give what the payload would. Never raises.
        """

    def names_apart(payload: bytes | str) -> Iterator[tuple[bytes | str, tuple[str, ...]] | None]:
        """
        Read the names of a payload that is one bulk request, little by little: C{None} after each step, and at last, if
        it is one, the same request with its first name only, and all of its names. Nothing if it is none, or if names
        are so few in this protocol that they can be read at once. Never raises.
        """

    def json_apart(payload: bytes | str) -> tuple[bytes | str, bool] | None:
        """
        The JSON text in a payload that is one message, and whether its value is needed to decode it, and not only
        whether it has one; C{None} if there is no text. Never raises.
        """

    def encode(message: Message) -> bytes:
        """
        The payload that says C{message}; empty if this protocol has no form for it.
        """


class IWire(Interface):
    """
    A transport's framing around a codec. One object per combination, compared by identity: what is encoded for one
    connection of a wire can be written to all of them.
    """

    codec: ICodec = Attribute("The codec inside.")

    takes_patches: bool = Attribute("Its clients can be told of a change at one path by PATCH.")

    patches_many: bool = Attribute("Its clients know PATCH_MULTI, the news of changes at several paths at once.")

    def encode(message: Message) -> bytes:
        """
        The frame that says C{message}, ready to be written; empty if this protocol has no form for it.
        """


class IOutbox(Interface):
    """
    The frames for one client. They leave in the order in which they come.
    """

    def write(frame: bytes) -> None:
        """
        Queue a frame; it leaves at the end of this reactor turn, or as C{outgoingBufferTimeout} says. Never calls
        back, whatever happens to the connection.
        """

    def answer(frame: bytes) -> None:
        """
        The same for a frame that is for this client alone: however many there are, they do not gather.
        """

    def flush() -> None:
        """
        Send now what is queued.
        """


class ILink(Interface):
    """
    A transport as its connection sees it: it moves payloads and frames, and decides nothing.
    """

    address: str = Attribute("Where the client is, for logs: C{'192.0.2.1'}.")

    outbox: IOutbox = Attribute(
        "The frames for the client. The same as long as the transport is there, so that a connection may keep its "
        "methods, which saves a call for each frame."
    )

    def counted(decode: Decode) -> Decode:
        """
        C{decode}, or a function that does the same and counts the messages, if there is a limit of their rate.
        """

    def logged_in(user: str) -> None:
        """
        The client has logged in as C{user}: the limits are those of this user from now on.
        """

    def pause() -> None:
        """
        Stop reading from the client. Messages of data already read still arrive.
        """

    def resume() -> None:
        """
        Read on.
        """

    def close(code: int, reason: str) -> None:
        """
        Send what is queued and close in an orderly manner.

        @param code: a WebSocket close code.
        @param reason: up to 123 bytes of UTF-8.
        """


class IReceiver(Interface):
    """
    A connection as its link sees it. The link drops it when it is closed or lost, and calls it no more then.
    """

    user: str | None = Attribute("The user id; C{None} before login.")

    heard: bool = Attribute("Set by the link whenever data has come; the heartbeat looks at it.")

    def open() -> None:
        """
        The link can send and receive. Called once, before anything else.
        """

    def receive(payload: bytes | str) -> bool | None:
        """
        Take one payload.

        @return: true if everything behind it has to wait until the connection resumes the link.
        """

    def close(reason: str, code: int) -> None:
        """
        End the connection, and close the link.
        """

    def lost(reason: str) -> None:
        """
        End the connection: the link is gone, or nothing more comes by it.
        """


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


class IPermission(Interface):
    """
    Who may do what. The router asks, and services for the actions that they judge.
    """

    def allows(message: Message, sender: IConnection, change: Change | None = None) -> bool | Deferred[bool]:
        """
        Whether C{sender} may do what C{message} asks, at once or later. A failure, always one of a Deferred that may
        have failed already, means that the rule could not be evaluated, and denies as well. The caller logs it, once;
        its text tells which rule and why, and is never for the client.

        @param message: of a bulk request, a copy with C{name} set to the one name in question; of a request that does
            several things, a copy with the action in question. The checks of a request that may create the record have
            the request's action as C{original_action}.
        @param change: the record in question at this moment, and what the request makes of it. Without it, a rule that
            refers to the record looks it up.
        """


class IDecider(Interface):
    """
    A permission that can name the rule that decided.
    """

    def decider(message: Message, name: str | None) -> str:
        """
        The rule that decides about C{message}, as a text for the log.

        @param name: the refused name, if the message has several.
        """


class IStore(Interface):
    """
    Where records are kept: a cache, or a storage.

    Operations on one name take effect in the order in which they are called; a store may group the writes of different
    names. A store that knows the answer returns a Deferred that has fired already: callers then go on at once. All
    Deferreds fail with L{dstwist.errors.StoreError} if the store cannot do what is asked. Callers watch the time; what
    an operation does after its caller gave up is up to the store, and other than being cancelled.
    """

    def start() -> Deferred[None]:
        """
        Get ready. Nothing else is called before the Deferred has fired.
        """

    def stop() -> Deferred[None]:
        """
        Finish what was asked so far, and let go of everything. Nothing is called after that.
        """

    def get(name: str) -> Deferred[Record | None]:
        """
        The record of that name; C{None} if there is none.
        """

    def set(name: str, version: int, data: Any) -> Deferred[None]:
        """
        Keep a record, whatever was there. A durable store has it on disk when the Deferred fires.
        """

    def delete(name: str) -> Deferred[None]:
        """
        Forget a record. It is no failure if there is none.
        """


class IRecordStore(IStore):
    """
    A store that takes a record as the object it is, so that its JSON text is made once for all.
    """

    def write(name: str, record: Record) -> Deferred[None]:
        """
        Like C{set}.
        """


class IInstantStore(IRecordStore):
    """
    A store that can do without Deferreds, at least now and then: those of two calls cost as much as a write to memory.
    """

    def known(name: str) -> Record | None:
        """
        The record of that name, if it can be told at once. C{None} says nothing: C{get} has to be asked.
        """

    def keep(name: str, record: Record) -> bool:
        """
        Keep a record at once, like C{set}. Otherwise do nothing, and give C{False}: C{set} has to be asked.
        """


class IStoreStatus(Interface):
    """
    A store that can report its state. Both methods answer at once.
    """

    def contents() -> str:
        """
        The content that the store found at the start, in a few words for the log: C{1234 records}, or that there is
        nothing yet.
        """

    def problem() -> str | None:
        """
        Why the store cannot write at present, as far as it knows; C{None} if it can. While there is a reason, the
        server tells load balancers that it is not ready. A limit that the operator has set is no such problem, nor is
        one write that cannot be done: clients could cause them.
        """


class IStoreMaker(Interface):
    """
    Makes the stores of a type that does not come with dstwist. A L{twisted.plugin.IPlugin} in C{twisted.plugins} that
    provides this is found by its name.
    """

    name: str = Attribute("What the configuration calls it: C{storage: {type: <name>}}.")

    def make(options: Mapping[str, Any], context: Any) -> IStore:
        """
        A store; nothing is opened before its start.

        @param options: as they stand in the configuration.
        @param context: a L{dstwist.plugins.PluginContext}.
        @raise ValueError: the options cannot be used. The text says which, and why.
        """


@dataclass(frozen=True)
class PeerCertificate:
    """
    Who a client is by a certificate that it has shown, and that an authority has signed which the server trusts.

    @ivar subject: all of it, as C{CN=ann,O=Example}.
    @ivar common_names: those in the subject.
    @ivar emails: the other names of the subject, by their kind.
    @ivar fingerprint: SHA-256 of the certificate, in hexadecimal digits.
    @ivar expires_at: in seconds since 1970.
    """

    subject: str
    common_names: tuple[str, ...]
    emails: tuple[str, ...]
    dns_names: tuple[str, ...]
    uris: tuple[str, ...]
    fingerprint: str
    expires_at: float


@dataclass(frozen=True)
class HandshakeData:
    """
    What is known of a client before its login.

    @ivar address: of the client; the proxies that stand before it are left out as far as they are trusted.
    @ivar headers: of the upgrade request, in lower case.
    @ivar url: the path and query of an HTTP request, for which alone the login is; C{None} for connections.
    @ivar certificate: what it has proved by TLS; C{None} if it has shown no certificate, or none that is good.
    @ivar path: the path of the URL that the client is connected to.
    @ivar number: the number of the connection; 0 for a request without one.
    """

    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    certificate: PeerCertificate | None = None
    path: str = ""
    number: int = 0

    @property
    def user(self) -> str | None:
        """
        The client before its login.
        """
        return None

    @property
    def origin(self) -> str | None:
        return self.headers.get("origin")

    @property
    def referer(self) -> str | None:
        return self.headers.get("referer")


@dataclass(frozen=True)
class Login:
    """
    What an authenticator decided.

    @ivar user: the user id; C{None} if the authenticator gave none.
    @ivar client_data: JSON text for the client, also of a refusal; C{None} for none.
    @ivar server_data: for permission rules; never leaves the server.
    @ivar final: for a refusal, whether it stands. Otherwise it was not this authenticator's business, and the next one
        is asked, if there is one.
    @ivar expires_at: when the login ends, and with it the connection, in seconds since 1970; C{None} for never.
    @ivar token: what the HTTP client is to log in with from now on.
    """

    accepted: bool
    user: str | None = None
    client_data: bytes | None = None
    server_data: Any = None
    final: bool = True
    expires_at: float | None = None
    token: Any = None


class IAuthenticator(Interface):
    """
    Decides who may connect.
    """

    def login(handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        """
        Decide on C{credentials}, a JSON object or array as the client sent it. Fails with
        L{dstwist.errors.AuthError} if no decision could be reached. Who cancels it does not want to know any more.
        """


class ILifecycle(Interface):
    """
    What an authenticator may be besides, if it has connections or threads.
    """

    def start() -> Deferred[None]:
        """
        Get ready. Logins come only after the Deferred has fired.
        """

    def stop() -> Deferred[None]:
        """
        Let go of everything. No login comes after that, and those under way need not be decided.
        """


class IDepartures(Interface):
    """
    What an authenticator may be besides, if it wants to know when its users leave.
    """

    def departed(user: str) -> None:
        """
        A connection that was logged in as C{user} is gone.
        """


class ICluster(Interface):
    """
    The other nodes. Messages reach each of them at most once, in order per sending node, and are not waited for.
    """

    is_single: bool = Attribute("Whether there are no other nodes, ever: L{publish} does nothing then.")

    def publish(message: Message) -> None:
        """
        Tell all other nodes.
        """
