"""
Runs tests as trial does, and ends with how many there really were::

    431 passed, 0 failed
    429 passed, 1 failed, 1 skipped, 2 expected to fail

A test that errs, fails, or passes although it is marked as failing has failed; so has a module that cannot be imported.
The exit status is 0 only if nothing failed, something passed, and (with CI set in the environment) nothing was skipped.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.reporter import TreeReporter
from twisted.trial.runner import TestLoader, TestSuite, TrialRunner


def flatten(suite: Any) -> Iterator[Any]:
    """
    The single tests of C{suite}.
    """
    try:
        children = iter(suite)
    except TypeError:
        yield suite
    else:
        for child in children:
            yield from flatten(child)


class Recorder(TreeReporter):
    """
    trial's reporter. It remembers which tests passed: one whose cleanup failed is reported as passed and failed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.passed: set[str] = set()

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self.passed.add(test.id())


class Counts:
    """
    What came out of a run, as trial's own result object has it.
    """

    def __init__(self, result: Recorder) -> None:
        # A test can err and fail at once, and is one failed test all the same.
        bad = {entry[0].id() for entry in [*result.errors, *result.failures, *result.unexpectedSuccesses]}
        self.failed = len(bad)
        self.passed = len(result.passed - bad)
        self.skipped = len(result.skips)
        self.expected = len(result.expectedFailures)
        self.stopped = result.shouldStop

    def __str__(self) -> str:
        words = f"{self.passed} passed, {self.failed} failed"
        if self.skipped:
            words += f", {self.skipped} skipped"
        if self.expected:
            words += f", {self.expected} expected to fail"
        return words

    def good(self, strict: bool) -> bool:
        """
        Whether that is a success; C{strict} does not take a skipped test for one.
        """
        return bool(self.passed) and not self.failed and not self.stopped and not (strict and self.skipped)


def main(arguments: list[str]) -> int:
    """
    Run the tests that C{arguments} name, print the counts, give the exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="package, module, class or test")
    parser.add_argument("--exclude", action="append", default=[], metavar="PACKAGE")
    parser.add_argument("--checks", choices=["passed", "failed"], default="passed", help="how the checks before ended")
    options = parser.parse_args(arguments)

    # trial changes into _trial_temp; names are looked up from here all the same.
    root = str(Path(__file__).resolve().parent.parent)
    sys.path[:] = [root, *(path for path in sys.path if path not in ("", root, str(Path(__file__).parent)))]
    prefixes = tuple(f"{name}." for name in options.exclude)

    loaded = TestLoader().loadByNames(options.names, recurse=True)
    tests = [test for test in flatten(loaded) if not f"{test.id()}.".startswith(prefixes)]
    result = TrialRunner(Recorder).run(TestSuite(tests))
    assert isinstance(result, Recorder)

    counts = Counts(result)
    strict = bool(os.environ.get("CI"))
    if strict and counts.skipped:
        print("A skipped test is a failure here, because CI is set.")
    if counts.stopped:
        print("Stopped before the end.")
    if options.checks == "failed":
        print("The checks before the tests failed, see above.")
    print(counts, flush=True)
    return 0 if counts.good(strict) and options.checks == "passed" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
