"""
Tests for L{dstwist.limits.open_files}.
"""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.open_files import RESERVED_FILES, connections_within, open_file_limit, raise_limit


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
        self.assertEqual(connections_within(open_file_limit()), 4096 - RESERVED_FILES)

    def test_forbidden(self) -> None:
        """
        If that is forbidden, the soft limit stays.
        """
        for problem in (OSError("not permitted"), ValueError("not allowed to raise maximum limit")):
            self.problem = problem
            raise_limit()
            self.assertEqual(connections_within(open_file_limit()), 1024 - RESERVED_FILES)

    def test_no_limit(self) -> None:
        """
        Without a limit there may be any number of connections; with a very low one, there may be one.
        """
        self.limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertIsNone(connections_within(open_file_limit()))
        self.limits = (50, 50)
        self.assertEqual(connections_within(open_file_limit()), 1)
