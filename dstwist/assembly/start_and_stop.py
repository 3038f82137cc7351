"""
Lists the parts that start and stop with a node, for L{dstwist.lifecycle.Lifecycle}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from dstwist.admin.server import AdminServer
from dstwist.assembly.logins import LoginParts
from dstwist.assembly.requests import RequestParts
from dstwist.auth.methods import describe as describe_authentication
from dstwist.config.settings import Settings
from dstwist.dependencies import Dependencies, Dependency
from dstwist.figures.monitoring import Monitoring
from dstwist.interfaces import IPermission
from dstwist.lifecycle import Watcher
from dstwist.log import labelled
from dstwist.reload.on_sighup import Reloads
from dstwist.startup_checks import (
    tell_of_open_files,
    warn_of_open_doors,
    warn_of_open_tables,
    warn_of_unasked_certificates,
)
from dstwist.store.from_settings import Stores
from dstwist.store.loss import LossWatch
from dstwist.tls.certificates import ServerCertificate
from dstwist.transports.ports import Ports


def watchers(
    monitoring: Monitoring,
    certificates: Iterable[ServerCertificate],
    requests: RequestParts,
    logins: LoginParts,
    reloads: Reloads,
    reactor: Any,
    label: str,
) -> list[Watcher]:
    """
    The monitors, and the parts that read their files again when these change.
    """

    def run(section: str) -> bool:
        with labelled(label):
            return reloads.run_section(section)

    rules, users = requests.rules, logins.reload
    return [
        Watcher(monitoring.start, monitoring.stop),
        *(Watcher(partial(certificate.start, reactor), certificate.stop) for certificate in certificates),
        Watcher(partial(rules.start, partial(run, "permission")), rules.stop),
        Watcher(partial(users.start, partial(run, "auth")), users.stop),
    ]


def dependencies(
    settings: Settings,
    stores: Stores,
    logins: LoginParts,
    requests: RequestParts,
    admin: AdminServer | None,
    lost: Callable[[str], object],
    reactor: Any,
) -> Dependencies:
    """
    The parts of the server that may take long to start.

    @param lost: called with the reason if a store is lost, with C{exitOnFatalError}.
    """
    found = [
        Dependency("storage", stores.storage, stores.describe_storage),
        Dependency("cache", stores.cache, lambda: stores.cache_description),
        Dependency("authentication", logins.authenticator, lambda: describe_authentication(settings.auth)),
    ]
    cluster = requests.cluster
    if cluster is not None:
        # A member that differs may be dead, which shows after leaseTime.
        waits = cluster.settings.lease_time + cluster.settings.join_timeout
        found.append(Dependency("cluster", cluster, lambda: cluster.description, waits))
    if settings.exit_on_fatal_error:
        watch = LossWatch(
            [("storage", stores.storage), ("cache", stores.cache)],
            settings.dependency_initialization_timeout,
            lost,
            reactor,
        )
        found.append(Dependency("exitOnFatalError", watch, lambda: watch.description))
    if admin is not None:
        # The last to start, and the first to stop: its commands ask the others.
        found.append(Dependency("administration", admin, lambda: admin.description))
    return started_in_turn(found, settings, reactor)


def started_in_turn(parts: Sequence[Dependency], settings: Settings, reactor: Any) -> Dependencies:
    """
    C{parts}, with the time-outs of the settings.
    """
    return Dependencies(parts, settings.dependency_initialization_timeout, settings.shutdown_timeout, reactor)


async def check(
    settings: Settings,
    permission: IPermission,
    ports: Ports,
    certificates: Sequence[ServerCertificate],
    files: int | None,
) -> None:
    """
    Log warnings about the configuration. The dependencies have started: permission rules may look at records.

    @param files: how many files the process may have open; C{None} if that is not known.
    """
    tell_of_open_files(files, settings.limits.max_connections)
    await warn_of_open_tables(settings.auth, permission)
    await warn_of_open_doors(settings.auth, permission, ports.hosts)
    warn_of_unasked_certificates(settings.auth, any(each.asks for each in certificates))
