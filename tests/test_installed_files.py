"""
Tests for L{dstwist.installed_files}.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist import installed_files
from dstwist.installed_files import find_installed_file


class DataFileTests(SynchronousTestCase):
    """
    The unit for systemd.
    """

    def test_checkout(self) -> None:
        """
        A checkout has it below C{etc}.
        """
        unit = Path(__file__).parent.parent / "etc" / "systemd" / "dstwist.service"
        self.assertEqual(find_installed_file("dstwist.service"), unit)

    def test_installed(self) -> None:
        """
        Without a checkout, the environment has it below C{share}. Without both, there is none.
        """
        root = Path(self.mktemp()).absolute()
        self.patch(installed_files, "__file__", str(root / "lib" / "dstwist" / "installed_files.py"))
        self.patch(sysconfig, "get_path", {"data": str(root)}.__getitem__)
        self.assertIsNone(find_installed_file("dstwist.service"))
        os.makedirs(root / "share" / "dstwist")
        (root / "share" / "dstwist" / "dstwist.service").write_text("[Unit]")
        self.assertEqual(find_installed_file("dstwist.service"), root / "share" / "dstwist" / "dstwist.service")
