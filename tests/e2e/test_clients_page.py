"""
The JavaScript in docs/clients.rst does what the comments in it say, with the official clients of both generations.
"""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
import threading
from dataclasses import dataclass

from tests.e2e.scenario import GENERATIONS, HERE, PATIENT, PATIENT_CLIENT, Scenario
from tests.e2e.server import CHECKOUT, PATIENCE

#: What an example says about the generation that it is for.
LABELS = {"v2": "v2 and v3", "v7": "v4 and later"}

#: The last line of a program: prints "ready" when the server has served all requests of the example. Client 7 gathers
#: subscriptions for 100 ms.
READY = "setTimeout(() => client.record.has('-', () => console.log('ready')), 300)"


@dataclass
class Example:
    """
    One block of JavaScript.

    @ivar user: who runs it, C{ann} or C{bob}; nothing for the blocks that connect.
    @ivar label: the generation that it is for, if not for both.
    @ivar output: the lines that it prints.
    """

    section: str
    user: str
    label: str
    code: str

    @property
    def output(self) -> list[str]:
        return re.findall(r"console\.log\(.*\) // (.*)", self.code)


def examples() -> list[Example]:
    """
    The JavaScript of docs/clients.rst, block by block.
    """
    found = []
    section = ""
    text = (CHECKOUT / "docs" / "clients.rst").read_text(encoding="utf-8")
    for title, block in re.findall(
        r"^(.+)\n---+$|^\.\. code-block:: javascript\n\n((?: {4}.*\n|\n)+)", text, re.MULTILINE
    ):
        section = title or section
        if block:
            head = re.match(r" +// (ann|bob)(?:, (.*))?\n", block)
            user, label = (head[1], head[2] or "") if head else ("", "")
            found.append(Example(section, user, label, textwrap.dedent(block)))
    return found


class ClientsPageTests(Scenario):
    """
    Copied, pasted, and run.
    """

    def test_labels(self) -> None:
        """
        The blocks that connect come first, and each other block says who runs it.
        """
        blocks = examples()
        self.assertEqual([block.section for block in blocks if not block.user], ["Connecting"] * 3)
        self.assertEqual({block.label for block in blocks}, {"", *LABELS.values()})
        self.assertGreater(sum(len(block.output) for block in blocks), 12)

    def test_v7_then_v2(self) -> None:
        """
        Ann has a client of v7, Bob one of v2.
        """
        self.run_sections("v7", "v2")

    def test_v2_then_v7(self) -> None:
        """
        Ann has a client of v2, Bob one of v7.
        """
        self.run_sections("v2", "v7")

    def run_sections(self, first: str, second: str) -> None:
        """
        Section by section, Ann's blocks and then Bob's. Both have left the server when the next section begins.
        """
        self.assertEqual({first, second}, set(GENERATIONS))
        server = self.own_server(PATIENT)
        address = server.url.removeprefix("ws://")
        sections = dict.fromkeys(block.section for block in examples() if block.user)
        for number, section in enumerate(sections, 1):
            ann = Program(section, "ann", first, address)
            try:
                ann.wait_until_ready()
                bob = Program(section, "bob", second, address)
                try:
                    bob.wait_until_ready()
                    bob.wait_for_output()
                    ann.wait_for_output()
                finally:
                    bob.end()
            finally:
                ann.end()
            for program in (ann, bob):
                self.assertEqual(sorted(program.lines), sorted(program.expected), f"{section}, {program.user}")
            server.wait_for_line("CLIENT_DISCONNECTED", 2 * number)


class Program:
    """
    What one user runs of one section, in a process of its own.
    """

    def __init__(self, section: str, user: str, generation: str, address: str) -> None:
        blocks = examples()
        v7, v2, login = (block.code for block in blocks if not block.user)
        mine = [
            block
            for block in blocks
            if (block.section, block.user) == (section, user) and block.label in ("", LABELS[generation])
        ]
        start = "\n".join(["function start () {", *(block.code for block in mine), READY, "}"])
        code = {"v2": v2, "v7": v7}[generation] + login + start
        code = code.replace("username: 'ann'", f"username: '{user}'")
        # On a busy machine the client would print that an acknowledgement is late.
        for connects in ("localhost:6020')", "localhost:6020', { silentDeprecation: true })"):
            code = code.replace(connects, f"{address}', {json.dumps({'silentDeprecation': True, **PATIENT_CLIENT})})")
        self.user = user
        self.expected = [line for block in mine for line in block.output]
        self.lines: list[str] = []
        self._ready = False
        self._process = subprocess.Popen(
            ["node", "-e", code], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._guard = threading.Timer(PATIENCE, self._process.kill)
        self._guard.start()

    def wait_until_ready(self) -> None:
        """
        Come back when the server has served all requests of the program.
        """
        while not self._ready and self._read():
            pass

    def wait_for_output(self) -> None:
        """
        Come back when the program has printed as many lines as it should.
        """
        while len(self.lines) < len(self.expected) and self._read():
            pass

    def end(self) -> None:
        """
        End the process at once.
        """
        self._guard.cancel()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> bool:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line == "ready\n":
            self._ready = True
        elif line:
            self.lines.append(line.rstrip("\n"))
        return bool(line)
