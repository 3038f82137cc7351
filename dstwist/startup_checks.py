"""
Warnings in the log about a configuration that permits too much, or too little.

====================================  ================================================================================
function                              warning
====================================  ================================================================================
L{tell_of_open_files}                 the system allows fewer connections than the configuration
L{warn_of_open_tables}                anonymous clients may read the records with the users of C{type: storage}
L{warn_of_open_doors}                 the network can reach a server without logins and without rules
L{warn_of_unasked_certificates}       logins by certificate are configured, but no port asks for certificates
====================================  ================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import maybeDeferred
from zope.interface import implementer

from dstwist.config.auth import AuthSettings, CertificateSettings, OpenSettings
from dstwist.config.users import StorageSettings
from dstwist.interfaces import IIdentity, IPermission
from dstwist.limits.open_files import MIN_CONNECTIONS, connections_within
from dstwist.log import OperatorLogger
from dstwist.protocol.constants import OPEN_USER, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD, Change

_log = OperatorLogger()


@implementer(IIdentity)
class _Stranger:
    """
    A client without a name: the checks ask what such a client may do.
    """

    user: str | None = OPEN_USER
    client_data: bytes | None = None
    server_data: Any = None
    address = "127.0.0.1"
    is_server = False


async def _allows(permission: IPermission, action: RecordAction, name: str) -> bool:
    """
    Whether a client without a name may do C{action} to the record C{name}.
    """
    message = Message(Topic.RECORD, action, name)
    try:
        return bool(await maybeDeferred(permission.allows, message, _Stranger(), Change(NO_RECORD, message)))
    except Exception:
        # A rule that fails denies.
        return False


def tell_of_open_files(files: int | None, max_connections: int | None) -> None:
    """
    Log how many files may be open and how many connections that allows; as a warning if these are few, or fewer than
    the configuration allows.

    @param files: C{None} if there is no limit.
    """
    most = connections_within(files)
    if files is None or most is None:
        _log.info("INFO | open files: no limit, so there is none for connections", event="INFO")
        return
    wanted = max_connections or 0
    if most < MIN_CONNECTIONS or most < wanted:
        _log.warn(
            "INFO | open files: {files} at most, which allows {most} connections{instead}. Raise the limit of the "
            "process (LimitNOFILE of systemd, ulimit -n)",
            files=files,
            most=most,
            instead=f" instead of the {wanted} of limits.maxConnections" if most < wanted else "",
            event="INFO",
        )
    else:
        _log.info(
            "INFO | open files: {files} at most, which allows {most} connections", files=files, most=most, event="INFO"
        )


async def warn_of_open_doors(auth: Iterable[AuthSettings], permission: IPermission, hosts: Iterable[object]) -> None:
    """
    Log a warning if every client on the network may read and delete any record.

    @param hosts: the addresses that the server listens on.
    """
    exposed = [str(host.host) for host in hosts if isinstance(host, (IPv4Address, IPv6Address)) and not _local(host)]
    if not exposed or not any(isinstance(settings, OpenSettings) for settings in auth):
        return
    if await _allows(permission, RecordAction.READ, "x") and await _allows(permission, RecordAction.DELETE, "x"):
        _log.warn(
            "AUTH_ERROR | every client that can reach {hosts} may do everything: auth accepts all clients, and the "
            "permissions allow them everything",
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


def warn_of_unasked_certificates(auth: Iterable[AuthSettings], asked: bool) -> None:
    """
    Log a warning if clients are to log in by certificate, but cannot.

    @param asked: whether a port asks its clients for a certificate.
    """
    if not asked and any(isinstance(settings, CertificateSettings) for settings in auth):
        _log.warn(
            "AUTH_ERROR | auth of type certificate: no port asks clients for a certificate (requestCert), so no "
            "client can log in with one",
            event="AUTH_ERROR",
        )
