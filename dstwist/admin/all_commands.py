"""
All commands of the administration.
"""

from __future__ import annotations

from dstwist.admin.bans import BanCommands
from dstwist.admin.clients import Clients
from dstwist.admin.commands import Command
from dstwist.admin.names import Names
from dstwist.admin.overview import Overview
from dstwist.admin.parts import NodeParts
from dstwist.admin.trace import Traces


def all_commands(parts: NodeParts) -> list[Command]:
    """
    The commands for one node.
    """
    clients = Clients(parts)
    groups = (Overview(parts), clients, BanCommands(parts, clients), Names(parts), Traces(parts))
    return [command for group in groups for command in group.commands()]
