"""
From bytes to messages and back: codecs, wires, links, and the receivers of their payloads.

::

    client --bytes--> link --payload--> connection (IReceiver) --codec--> messages
    client <--bytes-- outbox <--frame-- wire <--------------------------- messages
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from zope.interface import Attribute, Interface

from dstwist.protocol.message import Malformed, Message

#: Gives the messages of one payload, see L{ICodec.decode}.
Decode = Callable[[bytes | str], list[Malformed | Message]]

#: A message as a wire has made it: C{bytes} for a socket. It has a length, in bytes; a frame of length 0 is not sent.
Frame = Any


class ICodec(Interface):
    """
    One protocol, sans-IO. It has no state, so that one codec serves all connections.
    """

    name: str = Attribute("The name of the protocol in logs.")

    def decode(payload: bytes | str) -> list[Message | Malformed]:
        """
        The messages of one payload, in order. A bad message does not affect its neighbours. Never raises.
        """

    def pieces(payload: bytes | str, size: int) -> list[bytes | str]:
        """
        A payload in parts. Each part has whole messages, and just enough of them to exceed C{size}. The parts, decoded
        one after the other, give the same messages as the payload. The last part may be longer: call this method for it
        again, until it is the only part. Never raises.
        """

    def names_apart(payload: bytes | str) -> Iterator[tuple[bytes | str, tuple[str, ...], bytes | str] | None]:
        """
        Read the names of a payload that is one bulk request, in steps. Each step gives C{None}. The last item is the
        same request with its first name only, all of its names, and the whole request as its message has it (C{raw}).
        There is no such item if the payload is not a valid bulk request with very many names. Never raises.
        """

    def json_apart(payload: bytes | str) -> tuple[bytes | str, bool] | None:
        """
        The JSON text in a payload that is one message, and whether decoding needs the value of the text (else it only
        needs to know that the text is JSON). C{None} if there is no text. Never raises.
        """

    def encode(message: Message) -> bytes:
        """
        The payload for C{message}; empty if this protocol has no form for it.
        """


class IWire(Interface):
    """
    Makes frames of messages, for all connections of one kind. Wires are compared by identity: a frame that is encoded
    for one connection of a wire can be written to all of them.
    """

    takes_patches: bool = Attribute("Its clients understand PATCH, the news of a change at one path.")

    patches_many: bool = Attribute("Its clients understand PATCH_MULTI, the news of changes at several paths.")

    def encode(message: Message) -> Frame:
        """
        The frame for C{message}, ready to be written; empty if this protocol has no form for it.
        """


class ICodecWire(IWire):
    """
    A transport's framing around a codec. There is one object for each combination.
    """

    codec: ICodec = Attribute("The codec inside.")

    def encode_constant(message: Message) -> Frame:
        """
        The same as C{encode}, for a C{message} that is a constant of a module: its frame is made once.
        """


class IOutbox(Interface):
    """
    The frames for one client. They leave in the order in which they come.
    """

    def write(frame: bytes) -> None:
        """
        Queue a frame. It leaves at the end of this turn of the reactor, or when C{outgoingBufferTimeout} is over. Never
        calls back, even if the connection is lost.
        """

    def answer(frame: bytes) -> None:
        """
        Queue a frame that is for this client alone. Many such frames do not gather: they leave before the end of the
        turn.
        """

    def flush() -> None:
        """
        Send all queued frames now.
        """


class ILink(Interface):
    """
    A transport as its connection sees it. It moves payloads and frames, and decides nothing.
    """

    address: str = Attribute("The address of the client, for logs: C{'192.0.2.1'}.")

    outbox: IOutbox = Attribute(
        "The frames for the client. It stays the same object, so that a connection may keep its methods, which saves a "
        "call for each frame."
    )

    def logged_in() -> None:
        """
        The client has logged in: it may send longer messages from now on.
        """

    def pause() -> None:
        """
        Stop reading from the client. Messages that have been read already still arrive.
        """

    def resume() -> None:
        """
        Read on.
        """

    def close(code: int, reason: str) -> None:
        """
        Send all queued frames, and close in order.

        @param code: a WebSocket close code.
        @param reason: up to 123 bytes of UTF-8.
        """


class IReceiver(Interface):
    """
    A connection as its link sees it. The link drops it when it is closed or lost, and does not call it after that.
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

        @return: true if all payloads behind it have to wait until the connection resumes the link.
        """

    def count_bytes(count: int) -> None:
        """
        C{count} bytes have come, if there is a limit of their rate. Called after L{receive} of their payloads.
        """

    def close(reason: str, code: int) -> None:
        """
        End the connection, and close the link.
        """

    def lost(reason: str) -> None:
        """
        End the connection: the link is lost, or brings no more payloads.
        """
