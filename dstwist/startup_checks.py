"""
What deserves a warning: the users of C{type: storage} are ordinary records, which clients may read if no rule keeps
them from it; and a server on the network may let everybody do everything, as it does without a configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import maybeDeferred
from zope.interface import implementer

from dstwist.config.auth import AuthSettings, OpenSettings
from dstwist.config.users import StorageSettings
from dstwist.interfaces import IConnection, IPermission, Work
from dstwist.log import OperatorLogger
from dstwist.protocol.constants import OPEN_USER, RecordAction, Topic
from dstwist.protocol.dialect import PROTOBUF
from dstwist.protocol.message import Message
from dstwist.record import NOTHING, Change

_log = OperatorLogger()


@implementer(IConnection)
class _Stranger:
    """
    A client that is nobody in particular, for asking what such a client may do.
    """

    user: str | None = OPEN_USER
    client_data: bytes | None = None
    server_data: Any = None
    address = "127.0.0.1"
    path = ""
    number = 0
    wire: Any = None
    dialect = PROTOBUF
    closed = False

    def send(self, message: Message) -> None:
        pass

    def write(self, frame: bytes) -> None:
        pass

    def do(self, work: Work) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def close(self, reason: str) -> None:
        pass

    def on_close(self, callback: Callable[[IConnection], None]) -> None:
        pass


async def _allows(permission: IPermission, action: RecordAction, name: str) -> bool:
    """
    Whether a client without a name may do that to a record.
    """
    message = Message(Topic.RECORD, action, name)
    try:
        return bool(await maybeDeferred(permission.allows, message, _Stranger(), Change(NOTHING, message)))
    except Exception:
        # A rule that fails denies.
        return False


async def warn_of_open_doors(auth: Iterable[AuthSettings], permission: IPermission, hosts: Iterable[object]) -> None:
    """
    Log a warning if anybody who can reach one of C{hosts}, the addresses that the server listens on, may read and
    delete any record.
    """
    exposed = [str(host.host) for host in hosts if isinstance(host, (IPv4Address, IPv6Address)) and not _local(host)]
    if not exposed or not any(isinstance(settings, OpenSettings) for settings in auth):
        return
    if await _allows(permission, RecordAction.READ, "x") and await _allows(permission, RecordAction.DELETE, "x"):
        _log.warn(
            "AUTH_ERROR | whoever can reach {hosts} may do everything: auth lets everybody in, and no rule keeps "
            "anybody from anything",
            hosts=", ".join(exposed),
            event="AUTH_ERROR",
        )


def _local(host: IPv4Address | IPv6Address) -> bool:
    try:
        return ip_address(host.host.partition("%")[0]).is_loopback
    except ValueError:
        return host.host == "localhost"


async def warn_of_open_tables(auth: Iterable[AuthSettings], permission: IPermission) -> None:
    """
    Log a warning for each table of users that a client without a name may read.
    """
    for settings in auth:
        if isinstance(settings, StorageSettings):
            if await _allows(permission, RecordAction.READ, f"{settings.table}/x"):
                _log.warn(
                    'AUTH_ERROR | clients may read the users\' passwords; permissions need a rule for "{table}/*"',
                    table=settings.table,
                    event="AUTH_ERROR",
                )
