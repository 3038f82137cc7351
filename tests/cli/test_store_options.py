"""
Tests for L{dstwist.cli.store_options}.
"""

from __future__ import annotations

import os
import sys

from dstwist.cli.store_options import read_settings
from tests.cli.helpers import CommandTestCase


class StoreOptionsTests(CommandTestCase):
    """
    The options, by the example of C{dstwist backup}.
    """

    def test_found(self) -> None:
        """
        Without --config, the configuration is the one that dstwist start would take.
        """
        config = self.config("storage: {type: sqlite, options: {path: found.sqlite}}")
        self.patch(os, "environ", {**os.environ, "DSTWIST_CONFIG": str(config)})
        result = self.dstwist("backup", "b")
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(result.stderr, f"there is no file {config.parent}/found.sqlite\n")

    def test_bad_config(self) -> None:
        """
        A configuration that cannot be used is told as by the server.
        """
        config = self.config("storage: {type: sqlit}\nhttpServer: 7")
        result = self.dstwist("backup", "b", "-c", str(config))
        self.assertEqual(result.exit_code, 1)
        self.assertIn(f"{config}: line 2: httpServer", result.stderr)

    def test_lib_dir(self) -> None:
        """
        Modules of a directory can be imported, and a directory that is missing is told.
        """
        directory = self.mktemp()
        self.patch(sys, "path", list(sys.path))
        with self.assertRaises(SystemExit):
            read_settings(None, directory)
        os.mkdir(directory)
        read_settings(None, directory)
        self.assertEqual(sys.path[0], os.path.abspath(directory))
