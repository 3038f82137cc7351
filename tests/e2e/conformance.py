"""
The Autobahn WebSocket test suite against our WebSockets, with C{tests.e2e.echo} behind them.

Its cases are run by C{kosoku}, on a Python of this century. Run as a module, it goes
through all of them, with the fast path and without, and lists what is not simply passed::

    make wstest
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from importlib import import_module
from typing import Any, NamedTuple

from tests.e2e.server import CHECKOUT

#: What the suite may say about a case. There is no compression, so its cases are not implemented.
PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
COMPRESSION = ["12.*", "13.*"]
#: How many cases at a time.
PARALLEL = 8
#: How many times longer than in the suite a case waits before it gives a connection up, and fails. Its second is not
#: enough on a busy machine.
PATIENCE = 30


class Verdict(NamedTuple):
    """
    What the suite says about one case: about the messages, and about how the connection was closed.
    """

    case: str
    behavior: str
    close: str
    reason: str

    @property
    def passed(self) -> bool:
        """
        Whether that is good enough.
        """
        declined = self.behavior == "UNIMPLEMENTED" and self.case.startswith(("12.", "13."))
        return (self.behavior in PASSED or declined) and self.close in ("OK", "INFORMATIONAL")


class EchoServer:
    """
    C{tests.e2e.echo} in a process of its own.

    @ivar trouble: what it had to say beside its port when it ended; a good one says nothing.
    """

    def __init__(self, fast: bool) -> None:
        command = [sys.executable, "-m", "tests.e2e.echo"]
        self._process = subprocess.Popen(
            command if fast else [*command, "--autobahn"],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.trouble = ""

    def __enter__(self) -> EchoServer:
        return self

    def __exit__(self, *unused: Any) -> None:
        self._process.terminate()
        self.trouble, _ = self._process.communicate()


def verdicts(port: int, cases: list[str] | None, exclude: list[str] | None = None) -> list[Verdict]:
    """
    Run C{cases}, all if there are none given, against what serves on C{port}.

    That takes a process of its own: the suite brings stand-ins for parts of Autobahn, by the same names.
    """
    command = [sys.executable, "-m", "tests.e2e.conformance", json.dumps([port, cases, exclude])]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, check=True)
    return [Verdict(*fields) for fields in json.loads(done.stdout)]


class Patient:
    """
    The connection of a case, but it is not given up so soon.
    """

    def __init__(self, protocol: Any) -> None:
        vars(self)["_protocol"] = protocol

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._protocol, name, value)

    def killAfter(self, seconds: float) -> None:  # of the suite
        """
        End the connection if it has not ended by itself.
        """
        self._protocol.killAfter(seconds * PATIENCE)


def run_cases(port: int, cases: list[str] | None, exclude: list[str] | None) -> list[Verdict]:
    """
    The same in this process.
    """
    from kosoku import FailureError, run_fuzzingclient
    from kosoku._caseindex import initialize_shims

    initialize_shims()
    # The class of all cases can be imported from now on.
    every_case: Any = import_module("case").Case
    prepare = every_case.__init__
    every_case.__init__ = lambda self, protocol: prepare(self, Patient(protocol))

    async def run() -> list[Any]:
        try:
            return await run_fuzzingclient(f"ws://127.0.0.1:{port}/", cases, exclude, concurrency=PARALLEL)
        except FailureError as error:
            return error.results

    return [
        Verdict(result.case_id, result.behavior.value, result.behavior_close.value, result.result)
        for result in asyncio.run(run())
    ]


def main() -> int:
    """
    Everything, with the fast path and without.

    @return: how many cases did not pass.
    """
    failed = 0
    for fast in (True, False):
        with EchoServer(fast) as server:
            found = verdicts(server.port, None)
        counts = Counter((verdict.behavior, verdict.close) for verdict in found)
        sys.stdout.write(f"Fast path {'on' if fast else 'off'}: {len(found)} cases\n")
        for (behavior, close), count in counts.most_common():
            sys.stdout.write(f"  {count:4}  {behavior}, closing {close}\n")
        for verdict in found:
            if not verdict.passed or verdict.behavior in ("NON-STRICT", "INFORMATIONAL"):
                sys.stdout.write(f"        {verdict.case:8}{verdict.behavior}, closing {verdict.close}\n")
            failed += not verdict.passed
        if server.trouble:
            failed += 1
            sys.stdout.write(f"The server says:\n{server.trouble}\n")
    return failed


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(run_cases(*json.loads(sys.argv[1]))))
        sys.stdout.flush()
        # The threads of kosoku 0.1 do not always survive the end of an interpreter that ends in order.
        os._exit(0)
    sys.exit(1 if main() else 0)
