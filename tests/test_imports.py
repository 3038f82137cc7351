"""
Who may import whom: downwards only, so that each part can be understood, tested and replaced without those above it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import dstwist

# From the bottom up: a part may import those of the groups before its own, and its own package.
GROUPS = (
    {"__init__"},
    {"errors", "shipped", "memory", "weights", "budgets", "open_files"},
    {"protocol"},
    {"addresses", "config", "log", "patterns", "record"},
    {"log_limit", "shortage"},
    {"interfaces", "matching", "outgoing", "slices", "underway"},
    {"custom", "denials", "tls", "certificates", "reloading", "watching"},
    {"heartbeat", "deadlines", "users", "admission", "metering", "subscriptions", "candidates", "offers"}
    | {"own_subscriptions", "providers", "newcomers", "rematch", "verdicts", "searches", "listeners"}
    | {"names", "router", "expiry", "reception", "entrance", "connection", "recheck", "wrong_path"},
    {"services", "permission", "auth", "store", "cluster", "transports"},
    {"listening", "ports", "collector", "polling"},
    {"node"},
    {"process"},
    {"tap"},
    {"cli_permissions", "cli_reference", "cli_service"},
    {"cli"},
    {"__main__"},
)

# Within a group nobody imports another, with these exceptions, which must stay free of circles.
SIDEWAYS = {
    "certificates": {"tls", "watching"},
    "listening": {"ports"},
    "offers": {"candidates"},
    "own_subscriptions": {"subscriptions"},
    "providers": {"candidates", "subscriptions"},
    "newcomers": {"candidates"},
    "verdicts": {"candidates"},
    "searches": {"subscriptions", "deadlines", "candidates", "newcomers", "offers", "rematch", "verdicts"}
    | {"own_subscriptions", "providers"},
    "listeners": {"subscriptions", "candidates", "offers", "searches"},
    "router": {"names"},
    "admission": {"deadlines"},
    "reception": {"router", "heartbeat", "users", "admission"},
    "entrance": {"reception", "admission", "expiry", "metering", "wrong_path"},
    "connection": {"reception", "entrance", "metering"},
}

# What beside the standard library and dstwist; none where nothing is said.
ZOPE = {"zope.interface"}
SERVING = {
    *ZOPE,
    "twisted.internet.defer",
    "twisted.internet.interfaces",
    "twisted.internet.task",
    "twisted.python.failure",
}
FOREIGN = {
    "protocol": {"orjson"},
    "config": {"ruamel.yaml", "twisted.internet.ssl", "OpenSSL", "cryptography"},
    "log": {"twisted.logger", "constantly"},
    "shortage": {*ZOPE, "twisted.logger", "twisted.python.failure"},
    "log_limit": {*ZOPE, "twisted.internet.interfaces", "twisted.logger", "constantly"},
    "patterns": {"re2"},
    "interfaces": {*ZOPE, "twisted.internet.defer"},
    "matching": {"re2"},
    "denials": {*ZOPE, "twisted.python.failure"},
    "outgoing": SERVING,
    "slices": SERVING,
    "underway": SERVING,
    "tls": {"OpenSSL", "cryptography"},
    "certificates": {*ZOPE, "twisted", "OpenSSL", "cryptography"},
    "listening": {"twisted"},
    "ports": {*ZOPE, "twisted"},
    "process": {*ZOPE, "twisted"},
    "collector": SERVING,
    "polling": {"twisted.internet.epollreactor"},
    "heartbeat": SERVING,
    "deadlines": SERVING,
    "users": SERVING,
    "admission": SERVING,
    "metering": SERVING,
    "subscriptions": SERVING,
    "offers": SERVING,
    "newcomers": SERVING,
    "rematch": SERVING,
    "verdicts": SERVING,
    "searches": SERVING,
    "listeners": SERVING,
    "router": SERVING,
    "recheck": SERVING,
    "watching": SERVING,
    "expiry": SERVING,
    "reception": SERVING,
    "entrance": SERVING,
    "connection": SERVING,
    "services": SERVING,
    "permission": SERVING,
    "auth": {*ZOPE, "twisted", "treq", "jwt", "argon2", "cryptography"},
    "store": {*ZOPE, "twisted"},
    "cluster": {*ZOPE, "twisted"},
    "transports": {*ZOPE, "twisted", "autobahn", "txaio"},
    "node": {*ZOPE, "twisted"},
    "tap": {"twisted"},
    "cli_permissions": {"click"},
    "cli_reference": {"click"},
    "cli_service": {"click"},
    "cli": {"click", "twisted"},
}

ROOT = Path(dstwist.__file__).parent


def part_of(module: str) -> str:
    """
    The module or package right below C{dstwist} that C{module} belongs to.
    """
    return [*module.split("."), "__init__"][1]


def imports_of(source: Path) -> Iterator[str]:
    """
    The names of the modules that C{source} imports, wherever in it. What is imported from a package may be a module.
    """
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and not node.level, f"{source}: relative import"
            from_root = node.module == "dstwist"
            for alias in node.names:
                is_part = from_root and any((ROOT / f"{alias.name}{ending}").exists() for ending in ("", ".py"))
                yield f"dstwist.{alias.name}" if is_part else node.module


def allowed(part: str, imported: str) -> bool:
    """
    Whether C{part} may import the module C{imported}.
    """
    top = imported.partition(".")[0]
    if top == "dstwist":
        other = part_of(imported)
        below = set().union(*GROUPS[: next(i for i, group in enumerate(GROUPS) if part in group)])
        return other == part or other in below or other in SIDEWAYS.get(part, set())
    if top in sys.stdlib_module_names:
        return True
    return any(f"{imported}.".startswith(f"{known}.") for known in FOREIGN.get(part, set()))


class ImportTests(SynchronousTestCase):
    """
    The rules hold for every module there is.
    """

    def modules(self) -> Iterator[tuple[str, Path]]:
        for source in sorted(ROOT.rglob("*.py")):
            yield source.relative_to(ROOT).parts[0].removesuffix(".py"), source

    def test_known(self) -> None:
        """
        Every part has its place in the order.
        """
        known = set().union(*GROUPS)
        self.assertEqual({part for part, _ in self.modules()} - known, set())

    def test_imports(self) -> None:
        """
        No module imports what is not below it.
        """
        wrong = [
            f"{source.relative_to(ROOT)} imports {imported}"
            for part, source in self.modules()
            for imported in imports_of(source)
            if not allowed(part, imported)
        ]
        self.assertEqual(wrong, [])

    def test_reactor(self) -> None:
        """
        Nobody but C{tap} imports the global reactor; all others are given one.
        """
        users = {
            str(source.relative_to(ROOT))
            for _, source in self.modules()
            for node in ast.walk(ast.parse(source.read_bytes()))
            if isinstance(node, ast.ImportFrom) and any(alias.name == "reactor" for alias in node.names)
        }
        self.assertEqual(users, {"tap.py"})

    def test_no_circles(self) -> None:
        """
        The exceptions within a group do not lead in a circle.
        """
        for start in SIDEWAYS:
            reached = set(SIDEWAYS[start])
            while more := set().union(*(SIDEWAYS.get(part, set()) for part in reached)) - reached:
                reached |= more
            self.assertNotIn(start, reached)
