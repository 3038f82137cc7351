"""
Tests for L{dstwist.config.permission}.
"""

from __future__ import annotations

import json
from typing import Any

from tests.config.helpers import ConfigCase

OPEN: dict[str, Any] = {
    "record": {"*": dict.fromkeys(("create", "read", "write", "delete", "listen", "notify"), True)},
    "event": {"*": {"publish": True, "subscribe": True, "listen": True}},
    "rpc": {"*": {"provide": True, "request": True}},
    "presence": {"*": {"allow": True}},
}


class PermissionTests(ConfigCase):
    """
    C{permission}.
    """

    def test_permission(self) -> None:
        """
        Permissions may be off, or rules: loaded, inline or, as in v4, by path.
        """
        self.assertEqual("none", self.load("permission: {type: none}").permission.type)
        file = self.write("rules.json", json.dumps(OPEN))
        for options, key, source in (
            ({"permissions": OPEN}, "permissions", None),
            ({"permissions": "fileLoad(rules.json)"}, "permissions", file),
            ({"path": "./rules.json"}, "path", file),
        ):
            permission = self.load_tree(permission={"type": "config", "options": options}).permission
            self.assertEqual(("config", OPEN), (permission.type, permission.permissions))
            self.assertEqual((f"permission.options.{key}", source), (permission.where, permission.file))

    def test_permission_options(self) -> None:
        """
        The limits of rules, and what new ones lead to, have defaults and can be set.
        """
        options: dict[str, Any] = {"permissions": OPEN}
        permission = self.load_tree(permission={"type": "config", "options": options}).permission
        self.assertEqual((3, 60.0), (permission.max_rule_iterations, permission.cache_evacuation_interval))
        self.assertEqual((100000, 200000), (permission.max_cached_names, permission.max_rule_steps))
        self.assertFalse(permission.log_rule_values)
        self.assertEqual((60.0, True), (permission.reload_interval, permission.recheck_subscriptions))
        options |= {"reloadInterval": 500, "recheckSubscriptions": False}
        options |= {"maxRuleIterations": 7, "cacheEvacuationInterval": 500, "maxRuleSteps": 1000, "maxCachedNames": 5}
        permission = self.load_tree(permission={"type": "config", "options": options}).permission
        self.assertEqual((7, 0.5), (permission.max_rule_iterations, permission.cache_evacuation_interval))
        self.assertEqual((5, 1000), (permission.max_cached_names, permission.max_rule_steps))
        self.assertEqual((0.5, False), (permission.reload_interval, permission.recheck_subscriptions))
        for nothing in (False, None):
            options["reloadInterval"] = nothing
            permission = self.load_tree(permission={"type": "config", "options": options}).permission
            self.assertIsNone(permission.reload_interval)

    def test_permission_of_nobody(self) -> None:
        """
        Rules are not part of the text of the settings for the log, because they can contain names of users.
        """
        settings = self.load_tree(permission={"type": "config", "options": {"permissions": OPEN}})
        self.assertEqual("<PermissionSettings config>", repr(settings.permission))

    def test_refused(self) -> None:
        """
        A section that does not say clearly what decides is refused.
        """
        self.assert_refused(
            ("permission: ", "permission.type: missing; say none if that is what is meant"),
            ("permission: {type: valve}", "permission.type: expected one of none, config"),
            ("permission: {path: ./p}", 'permission.path: expected file.py:Class or package.module:Class, got "./p"'),
            ("permission: {path: p.js}", "permission.path: JavaScript cannot run here; see docs/permissions.rst"),
            ("permission: {path: p.py:P, max: 1}", "permission.max: unknown option beside path"),
            ("permission: {type: config}", "permission.options: expected the rules"),
            ("permission: {type: config, options: {path: 5}}", "permission.options.path: expected a text, got 5"),
            (
                "permission: {type: config, options: {permissions: {}, path: rules.yml}}",
                "permission.options: expected the rules",
            ),
            (
                "permission: {type: config, options: {permissions: {}, maxRuleIterations: 0}}",
                "permission.options.maxRuleIterations: Maximum rule iteration has to be at least one",
            ),
            (
                "permission: {type: config, options: {permissions: {}, maxRuleSteps: 1}}",
                "permission.options.maxRuleSteps: expected a number from 100",
            ),
            (
                "permission: {type: config, options: {permissions: fileLoad(none.yml)}}",
                "permission.options.permissions: cannot load",
            ),
        )
