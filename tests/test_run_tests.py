"""
Tests for C{tools/run_tests.py}: what it counts, and how it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tools.run_tests import groups_of

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


#: The process of the second test ends, by a signal, in the middle of the test.
ENDING = """
import os, signal
from twisted.trial.unittest import SynchronousTestCase

class Tests(SynchronousTestCase):
    def test_1(self): pass
    def test_2(self): print("on the way", flush=True); os.kill(os.getpid(), signal.SIGKILL)
    def test_3(self): pass
    def test_4(self): self.assertEqual("seen", "not seen")
"""

#: Each of two such tests passes if both run at the same time. They say where.
MEETING = """
import os, time
from pathlib import Path
from twisted.trial.unittest import SynchronousTestCase

class Tests(SynchronousTestCase):
    def test_meets(self):
        here = Path(__file__).parent
        (here / f"here-{__name__}").write_text(f"{os.getpid()} {Path.cwd().name}")
        for _ in range(12000):
            if len(list(here.glob("here-*"))) == 2:
                return
            time.sleep(0.01)
        self.fail("The other one did not come.")

    def test_then(self):
        (Path(__file__).parent / f"gone-{__name__}").touch()
"""

#: A test that passes if two such modules are through.
LAST = """
from pathlib import Path
from twisted.trial.unittest import SynchronousTestCase

ALONE = "It measures."

class Tests(SynchronousTestCase):
    def test_last(self):
        self.assertEqual(len(list(Path(__file__).parent.glob("gone-*"))), 2)
"""

#: A test that does not end by itself.
ENDLESS = """
import time
from pathlib import Path
from twisted.trial.unittest import SynchronousTestCase

class Tests(SynchronousTestCase):
    def test_endless(self):
        (Path(__file__).parent / f"here-{__name__}").touch()
        while True:
            time.sleep(0.01)
"""


class RunCase(SynchronousTestCase):
    """
    A test that runs tests, in processes of their own.
    """

    #: How many modules run side by side.
    jobs = 1

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.write("artificial", MODULE)
        self.write("unimportable", "import there_is_no_such_module")

    def write(self, module: str, text: str) -> None:
        (self.folder / f"{module}.py").write_text(text, encoding="utf-8")

    def start(self, *names: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        plain = {name: value for name, value in os.environ.items() if name != "CI"}
        return subprocess.Popen(
            [sys.executable, str(RUN_TESTS), "--jobs", str(self.jobs), *names],
            cwd=self.folder,
            env={**plain, "PYTHONPATH": str(self.folder), **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell has what it starts in the background ignore Ctrl-C: these tests, perhaps.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def output(self, *names: str, environ: dict[str, str] | None = None) -> tuple[list[str], int]:
        """
        The lines of a run, and its exit status.
        """
        process = self.start(*names, environ=environ)
        lines = process.communicate()[0].splitlines()
        return lines, process.returncode

    def outcome(self, *names: str, environ: dict[str, str] | None = None) -> tuple[str, int]:
        """
        The last line of a run, and its exit status.
        """
        lines, status = self.output(*names, environ=environ)
        return lines[-1], status


class RunTestsTests(RunCase):
    """
    Each kind of end that a test may have.
    """

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
        Excluded modules are left out, but not others whose names begin in the same way.
        """
        names = ("artificial.Tests.test_passes", "artificial.Tests.test_fails")
        self.assertEqual(self.outcome(*names, "--exclude", "artificial.Tests.test_fails"), ("1 passed, 0 failed", 0))
        self.assertEqual(self.outcome(*names, "--exclude", "artificial.Tests.test_f"), ("1 passed, 1 failed", 1))

    def test_checks(self) -> None:
        """
        If the checks that run beside the tests fail, the run has failed, even if all tests pass. Their output is shown.
        """
        name = "artificial.Tests.test_passes"
        self.assertEqual(self.outcome(name, "--beside", "true"), ("1 passed, 0 failed", 0))
        lines, status = self.output(name, "--beside", "echo wrong; false")
        self.assertEqual(lines[-3:], ["wrong", "The checks failed, see above.", "1 passed, 0 failed"])
        self.assertEqual(status, 1)

    def test_slowest(self) -> None:
        """
        On demand the modules and tests that took longest are listed.
        """
        lines, _ = self.output("artificial.Tests.test_passes", "artificial.Tests.test_fails", "--slowest", "1")
        titles = [number for number, line in enumerate(lines) if line.startswith("The slowest")]
        self.assertEqual([lines[number + 2] for number in titles], ["", ""])
        self.assertTrue(lines[titles[0] + 1].endswith(" artificial"))


