"""
Files and directories that are created before the process gives up its privileges, for the user that it will run as.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from typing import Any, NamedTuple


class Owner(NamedTuple):
    """
    The owner of new files and directories. C{None}: the user, or the group, of this process.
    """

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Owner:
        """
        The user whom twistd's C{options} name.
        """
        uid, gid = options.get("uid"), options.get("gid")
        if uid is not None and gid is None:
            try:
                gid = pwd.getpwuid(uid).pw_gid
            except KeyError:
                # twistd reports that.
                pass
        return cls(uid, gid)

    def make_directory(self, path: str, mode: int = 0o750) -> None:
        """
        Make a directory, with those above it that are missing, unless it is there.

        @raise OSError: it cannot be made.
        """
        if os.path.isdir(path):
            return
        above = os.path.dirname(os.path.abspath(path))
        self.make_directory(above, 0o755)
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
            return
        self._give(path)

    def make_file(self, path: str) -> None:
        """
        Make an empty file, and its directory, unless it is there.

        @raise OSError: it cannot be made.
        """
        self.make_directory(os.path.dirname(os.path.abspath(path)))
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640))
        except FileExistsError:
            return
        self._give(path)

    def _give(self, path: str) -> None:
        if self.uid is not None or self.gid is not None:
            os.chown(path, -1 if self.uid is None else self.uid, -1 if self.gid is None else self.gid)
