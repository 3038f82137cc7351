"""
Makes the parts for operators: figures, and the administration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dstwist.admin.all_commands import all_commands
from dstwist.admin.parts import AdminParts
from dstwist.admin.server import build_admin
from dstwist.assembly.clients import ClientParts
from dstwist.assembly.logins import LoginParts
from dstwist.assembly.requests import PermissionParts, RequestParts
from dstwist.config.settings import Settings
from dstwist.counters.log_lines import LineCounts
from dstwist.figures.monitoring import Monitoring
from dstwist.figures.node_parts import NodeParts
from dstwist.figures.reactor_lag import ReactorLag
from dstwist.http_api.charges import Charges
from dstwist.limits.admission import Admission
from dstwist.scheduling.turns import Turns
from dstwist.store.from_settings import Stores


class OperationParts:
    """
    The parts for operators.

    @param charges: the memory of the requests to the HTTP API that are under way.
    @param not_ready: gives the reason why clients should use another node.
    @param reload: reads certificates, users and rules again.
    @param drain: sends the clients away within some seconds; false if that has begun before.
    @param label: the label of the node, for logs.
    @ivar admin: C{None} if the administration is switched off.
    @ivar monitoring: the figures, and the monitors that read them.
    """

    def __init__(
        self,
        settings: Settings,
        stores: Stores,
        logins: LoginParts,
        permitted: PermissionParts,
        requests: RequestParts,
        clients: ClientParts,
        admission: Admission,
        charges: Charges,
        not_ready: Callable[[], str | None],
        reload: Callable[[], bool],
        drain: Callable[[float], bool],
        data_dir: str | None,
        reactor: Any,
        label: str,
    ) -> None:
        administered = AdminParts(
            settings,
            clients.web_sockets,
            clients.streams,
            clients.batches,
            logins.users,
            requests.topics,
            stores,
            permitted.tiers,
            requests.cluster,
            clients.api.records,
            logins.request_logins,
            clients.hub.figures,
            not_ready,
            clients.hub.kicked,
            reload,
            drain,
            logins.bans,
            reactor,
            label,
        )
        self.admin = build_admin(settings.admin, data_dir, all_commands(administered), reactor, label)
        counted = NodeParts(
            summary=clients.hub.figures,
            not_ready=not_ready,
            turns=Turns.of(reactor),
            admission=admission,
            endpoints=clients.endpoints,
            request_logins=logins.request_logins,
            router=requests.router,
            denials=permitted.denials,
            permission=permitted.permission,
            topics=requests.topics,
            tiers=permitted.tiers,
            outgoing=requests.outgoing,
            incoming=clients.incoming,
            charges=charges,
            lines=LineCounts(),
            lag=ReactorLag(reactor),
            cluster=requests.cluster,
        )
        self.monitoring = Monitoring(settings.monitoring, counted, reactor, label)
