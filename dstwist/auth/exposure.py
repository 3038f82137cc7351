"""
The users of C{type: storage} are ordinary records. If no rule keeps clients from them, that deserves a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import maybeDeferred
from zope.interface import implementer

from dstwist.config.auth import AuthSettings
from dstwist.config.users import StorageSettings
from dstwist.interfaces import IConnection, IPermission, Record
from dstwist.log import Logger
from dstwist.protocol.constants import OPEN_USER, RecordAction, Topic
from dstwist.protocol.dialect import PROTOBUF
from dstwist.protocol.message import Message

_log = Logger()
_MISSING = Record(-1, None)


@implementer(IConnection)
class _Stranger:
    """
    A client that is nobody in particular, for asking what such a client may do.
    """

    user: str | None = OPEN_USER
    client_data: bytes | None = None
    server_data: Any = None
    address = "127.0.0.1"
    wire: Any = None
    dialect = PROTOBUF
    closed = False

    def send(self, message: Message) -> None:
        pass

    def write(self, frame: bytes) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def close(self, reason: str) -> None:
        pass

    def on_close(self, callback: Callable[[IConnection], None]) -> None:
        pass


async def warn_of_open_tables(auth: Iterable[AuthSettings], permission: IPermission) -> None:
    """
    Log a warning for each table of users that a client without a name may read.
    """
    for settings in auth:
        if isinstance(settings, StorageSettings):
            message = Message(Topic.RECORD, RecordAction.READ, f"{settings.table}/x")
            try:
                allowed = await maybeDeferred(permission.allows, message, _Stranger(), _MISSING)
            except Exception:
                # A rule that fails denies.
                continue
            if allowed:
                _log.warn(
                    'AUTH_ERROR | clients may read the users\' passwords; permissions need a rule for "{table}/*"',
                    table=settings.table,
                    event="AUTH_ERROR",
                )
