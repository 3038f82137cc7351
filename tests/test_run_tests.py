"""
Tests for C{tools/run_tests.py}: what it counts, and how it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

RUN_TESTS = Path(__file__).resolve().parent.parent / "tools" / "run_tests.py"

MODULE = """
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase
from twisted.internet import reactor

class Tests(SynchronousTestCase):
    def test_passes(self): pass
    def test_passes_too(self): pass
    def test_fails(self): self.assertEqual(1, 2)
    def test_errs(self): raise ZeroDivisionError
    def test_fails_and_cleanup_errs(self): self.addCleanup(lambda: 1 / 0); self.fail("no")
    def test_cleanup_errs(self): self.addCleanup(lambda: 1 / 0)
    def test_logs_error(self):
        from twisted.python import log
        log.err(ZeroDivisionError())
    def test_skipped(self): raise SkipTest("not here")
    def test_expected(self): self.fail("known")
    test_expected.todo = "to be done"
    def test_unexpected(self): pass
    test_unexpected.todo = "done already"

class NoSetUpTests(SynchronousTestCase):
    def setUp(self): raise ZeroDivisionError
    def test_one(self): pass

class NoTearDownTests(SynchronousTestCase):
    def tearDown(self): raise ZeroDivisionError
    def test_one(self): pass

class DirtyTests(TestCase):
    def test_one(self): reactor.callLater(1000, print)
"""


class RunTestsTests(SynchronousTestCase):
    """
    Each kind of end that a test may have, in a process of its own.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        (self.folder / "artificial.py").write_text(MODULE, encoding="utf-8")
        (self.folder / "unimportable.py").write_text("import there_is_no_such_module", encoding="utf-8")

    def outcome(self, *names: str, environ: dict[str, str] | None = None) -> tuple[str, int]:
        """
        The last line of a run, and its exit status.
        """
        plain = {name: value for name, value in os.environ.items() if name != "CI"}
        done = subprocess.run(
            [sys.executable, str(RUN_TESTS), *names],
            cwd=self.folder,
            env={**plain, "PYTHONPATH": str(self.folder), **(environ or {})},
            capture_output=True,
            text=True,
        )
        return done.stdout.splitlines()[-1], done.returncode

    def test_passed(self) -> None:
        """
        If all tests pass that is a success.
        """
        names = ("artificial.Tests.test_passes", "artificial.Tests.test_passes_too")
        self.assertEqual(self.outcome(*names), ("2 passed, 0 failed", 0))

    def test_each(self) -> None:
        """
        A test that fails or errs in any way is one failed test, and the run has failed.
        """
        for name in (
            "Tests.test_fails",
            "Tests.test_errs",
            "Tests.test_fails_and_cleanup_errs",
            "Tests.test_cleanup_errs",
            "Tests.test_logs_error",
            "Tests.test_unexpected",
            "NoSetUpTests.test_one",
            "NoTearDownTests.test_one",
            "DirtyTests.test_one",
        ):
            found = self.outcome("artificial.Tests.test_passes", f"artificial.{name}")
            self.assertEqual(found, ("1 passed, 1 failed", 1), name)

    def test_together(self) -> None:
        """
        All of them together are counted, each once.
        """
        self.assertEqual(self.outcome("artificial"), ("2 passed, 9 failed, 1 skipped, 1 expected to fail", 1))

    def test_import_error(self) -> None:
        """
        A module that cannot be imported, or is not there, is a failed test.
        """
        for name in ("unimportable", "artificial.NoSuchTests", "no_such_module"):
            self.assertEqual(self.outcome("artificial.Tests.test_passes", name), ("1 passed, 1 failed", 1), name)

    def test_skipped(self) -> None:
        """
        A skipped test is no failure, except for continuous integration, where nothing may be missing.
        """
        names = ("artificial.Tests.test_passes", "artificial.Tests.test_skipped")
        self.assertEqual(self.outcome(*names), ("1 passed, 0 failed, 1 skipped", 0))
        self.assertEqual(self.outcome(*names, environ={"CI": "1"}), ("1 passed, 0 failed, 1 skipped", 1))

    def test_nothing(self) -> None:
        """
        A run in which nothing passed is no success.
        """
        self.assertEqual(self.outcome("artificial.Tests.test_skipped"), ("0 passed, 0 failed, 1 skipped", 1))
        everything = ("artificial", "--exclude", "artificial")
        self.assertEqual(self.outcome(*everything), ("0 passed, 0 failed", 1))

    def test_excluded(self) -> None:
        """
        What is excluded is left out, and nothing else whose name begins like it.
        """
        names = ("artificial.Tests.test_passes", "artificial.Tests.test_fails")
        self.assertEqual(self.outcome(*names, "--exclude", "artificial.Tests.test_fails"), ("1 passed, 0 failed", 0))
        self.assertEqual(self.outcome(*names, "--exclude", "artificial.Tests.test_f"), ("1 passed, 1 failed", 1))

    def test_checks(self) -> None:
        """
        If the checks before the tests failed the run has failed, whatever the tests do.
        """
        name = "artificial.Tests.test_passes"
        self.assertEqual(self.outcome(name, "--checks", "failed"), ("1 passed, 0 failed", 1))
        self.assertEqual(self.outcome(name, "--checks", "passed"), ("1 passed, 0 failed", 0))