class OrderTests(SynchronousTestCase):
    """
    Which modules begin first.
    """

    def test_order(self) -> None:
        """
        Modules that take long begin first, then end-to-end tests; what is to run alone is apart.
        """
        for name, attribute in (("tests.long", "LENGTHY"), ("tests.lone", "ALONE")):
            module = ModuleType(name)
            setattr(module, attribute, "because")
            self.patch(sys, "modules", {**sys.modules, name: module})
        names = [f"tests.{name}.Tests.test" for name in ("a", "b", "e2e.x", "lone", "long")]
        together, alone = groups_of([*names, "tests.a.Tests.test_2"])
        self.assertEqual(together, [[names[4]], [names[2]], [names[0], "tests.a.Tests.test_2"], [names[1]]])
        self.assertEqual(alone, [[names[3]]])


class SideBySideTests(RunCase):
    """
    Modules that run side by side.
    """

    jobs = 2

    def test_counted(self) -> None:
        """
        The counts are those of all processes, and failures are at the end of the output, with the module's name.
        """
        for name in ("second", "third"):
            self.write(name, MODULE)
        lines, status = self.output("artificial", "second", "third", "unimportable")
        self.assertEqual(lines[-1], "6 passed, 28 failed, 3 skipped, 3 expected to fail")
        self.assertEqual(status, 1)
        self.assertIn("second.Tests.test_fails", lines)
        self.assertIn("unimportable", lines)

    def test_at_the_same_time(self) -> None:
        """
        They do run at the same time, each process in a temporary directory of its own. A module that is to run alone
        runs when the others are through.
        """
        self.write("alone", LAST)
        for name in ("first", "second"):
            self.write(name, MEETING)
        self.assertEqual(self.outcome("alone", "first", "second"), ("5 passed, 0 failed", 0))
        where = [(self.folder / f"here-{name}").read_text(encoding="utf-8").split() for name in ("first", "second")]
        self.assertNotEqual(where[0][0], where[1][0])
        self.assertNotEqual(where[0][1], where[1][1])

    def test_process_ends(self) -> None:
        """
        A test in which its process ends has failed, and what it had written is shown. All other tests are run.
        """
        self.write("ending", ENDING)
        lines, status = self.output("ending", "artificial.Tests.test_passes")
        self.assertEqual((lines[-1], status), ("3 passed, 2 failed", 1))
        text = "\n".join(lines)
        self.assertIn("on the way", text)
        self.assertIn("ended with -9 in ending.Tests.test_2", text)
        self.assertIn("ending.Tests.test_4", lines)

    def test_interrupted(self) -> None:
        """
        Ctrl-C stops all processes. The run has failed, and says that it was stopped.
        """
        for name in ("first", "second", "third"):
            self.write(name, ENDLESS)
        process = self.start("first", "second", "third", "artificial.Tests.test_passes")
        deadline = time.monotonic() + 120
        while len(list(self.folder.glob("here-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        lines = process.communicate(timeout=120)[0].splitlines()
        self.assertEqual(process.returncode, 1)
        self.assertIn("Stopped before the end.", lines)
        self.assertRegex(lines[-1], "^0 passed, ")
        self.assertFalse((self.folder / "here-third").exists())
