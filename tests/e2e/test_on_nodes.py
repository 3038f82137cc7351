"""
The scenarios of one server, with each client at another node of a cluster: users cannot tell one from the other.
"""

from __future__ import annotations

import atexit
import sys
from pathlib import Path
from typing import Any

from tests.e2e import test_conflicts, test_events, test_lists, test_presence, test_records, test_rpc
from tests.e2e.nodes import Nodes
from tests.e2e.scenario import Scenario

_running: dict[Path | None, Nodes] = {}


def shared_nodes(config: Path | None) -> Nodes:
    """
    Running nodes with that configuration. There is one cluster at a time.
    """
    nodes = _running.get(config)
    if nodes is None or not nodes.running:
        while _running:
            _running.popitem()[1].kill()
        nodes = _running[config] = Nodes(config=config)
        atexit.register(nodes.kill)
        nodes.start()
    return nodes


class OnNodes(Scenario):
    """
    The server of a scenario is a cluster.
    """

    def server(self, tls: bool = False, config: Path | None = None) -> Any:
        nodes: Any = shared_nodes(config)
        nodes.begin_anew()
        self.servers.append(nodes)
        return nodes


def on_nodes(variants: Any, first: str, second: str = "v2") -> None:
    """
    Put the test case of C{variants}, for clients of these generations, into this module.
    """
    scenarios = variants[0].__base__
    name = scenarios.__name__
    places = {"__doc__": scenarios.__doc__, "__module__": __name__, "__qualname__": name}
    attributes = {"first": first, "second": second, "tls": False}
    setattr(sys.modules[__name__], name, type(name, (OnNodes, scenarios), {**attributes, **places}))


# Those with the same configuration are together, as trial runs them in the order of their names. The generations take
# turns: the other pairings differ at one server already.
on_nodes(test_events.EventTests, "v2", "v7")
on_nodes(test_rpc.RpcTests, "v7")
on_nodes(test_rpc.RpcValueTests, "v2", "v7")
on_nodes(test_presence.PresenceTests, "v7", "v2")
on_nodes(test_presence.QueryTests, "v2", "v7")
on_nodes(test_records.CoreTests, "v7")
on_nodes(test_records.LookTests, "v2")
on_nodes(test_records.PathTests, "v7")
on_nodes(test_records.AcknowledgementTests, "v2")
on_nodes(test_records.SetDataTests, "v7")
on_nodes(test_lists.ListTests, "v2")
on_nodes(test_lists.AnonymousRecordTests, "v7")
on_nodes(test_conflicts.ConflictTests, "v2", "v7")
on_nodes(test_conflicts.SeveralPathsTests, "v7", "v2")
