"""
Tests with examples of Hypothesis, wherever they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TESTS = Path(__file__).resolve().parent


def sets_of_settings(tree: ast.Module) -> Iterator[dict[str | None, str]]:
    """
    The arguments of each C{settings(...)} of Hypothesis in a module.
    """
    names = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "hypothesis"
        for alias in node.names
        if alias.name == "settings"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}


class SettingsTests(SynchronousTestCase):
    """
    What tests may depend on.
    """

    def test_steady(self) -> None:
        """
        A property test has the same examples in each run, and no time limit for one of them: a busy machine or a rare
        example must not fail a run that has nothing to do with it.
        """
        found = 0
        for path in sorted(TESTS.rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            text = path.read_text(encoding="utf-8")
            if "hypothesis" not in text:
                continue
            tree = ast.parse(text)
            for arguments in sets_of_settings(tree):
                found += 1
                self.assertEqual(arguments.get("deadline"), "None", path)
                self.assertIn("derandomize", arguments, path)
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    kinds = [_kind(decorator) for decorator in node.decorator_list]
                    if "given" in kinds:
                        others = [kind for kind in kinds if kind not in ("given", "example")]
                        self.assertTrue(others, f"{path}: {node.name} has no settings")
        self.assertGreater(found, 20)


def _kind(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.id if isinstance(called, ast.Name) else ast.unparse(called)
