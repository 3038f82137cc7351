"""
Requests to the HTTP API that Schemathesis makes from the description that the server sends. It has to be installed, so
only C{make schema} runs this.

It looks for answers that the description does not have, and for mistakes of the server. Two of its rules do not fit:

==============================  =======================================================================================
rule                            why not
==============================  =======================================================================================
C{negative_data_rejection}      a token does not matter beside credentials, however malformed it is
C{unsupported_method}           GET on a path is answered by a hint, with status 400, as by the Node server
==============================  =======================================================================================
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.e2e.scenario import Scenario
from tests.e2e.server import CHECKOUT

#: How many requests of each kind are made.
EXAMPLES = os.environ.get("SCHEMA_EXAMPLES", "200")


class SchemaTests(Scenario):
    """
    A server without any configuration.
    """

    def test_description(self) -> None:
        """
        The server answers as its description says, and is alive at the end.
        """
        server = self.own_server()
        address = server.url.removeprefix("ws://")
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        command = [
            str(CHECKOUT / ".schema" / "bin" / "schemathesis"),
            "run",
            f"http://{address}/api/openapi.json",
            "--exclude-checks",
            "negative_data_rejection,unsupported_method",
            # The answers to these have no end.
            "--exclude-path-regex",
            "/(events|records)/",
            "--max-examples",
            EXAMPLES,
            "--no-color",
        ]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
