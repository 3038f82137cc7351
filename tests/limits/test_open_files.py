"""
Tests for L{dstwist.limits.open_files}.
"""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from dstwist import node
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import Settings
from dstwist.limits.open_files import KEPT, most_files, raise_limit, room
from tests.logs import Lines
from tests.nodes.test_node import NodeTestCase


class OpenFilesTests(SynchronousTestCase):
    """
    The limit of open files.
    """

    def setUp(self) -> None:
        self.limits = (1024, 4096)
        self.patch(resource, "getrlimit", lambda which: self.limits)
        self.patch(resource, "setrlimit", self.set)
        self.problem: Exception | None = None

    def set(self, which: int, limits: tuple[int, int]) -> None:
        if self.problem is not None:
            raise self.problem
        self.limits = limits

    def test_raised(self) -> None:
        """
        The soft limit becomes as high as the hard one.
        """
        raise_limit()
        self.assertEqual(self.limits, (4096, 4096))
        self.assertEqual(room(most_files()), 4096 - KEPT)

    def test_forbidden(self) -> None:
        """
        If that is forbidden, the soft limit stays.
        """
        for problem in (OSError("not permitted"), ValueError("not allowed to raise maximum limit")):
            self.problem = problem
            raise_limit()
            self.assertEqual(room(most_files()), 1024 - KEPT)

    def test_no_limit(self) -> None:
        """
        Without a limit there may be any number of connections; with a very low one, there may be one.
        """
        self.limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertIsNone(room(most_files()))
        self.limits = (50, 50)
        self.assertEqual(room(most_files()), 1)


class NodeTests(NodeTestCase):
    """
    The log line of a node about the limit.
    """

    def said(self, files: int | None, most: int | None = None) -> tuple[str, str]:
        self.patch(node, "most_files", lambda: files)
        lines = Lines(self)
        self.start(Settings(limits=LimitSettings(max_connections=most)))
        ((level, line),) = [
            (level, line) for level in ("info", "warn") for line in lines.of(level) if "open files" in line
        ]
        return level, line

    def test_line(self) -> None:
        """
        The start says how many connections there may be, and warns if there are few, or fewer than configured.
        """
        self.assertEqual(self.said(4096), ("info", "INFO | open files: 4096 at most, which allows 3996 connections"))
        self.assertEqual(self.said(600)[0], "info")
        level, line = self.said(599)
        self.assertEqual(level, "warn")
        self.assertIn("599 at most, which allows 499 connections. Raise the hard limit", line)
        level, line = self.said(4096, most=5000)
        self.assertEqual(level, "warn")
        self.assertIn("allows 3996 connections instead of the 5000 of limits.maxConnections", line)
        self.assertEqual(self.said(None), ("info", "INFO | open files: no limit, so there is none for connections"))
