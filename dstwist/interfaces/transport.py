"""
How bytes become messages and messages become bytes: codecs, wires, and the links and connections on both sides of them.

::

    client --bytes--> link --payload--> connection (IReceiver) --codec--> messages
    client <--bytes-- outbox <--frame-- wire <--------------------------- messages
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zope.interface import Attribute, Interface

from dstwist.protocol.message import Malformed, Message

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
