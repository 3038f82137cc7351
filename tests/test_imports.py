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

#: From the bottom up. A part is a package or a module right below C{dstwist}; it may import the parts of the layers
#: below its own, and no part beside it. Imports for type checking count, too.
LAYERS = (
    "__init__",
    "errors log memory_limits installed_files",
    "protocol",
    "config patterns record counters",
    "interfaces",
    "scheduling",
    "limits reload plugins",
    "tls permission auth",
    "redis",
    "store cluster",
    "routing transfer",
    "connections",
    "services transports",
    "api http_api",
    "figures streams",
    "endpoints startup_checks",
    "http_side",
    "client_side",
    "dependencies admin",
    "lifecycle",
    "node_service assembly",
    "node",
    "process",
    "tap cli",
    "__main__",
)

ZOPE = {"zope.interface"}
SERVING = {
    *ZOPE,
    "twisted.internet.defer",
    "twisted.internet.interfaces",
    "twisted.internet.task",
    "twisted.python.failure",
}

#: What a part imports beside the standard library and dstwist; nothing if it is not here.
FOREIGN = {
    "log": {"twisted.logger", "constantly"},
    "protocol": {"orjson"},
    "config": {"ruamel.yaml", "twisted.internet.ssl", "OpenSSL", "cryptography"},
    "patterns": {"re2"},
    "interfaces": {*ZOPE, "twisted.internet.defer"},
    "scheduling": SERVING,
    "limits": {*SERVING, "twisted.logger", "constantly"},
    "reload": SERVING,
    "plugins": {*SERVING, "twisted.plugin"},
    "tls": {*ZOPE, "twisted", "OpenSSL", "cryptography"},
    "permission": SERVING,
    "auth": {*ZOPE, "twisted", "treq", "jwt", "argon2", "cryptography"},
    "redis": {*ZOPE, "twisted", "txredisapi", "hiredis"},
    "store": {*ZOPE, "twisted"},
    "cluster": {*ZOPE, "twisted"},
    "routing": SERVING,
    "transfer": SERVING,
    "connections": SERVING,
    "services": SERVING,
    "transports": {*ZOPE, "twisted", "autobahn", "txaio"},
    "api": SERVING,
    "http_api": SERVING,
    "streams": SERVING,
    "http_side": {*ZOPE, "twisted.internet.defer", "twisted.internet.interfaces"},
    "admin": {*SERVING, "twisted.internet.endpoints"},
    "figures": {*SERVING, "twisted"},
    "endpoints": {"twisted"},
    "startup_checks": {*SERVING, "twisted.internet.address"},
    "client_side": SERVING,
    "dependencies": SERVING,
    "lifecycle": SERVING,
    "node_service": {"twisted"},
    "node": {"twisted.internet.interfaces"},
    "process": {*ZOPE, "twisted"},
    "tap": {"twisted"},
    "cli": {"click", "twisted"},
}

#: The only modules that import the global reactor; all others are given one.
OF_THE_REACTOR = {"tap"}

ROOT = Path(dstwist.__file__).parent


def module_of(source: Path) -> str:
    """
    The name of a module below C{dstwist}: C{protocol.text}; of a package: C{protocol}.
    """
    parts = source.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


SOURCES = {module_of(source): source for source in sorted(ROOT.rglob("*.py"))}


def imports_of(source: Path) -> Iterator[str]:
    """
    The names of the modules that C{source} imports, anywhere in it.
    """
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None and not node.level, f"{source}: relative import"
            for alias in node.names:
                # A name that is imported from a package may be a module.
                name = f"{node.module}.{alias.name}"
                yield name if name.removeprefix("dstwist.") in SOURCES else node.module


def inner_imports_of(source: Path) -> set[str]:
    """
    The modules of dstwist that C{source} imports, named as in L{SOURCES}.
    """
    names = (name for name in imports_of(source) if f"{name}.".startswith("dstwist."))
    return {name.removeprefix("dstwist").removeprefix(".") or "__init__" for name in names}


def part_of(module: str) -> str:
    return module.partition(".")[0]


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer.split())


class ImportTests(SynchronousTestCase):
    """
    The rules hold for every module there is.
    """

    def test_known(self) -> None:
        """
        The layers have every part that there is, and no other.
        """
        self.assertEqual(sorted({part_of(module) for module in SOURCES}), sorted(" ".join(LAYERS).split()))

    def test_downwards(self) -> None:
        """
        A module imports only what is below its part, or in its package.
        """
        wrong = [
            f"{module} imports {imported}"
            for module, source in SOURCES.items()
            for imported in inner_imports_of(source)
            if part_of(imported) != part_of(module) and layer_of(part_of(imported)) >= layer_of(part_of(module))
        ]
        self.assertEqual(wrong, [])

    def test_no_circles(self) -> None:
        """
        No module imports itself by way of others, inside packages either.
        """
        imports = {module: inner_imports_of(source) for module, source in SOURCES.items()}
        left = dict(imports)
        while lowest := [module for module, below in left.items() if not below & left.keys()]:
            for module in lowest:
                del left[module]
        self.assertEqual(sorted(left), [])

    def test_foreign(self) -> None:
        """
        A module imports only the libraries of its part.
        """
        wrong = [
            f"{module} imports {imported}"
            for module, source in SOURCES.items()
            for imported in imports_of(source)
            if (top := imported.partition(".")[0]) != "dstwist" and top not in sys.stdlib_module_names
            if not any(f"{imported}.".startswith(f"{known}.") for known in FOREIGN.get(part_of(module), ()))
        ]
        self.assertEqual(wrong, [])

    def test_reactor(self) -> None:
        """
        Only the modules that start a process import the global reactor.
        """
        users = {
            module
            for module, source in SOURCES.items()
            for node in ast.walk(ast.parse(source.read_bytes()))
            if isinstance(node, ast.ImportFrom) and any(alias.name == "reactor" for alias in node.names)
        }
        self.assertEqual(users, OF_THE_REACTOR)
