"""
Log lines about clients that speak the protocol of the other generation. Such a client would not understand an answer.

=====================  ====================================================================================
client                 behaviour on the path of the other generation
=====================  ====================================================================================
v4 and later           sends a binary frame at once, which is no message there; if closed, it comes back at once
v2 and v3              waits for the server to speak first, and leaves after its heartbeat's time
=====================  ====================================================================================
"""

from __future__ import annotations

from dstwist.log import LoggedClient, Logger, about
from dstwist.protocol.dialect import Dialect
from dstwist.protocol.message import UNREADABLE, Malformed, Message

#: A client that has sent nothing for this time, in seconds, may have waited for the server to speak.
SILENCE_SECONDS = 1.0

# By the frames they send.
_GENERATIONS = {"binary": "v4 and later", "text": "v2 and v3"}

_log = Logger()


def is_of_other_generation(message: Message | Malformed, dialect: Dialect) -> bool:
    """
    Whether C{message} came in a frame that clients of C{dialect} do not send, and is none. Clients that send text may
    send it in binary frames; then it is a message.
    """
    if not isinstance(message, Malformed):
        return False
    if dialect.endpoint == "ws-json":
        return message.fault in UNREADABLE and isinstance(message.raw, bytes)
    return isinstance(message.raw, str if dialect.endpoint == "ws-binary" else bytes)


def log_generation(client: LoggedClient, dialect: Dialect) -> None:
    """
    A client has sent frames of the other generation.

    @param dialect: of the path.
    """
    sent = "text" if dialect.endpoint == "ws-binary" else "binary"
    _log.warn(
        "INVALID_MESSAGE | {client} sends {sent} frames, as clients of {generation} do, to {path}, which is of type "
        "{served}: connect it to a path of type ws-{sent}{remedy}",
        sent=sent,
        generation=_GENERATIONS[sent],
        served=dialect.endpoint,
        remedy="" if dialect.endpoint == "ws-json" else _both(client),
        event="INVALID_MESSAGE",
        **about(client),
    )


def log_silence(client: LoggedClient, seconds: float, dialect: Dialect) -> None:
    """
    A client has gone without sending anything, on a path where clients speak first.
    """
    if seconds >= SILENCE_SECONDS:
        _log.info(
            "INVALID_MESSAGE | {client} has said nothing for {seconds:.0f} s on {path}, which is of type {served}; "
            "if it is a client of v2 or v3, which waits for the server to speak, connect it to a path of type ws-text"
            "{remedy}",
            seconds=seconds,
            served=dialect.endpoint,
            remedy=_both(client) if dialect.endpoint == "ws-binary" else "",
            event="INVALID_MESSAGE",
            **about(client),
        )


def _both(client: LoggedClient) -> str:
    """
    The other remedy: clients that send text in the JSON protocol need a path of their own.
    """
    return f", or give {client.path} both types (connectionEndpoints)"
