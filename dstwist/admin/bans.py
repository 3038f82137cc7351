"""
The commands C{ban}, C{unban} and C{bans}: users and addresses whose clients are refused.

A ban closes the connections that there are. It is kept in memory: it ends with its time, with C{unban}, or with the
server.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.admin.clients import Clients
from dstwist.admin.commands import Command, CommandError, Parameters, Result
from dstwist.admin.parts import NodeParts
from dstwist.limits.addresses import key_of
from dstwist.limits.bans import BanTable

#: The close reason of a client that is banned.
BANNED = "banned by the operator"

#: The longest ban with an end, in seconds: ten years.
MAX_SECONDS = 10 * 366 * 86400


class BanCommands:
    """
    Commands about the bans of one node.
    """

    def __init__(self, parts: NodeParts, clients: Clients) -> None:
        self._bans = parts.bans
        self._clients = clients

    def commands(self) -> list[Command]:
        """
        The commands.
        """
        return [
            Command("ban", self.ban, ("user", "address", "seconds"), changes=True),
            Command("unban", self.unban, ("user", "address"), changes=True),
            Command("bans", self.bans),
        ]

    def ban(self, parameters: Parameters) -> Deferred[Result]:
        """
        Refuse a user or an address, and close their connections.
        """
        table, name = self._banned(parameters)
        seconds = parameters.number("seconds", 0, 1, MAX_SECONDS) or None
        if not table.add(name, seconds):
            raise CommandError("there are too many bans", 409)
        return Deferred.fromCoroutine(self._close(table, name, seconds))

    async def _close(self, table: BanTable, name: str, seconds: float | None) -> Result:
        if table is self._bans.users:
            kicked = await self._clients.kick_user(name, BANNED)
        else:
            kicked = await self._clients.kick_address(name, BANNED)
        return {"banned": name, "seconds": seconds, "kicked": kicked}

    def unban(self, parameters: Parameters) -> Result:
        """
        End a ban.
        """
        table, name = self._banned(parameters)
        return {"ended": table.discard(name)}

    def bans(self, parameters: Parameters) -> Result:
        """
        All bans.
        """
        rows: list[dict[str, Any]] = []
        for kind, table in (("user", self._bans.users), ("address", self._bans.addresses)):
            for name, seconds in sorted(table.left().items()):
                rows.append({"kind": kind, "name": name, "seconds": None if seconds is None else int(seconds)})
        return {"bans": rows}

    def _banned(self, parameters: Parameters) -> tuple[BanTable, str]:
        user, address = parameters.text("user"), parameters.text("address")
        if (user is None) == (address is None):
            raise CommandError("expected either user or address")
        if user is not None:
            return self._bans.users, user
        assert address is not None
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise CommandError("address: expected an address of IPv4 or IPv6") from None
        key = key_of(address)
        assert key is not None
        return self._bans.addresses, key
