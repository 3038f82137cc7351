"""
Random histories of listening on several nodes (L{tests.routing.listening_history}), and the proof that they find
mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.node_searches import NodeSearches
from dstwist.cluster.shared_patterns import SharedPatterns
from dstwist.routing.cluster_demand import ClusterDemand
from dstwist.routing.wanted_names import WantedNames
from tests.routing.listening_history import PLANS, wrong_in

#: How many histories of each kind the suite runs. Each history takes about 0.15 s of CPU.
HISTORIES = 2

#: In how many histories a mistake is looked for.
MAX_HISTORIES = 60


class HistoryTests(SynchronousTestCase):
    """
    At rest, a wanted name that an accepting listener matches has one provider, and no other name has one. Subscribers
    are told so in turns.
    """

    def test_histories(self) -> None:
        """
        Whatever happens to nodes and engines.
        """
        for plan in PLANS:
            for number in range(HISTORIES):
                self.assertEqual(wrong_in(plan, number), {}, f"{plan} {number}")


class MutationTests(SynchronousTestCase):
    """
    The histories find each of these mistakes.
    """

    def find(self, plan: str, owner: type, method: str, replacement: Callable[..., Any] = lambda *_: None) -> None:
        self.patch(owner, method, replacement)
        found = any(wrong_in(plan, number) for number in range(MAX_HISTORIES))
        self.assertTrue(found, f"{method} is not needed")

    def test_no_repeats(self) -> None:
        """
        A node is asked once.
        """
        self.find("bus loses", NodeSearches, "_repeat")

    def test_no_digests(self) -> None:
        """
        Nodes do not compare their patterns.
        """
        self.find("bus loses", SharedPatterns, "_send_sum")

    def test_no_watch(self) -> None:
        """
        The node of a provider does not hear that the name is not wanted any more.
        """
        self.find("all", ClusterDemand, "_told")

    def test_no_answers(self) -> None:
        """
        The owner does not hear that a node has no provider.
        """
        self.find("bus loses", ClusterDemand, "not_found")

    def test_dead_nodes(self) -> None:
        """
        The owner waits for the answer of a dead node.
        """

        def membership_changed(searches: NodeSearches) -> None:
            searches._members = dict.fromkeys(searches._membership.members)

        self.find("two nodes", NodeSearches, "_membership_changed", membership_changed)

    def test_no_end(self) -> None:
        """
        A second provider is not told to stop.
        """
        self.find("store goes back", NodeSearches, "_send_end")

    def test_no_new_patterns(self) -> None:
        """
        Names that are wanted already are not searched for when a pattern comes.
        """
        self.find("two nodes", WantedNames, "_patterns_came")

    def test_no_new_listeners(self) -> None:
        """
        Searches that have asked all nodes do not go on when a listener comes.
        """
        self.find("bus repeats", NodeSearches, "_listeners_came")

    def test_no_again(self) -> None:
        """
        Listeners that have declined are not asked again.
        """
        self.find("two nodes", NodeSearches, "_asked_again")
