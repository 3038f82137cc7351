"""
A limit that a client would exceed, and the log line about its refusal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dstwist.log import Logger

_log = Logger()


class LimitExceeded(NamedTuple):
    """
    Why a client is refused.

    @ivar limit: the name of the limit, as in the configuration.
    @ivar text: the reason, for the client and the log.
    @ivar server_wide: all other clients are refused as well.
    """

    limit: str
    text: str
    server_wide: bool = False


def log_refusal(exceeded: LimitExceeded, client: dict[str, Any]) -> None:
    """
    Log that a client is refused.

    @param client: the fields of lines about the client, see L{dstwist.log.about}.
    """
    _log.warn(
        "LIMIT_EXCEEDED | {limit}: {client} refused: {text}",
        limit=exceeded.limit,
        text=exceeded.text,
        event="LIMIT_EXCEEDED",
        **client,
    )
