"""
All commands of the administration.
"""

from __future__ import annotations

from dstwist.admin.bans import BanCommands
from dstwist.admin.check import Check
from dstwist.admin.clients import Clients
from dstwist.admin.commands import Command
from dstwist.admin.lists import Lists
from dstwist.admin.names import Names
from dstwist.admin.nodes import OtherNodes
from dstwist.admin.overview import Overview
from dstwist.admin.parts import AdminParts
from dstwist.admin.trace import Traces
from dstwist.scheduling.turns import Turns


def all_commands(parts: AdminParts) -> list[Command]:
    """
    The commands for one node. In a cluster, it answers the questions of other nodes from now on.
    """
    nodes = OtherNodes(parts.cluster, parts.clock)
    lists = Lists(nodes, Turns.of(parts.clock))
    clients = Clients(parts, nodes, lists)
    groups = (
        Overview(parts),
        clients,
        BanCommands(parts, clients, nodes),
        Names(parts, nodes, lists),
        Traces(parts),
        Check(parts, nodes),
    )
    return [command for group in groups for command in group.commands()]
