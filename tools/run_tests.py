"""
Runs tests as trial does, several modules at a time, and ends with how many there really were::

    431 passed, 0 failed
    429 passed, 1 failed, 1 skipped, 2 expected to fail

A test that errs, fails, or passes although it is marked as failing has failed; so has a module that cannot be imported,
and a test in which the process ends. The exit status is 0 only if nothing failed, something passed, and (with CI set in
the environment) nothing was skipped.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from twisted.trial.runner import TestLoader, TestSuite, TrialRunner

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.outcomes import Outcomes, Recorder, flatten, module_of
from tools.side_by_side import Beside, Run, work

#: An attribute of a test module that must not run beside others; it says why.
ALONE = "ALONE"

#: An attribute of a test module that takes a minute: it begins first, so that nothing else has to wait for its end.
LENGTHY = "LENGTHY"


def groups_of(tests: Iterable[str]) -> tuple[list[list[str]], list[list[str]]]:
    """
    The names of the tests of each module: of modules that can run side by side, and of those that run alone.

    Lengthy modules come first, then end-to-end tests: they wait a lot, and what waits in one process leaves the
    processors to the others.
    """

    def order(module: str) -> tuple[bool, bool]:
        return not hasattr(sys.modules.get(module), LENGTHY), not module.startswith("tests.e2e.")

    modules: dict[str, list[str]] = {}
    for test in tests:
        modules.setdefault(module_of(test), []).append(test)
    together: list[list[str]] = []
    alone: list[list[str]] = []
    for module in sorted(modules, key=order):
        reason = getattr(sys.modules.get(module), ALONE, None)
        (together if reason is None else alone).append(modules[module])
    return together, alone


def print_slowest(outcomes: Outcomes, count: int) -> None:
    """
    Print which modules and tests took longest: seconds by the clock, seconds of CPU time (of the test's own process,
    and of those that ended during the test), and the name.
    """
    modules: dict[str, tuple[float, float]] = {}
    for name, (wall, cpu) in outcomes.times.items():
        known = modules.get(module_of(name), (0.0, 0.0))
        modules[module_of(name)] = (known[0] + wall, known[1] + cpu)
    for title, times in (("modules", modules), ("tests", outcomes.times)):
        print(f"The slowest {title}: seconds by the clock, seconds of CPU time, name")
        for name in sorted(times, key=lambda name: -times[name][0])[:count]:
            print(f"{times[name][0]:9.2f} {times[name][1]:9.2f}  {name}")
        print()


def main(arguments: list[str]) -> int:
    """
    Run the tests that C{arguments} name, print the counts, give the exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="package, module, class or test")
    parser.add_argument("--exclude", action="append", default=[], metavar="PACKAGE")
    parser.add_argument("--beside", metavar="COMMAND", help="checks that run meanwhile, and must not fail either")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="how many processes run modules side by side; default: a few"
    )
    parser.add_argument(
        "--slowest", type=int, default=0, metavar="N", help="print which modules and tests took longest"
    )
    parser.add_argument("--worker", type=int, metavar="FD", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)

    # trial changes into _trial_temp; names are looked up from the checkout all the same.
    root = str(Path(__file__).resolve().parent.parent)
    sys.path[:] = [root, *(path for path in sys.path if path not in ("", root, str(Path(__file__).parent)))]
    if options.worker is not None:
        work(options.worker)
        return 0
    if not options.names:
        parser.error("Which tests?")

    prefixes = tuple(f"{name}." for name in options.exclude)
    loaded = TestLoader().loadByNames(options.names, recurse=True)
    tests = [test for test in flatten(loaded) if not f"{test.id()}.".startswith(prefixes)]
    together, alone = groups_of(test.id() for test in tests)
    # Half of the time of the end-to-end tests is waiting, so one process more than there are processors.
    jobs = min((os.cpu_count() or 1) + 1 if options.jobs is None else options.jobs, len(together))
    outcomes = Outcomes()
    beside = Beside(options.beside) if options.beside else None
    if jobs > 1:
        # However the run is stopped, it stops its processes.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        run = Run([sys.executable, "-u", "-X", "faulthandler", __file__, "--worker"], outcomes)
        run.run(together, jobs)
        run.run(alone, 1)
        run.print_failures()
    else:
        TrialRunner(partial(Recorder, outcomes.take)).run(TestSuite(tests))

    checked = beside is None or beside.end(outcomes.stopped)
    strict = bool(os.environ.get("CI"))
    if options.slowest:
        print_slowest(outcomes, options.slowest)
    if strict and outcomes.skipped:
        print("A skipped test is a failure here, because CI is set.")
    if outcomes.stopped:
        print("Stopped before the end.")
    if not checked:
        print("The checks failed, see above.")
    print(outcomes, flush=True)
    return 0 if outcomes.good(strict) and checked else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
