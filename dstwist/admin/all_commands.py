"""
All commands of the administration.
"""

from __future__ import annotations

from dstwist.admin.clients import Clients
from dstwist.admin.commands import Command
from dstwist.admin.names import Names
from dstwist.admin.overview import Overview
from dstwist.admin.parts import NodeParts


def all_commands(parts: NodeParts) -> list[Command]:
    """
    The commands for one node.
    """
    return [*Overview(parts).commands(), *Clients(parts).commands(), *Names(parts).commands()]
