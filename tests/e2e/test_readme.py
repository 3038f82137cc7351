"""
The JavaScript in README.rst does what is said there.
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
        What the second snippet publishes, the first one prints.
        """
        address = self.server().url.removeprefix("ws://")
        listen, publish = (snippet.replace("localhost:6020", address) for snippet in snippets())
        listener = subprocess.Popen(["node", "-e", listen], cwd=HERE, stdout=subprocess.PIPE, text=True)
        assert listener.stdout is not None
        guard = threading.Timer(PATIENCE, listener.kill)
        guard.start()
        try:
            self.assertEqual(listener.stdout.readline(), "listening\n")
            # The client subscribes a moment after it said so; a first publication may come too early.
            heard = threading.Event()
            lines: list[str] = []

            def listen_on() -> None:
                assert listener.stdout is not None
                lines.append(listener.stdout.readline())
                heard.set()

            thread = threading.Thread(target=listen_on, daemon=True)
            thread.start()
            while not heard.is_set():
                done = subprocess.run(["node", "-e", publish], cwd=HERE, timeout=PATIENCE)
                self.assertEqual(done.returncode, 0)
            self.assertEqual(lines, ["news: hello\n"])
        finally:
            guard.cancel()
            listener.kill()
            listener.wait()
            listener.stdout.close()
