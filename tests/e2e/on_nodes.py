"""
Test cases of one server that run on the nodes of a cluster.
"""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import Any

from tests.e2e.nodes import Nodes
from tests.e2e.scenario import Scenario

_running: dict[tuple[Path | None, int], Nodes] = {}


def shared_nodes(config: Path | None, count: int, before: str) -> Nodes:
    """
    Running nodes with that configuration. There is one cluster at a time.
    """
    nodes = _running.get((config, count))
    if nodes is None or not nodes.running:
        while _running:
            _running.popitem()[1].kill()
        nodes = _running[config, count] = Nodes(count, config, before=before)
        atexit.register(nodes.kill)
        nodes.start()
    return nodes


class OnNodes(Scenario):
    """
    The server of a scenario is a cluster.

    @cvar count: the number of nodes.
    @cvar before: what each process runs first, in Python.
    """

    count = 3
    before = ""

    def server(self, tls: bool = False, config: Path | None = None) -> Any:
        nodes: Any = shared_nodes(config, self.count, self.before)
        nodes.begin_anew()
        self.servers.append(nodes)
        return nodes
