"""
Tests for L{dstwist.interfaces}.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from twisted.trial.unittest import SynchronousTestCase

from dstwist import interfaces


class ExportTests(SynchronousTestCase):
    """
    Authors of plug-ins import all names from the package.
    """

    def test_all(self) -> None:
        """
        The package exports everything that its modules define.
        """
        modules = [import_module(f"{interfaces.__name__}.{each.name}") for each in iter_modules(interfaces.__path__)]
        defined = {
            name
            for module in modules
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
        }
        self.assertLessEqual({"IStore", "IPermission", "IAuthenticator", "HandshakeData"}, defined)
        self.assertEqual(sorted(defined - set(interfaces.__all__)), [])

    def test_exported(self) -> None:
        """
        All exported names exist.
        """
        for name in interfaces.__all__:
            self.assertTrue(hasattr(interfaces, name), name)
