"""
Tests for L{dstwist.permission.valve.scope}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.permission.valve.regex import Regex
from dstwist.permission.valve.scope import CONSTANTS, KINDS, NAMES, NAMESPACES, Scope
from dstwist.permission.valve.values import Function, Meter
from dstwist.protocol.typed import UNDEFINED


class ScopeTests(SynchronousTestCase):
    """
    The names that a rule may use.
    """

    def test_values(self) -> None:
        """
        Each name has the value of the decision at hand; data and oldData are undefined until they are loaded.
        """
        user: dict[str, Any] = {"id": "ann"}
        scope = Scope(user, "READ", "a", (), Meter(1))
        values = {name: code(scope) for name, code in NAMES.items()}
        self.assertEqual(
            values,
            {"user": user, "data": UNDEFINED, "oldData": UNDEFINED, "now": 0.0, "action": "READ", "name": "a"},
        )
        scope.data = 5
        self.assertEqual(NAMES["data"](scope), 5)

    def test_one_meaning(self) -> None:
        """
        No name has two meanings.
        """
        names = [*NAMES, *CONSTANTS, *NAMESPACES]
        self.assertEqual(len(names), len(set(names)))

    def test_instances(self) -> None:
        """
        C{instanceof} knows the objects that rules can have; texts and numbers are no objects.
        """
        values: tuple[Any, ...] = ([], {}, Regex("a"), Function("trim"), "a", 5.0)
        found = {kind: [is_kind(value) for value in values] for kind, is_kind in KINDS.items()}
        self.assertEqual(found["Array"], [True, False, False, False, False, False])
        self.assertEqual(found["Object"], [True, True, True, True, False, False])
        self.assertEqual(found["RegExp"], [False, False, True, False, False, False])
        self.assertEqual(found["Function"], [False, False, False, True, False, False])
        self.assertFalse(any(found["String"] + found["Number"] + found["Boolean"]))
