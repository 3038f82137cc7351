"""
Many clients of all generations at once, with and without TLS, some of which read late.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.certificates import Certificates
from tests.e2e.crowd import SMALL_BUFFERS, Crowd
from tests.e2e.free_port import free_port
from tests.e2e.scenario import certificates, scratch_directory
from tests.e2e.server import Server

CLIENTS = 30
ROUNDS, STEPS = 3, 200
SEED = 1

#: Clients have nothing to say for as long as a busy machine may take.
CONFIG = """
connectionEndpoints:
  - {type: ws-binary, options: {urlPath: /deepstream, heartbeatInterval: 600000, %(more)s}}
  - {type: ws-text, options: {urlPath: /deepstream-v3, heartbeatInterval: 600000, %(more)s}}
  - {type: ws-json, options: {urlPath: /deepstream-json, heartbeatInterval: 600000, %(more)s}}
"""


class BothServer(Server):
    """
    A server with a port for plain TCP, and one for TLS.
    """

    def __init__(self, made: Certificates, config: Path) -> None:
        super().__init__(config=config, before=SMALL_BUFFERS)
        self._made = made
        self.tls_port = free_port()

    def _run(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        files = f"privateKey={self._made.key}:certKey={self._made.chain}"
        super()._run([*command, "--listen", f"tls:{self.tls_port}:interface=127.0.0.1:{files}"], environ)


class CrowdTests(SynchronousTestCase):
    """
    L{Crowd}.
    """

    def check(self, more: str) -> None:
        config = scratch_directory() / "config.yml"
        config.write_text(CONFIG % {"more": more})
        server = BothServer(certificates(), config)
        self.addCleanup(server.kill)
        server.start()
        tls = ssl.create_default_context(cafile=str(certificates().authority))
        crowd = Crowd(SEED, {None: server.port, tls: server.tls_port}, CLIENTS)
        self.addCleanup(crowd.close)
        for _ in range(ROUNDS):
            crowd.do(STEPS)
        self.assertGreater(crowd.heard, 10_000)
        self.assertEqual(server.take_trouble(), [])

    def test_at_once(self) -> None:
        """
        All of them hear all that they have to hear, and nothing else, in order.
        """
        self.check("outgoingBufferTimeout: 0")

    def test_later(self) -> None:
        """
        The same if the server collects what it has to send.
        """
        self.check("outgoingBufferTimeout: 5, maxBufferByteSize: 20000")
