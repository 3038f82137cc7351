"""
Tests for L{dstwist.process.file_owner}.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dstwist.process.file_owner import Owner


class OwnerTests(SynchronousTestCase):
    """
    Files and directories that are created for another user.
    """

    def setUp(self) -> None:
        self.given: list[tuple[str, int, int]] = []
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        self.patch(os, "chown", lambda path, uid, gid: self.given.append((os.path.relpath(path, self.root), uid, gid)))

    def test_directory(self) -> None:
        """
        All directories that are missing are made, and belong to the user: otherwise there would be no way through them.
        """
        Owner(1001, 1002).make_directory(str(self.root / "a" / "b"))
        self.assertEqual(self.given, [("a", 1001, 1002), ("a/b", 1001, 1002)])
        self.assertEqual(stat.S_IMODE((self.root / "a" / "b").stat().st_mode), 0o750)

    def test_there(self) -> None:
        """
        Existing directories are not changed.
        """
        (self.root / "x").write_text("kept")
        owner = Owner(1001, 1002)
        owner.make_directory(str(self.root))
        owner.make_file(str(self.root / "x"))
        self.assertEqual(self.given, [])
        self.assertEqual((self.root / "x").read_text(), "kept")

    def test_file(self) -> None:
        """
        A file is made with its directory.
        """
        Owner(1001, 1002).make_file(str(self.root / "log" / "x.log"))
        self.assertEqual(self.given, [("log", 1001, 1002), ("log/x.log", 1001, 1002)])
        self.assertEqual((self.root / "log" / "x.log").read_text(), "")

    def test_in_the_way(self) -> None:
        """
        A file in the place of a directory is an error.
        """
        (self.root / "x").write_text("")
        self.assertRaises(OSError, Owner().make_directory, str(self.root / "x"))
        self.assertRaises(OSError, Owner().make_directory, str(self.root / "x" / "y"))

    def test_same_user(self) -> None:
        """
        Without C{--uid}, all belongs to the user of the process.
        """
        Owner.of({}).make_file(str(self.root / "y"))
        self.assertEqual(self.given, [])

    def test_options(self) -> None:
        """
        The group is the user's own, unless another one is named.
        """

        class Entry:
            pw_gid = 77

        self.patch(pwd, "getpwuid", lambda uid: Entry)
        self.assertEqual(Owner.of({"uid": 5, "gid": None}), (5, 77))
        self.assertEqual(Owner.of({"uid": 5, "gid": 6}), (5, 6))
        self.assertEqual(Owner.of({"uid": None, "gid": 6}), (None, 6))
        self.assertEqual(Owner.of({"uid": None, "gid": None}), (None, None))
