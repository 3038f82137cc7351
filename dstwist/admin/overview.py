"""
The commands about the server as a whole: C{status}, C{cluster}, C{reload} and C{log-level}.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import Any

from dstwist import __version__
from dstwist.admin.commands import Answer, Command, CommandError, Parameters
from dstwist.admin.parts import AdminParts
from dstwist.cluster.condition import condition_of
from dstwist.interfaces import IStoreStatus
from dstwist.log import LEVELS, Logger, change_level

#: How long a drain takes if neither the operator nor C{drainTime} says it, and how long it may take, in seconds.
DRAIN_SECONDS = 30
MAX_DRAIN_SECONDS = 86400


class Overview:
    """
    Commands about one node.
    """

    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts
        self._began = parts.clock.seconds()

    def commands(self) -> list[Command]:
        """
        The commands.
        """
        return [
            Command("status", self.status),
            Command("cluster", self.cluster),
            Command("reload", self.reload, changes=True),
            Command("log-level", self.log_level, ("level",), changes=True),
            Command("drain", self.drain, ("seconds",), changes=True),
        ]

    def status(self, parameters: Parameters) -> Answer:
        """
        The state of the node, and its figures.
        """
        parts = self._parts
        figures = parts.figures()
        reason = parts.not_ready()
        return {
            "name": parts.settings.server_name,
            "version": __version__,
            "pid": os.getpid(),
            "time": int(time.time()),
            "uptime": int(parts.clock.seconds() - self._began),
            "ready": reason is None,
            "reason": reason,
            "logLevel": Logger.level_name(),
            "memory": resident_bytes(),
            "connections": figures.connections,
            "streams": figures.streams,
            "users": figures.users,
            "handles": figures.handles,
            "events": figures.events,
            "records": figures.records,
            "procedures": figures.procedures,
            "cachedRecords": figures.cached_records,
            "storage": _store(parts.stores.storage, parts.stores.storage_description),
            "cache": _store(parts.stores.cache, parts.stores.cache_description),
            "nodes": 1 if figures.cluster is None else figures.cluster.members,
        }

    def cluster(self, parameters: Parameters) -> Answer:
        """
        The nodes of the cluster, and the part of this one.
        """
        cluster = self._parts.cluster
        if cluster is None:
            raise CommandError("this server is not in a cluster", 409)
        membership = cluster.membership
        owned: dict[str | None, int] = {}
        for assignment in membership.assignments:
            owned[assignment.owner] = owned.get(assignment.owner, 0) + 1
        members = [
            {
                "node": node,
                "this": node == membership.node,
                "version": member.software,
                "leaving": member.leaving,
                **condition_of(cluster, node)._asdict(),
                "partitions": owned.get(node, 0),
            }
            for node, member in sorted(membership.members.items())
        ]
        figures: dict[str, Any] = _camel_keys(asdict(cluster.figures.count()))
        age = figures["leaseAge"]
        figures["leaseAge"] = None if age is None else round(age, 3)
        return {"reason": cluster.not_ready(), **figures, "members": members}

    def reload(self, parameters: Parameters) -> Answer:
        """
        Read certificates, users and rules again.
        """
        return {"fine": self._parts.reload()}

    def log_level(self, parameters: Parameters) -> Answer:
        """
        Log from another level on, until the next reload or restart.
        """
        level = parameters.needed("level").upper()
        if level not in LEVELS:
            raise CommandError(f"level: expected one of {', '.join(LEVELS)}")
        return {"level": level, "before": change_level(level)}

    def drain(self, parameters: Parameters) -> Answer:
        """
        Send the clients away in small groups, and refuse new ones.
        """
        usual = round(self._parts.settings.drain_time) or DRAIN_SECONDS
        seconds = parameters.number("seconds", usual, 0, MAX_DRAIN_SECONDS)
        if not self._parts.drain(seconds):
            raise CommandError(self._parts.not_ready() or "the clients are sent away already", 409)
        figures = self._parts.figures()
        return {"clients": figures.connections + figures.streams, "seconds": seconds}


def resident_bytes() -> int | None:
    """
    The memory of the process; C{None} where the system does not tell it.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _store(store: object, description: str) -> dict[str, Any]:
    status = None if store is None else IStoreStatus(store, None)
    return {"description": description, "problem": None if status is None else status.problem()}


def _camel_keys(fields: dict[str, Any]) -> dict[str, Any]:
    """
    C{fields} with the names of JSON, also in fields that are objects. The names of causes have no underscores.
    """
    return {_camel(name): _camel_keys(value) if isinstance(value, dict) else value for name, value in fields.items()}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
