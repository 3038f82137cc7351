"""
The JavaScript in README.rst does what the text around it says.
"""

from __future__ import annotations

import re
import subprocess
import textwrap
import threading

from tests.e2e.scenario import HERE, Scenario
from tests.e2e.server import CHECKOUT, PATIENCE


def snippets() -> list[str]:
    """
    The JavaScript of README.rst, block by block.
    """
    text = (CHECKOUT / "README.rst").read_text(encoding="utf-8")
    found = re.findall(r"^\.\. code-block:: javascript\n\n((?: {4}.*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


class ReadmeTests(Scenario):
    """
    Copied, pasted, and run.
    """

    def test_snippets(self) -> None:
        """
        The first snippet shows the data that the second one writes.
        """
        address = self.server().url.removeprefix("ws://")
        show, change = (snippet.replace("localhost:6020", address) for snippet in snippets())
        shower = subprocess.Popen(["node", "-e", show], cwd=HERE, stdout=subprocess.PIPE, text=True)
        assert shower.stdout is not None
        guard = threading.Timer(PATIENCE, shower.kill)
        guard.start()
        try:
            self.assertEqual(shower.stdout.readline(), "ready\n")
            done = subprocess.run(["node", "-e", change], cwd=HERE, timeout=PATIENCE, capture_output=True, text=True)
            self.assertEqual((done.stdout, done.stderr, done.returncode), ("written\n", "", 0))
            self.assertEqual(shower.stdout.readline(), "The lamp is green\n")
        finally:
            guard.cancel()
            shower.kill()
            shower.wait()
            shower.stdout.close()
