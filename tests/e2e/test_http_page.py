"""
The commands of docs/http.rst print what stands below them.
"""

from __future__ import annotations

import re
import subprocess
import textwrap

from tests.e2e.scenario import Scenario
from tests.e2e.server import CHECKOUT, PATIENCE


def examples() -> list[tuple[str, str]]:
    """
    Each command of the page, and its output.
    """
    text = (CHECKOUT / "docs" / "http.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"^\.\. code-block:: console\n\n((?: {4}.*\n|\n)+)", text, re.MULTILINE)
    found = []
    for block in blocks:
        lines = textwrap.dedent(block).strip().splitlines()
        end = next(number for number, line in enumerate(lines) if number and not line.startswith(" "))
        found.append(("\n".join(lines[:end]).removeprefix("$ "), "\n".join(lines[end:])))
    return found


class HttpPageTests(Scenario):
    """
    Copied, pasted, and run.
    """

    def test_commands(self) -> None:
        """
        On a server without any configuration.
        """
        address = self.server().url.removeprefix("ws://")
        commands = examples()
        self.assertGreater(len(commands), 4)
        for command, output in commands:
            command = command.replace("localhost:6020", address)
            done = subprocess.run(["sh", "-c", command], timeout=PATIENCE, capture_output=True, text=True)
            self.assertEqual((done.stdout.strip(), done.stderr, done.returncode), (output, "", 0), command)
