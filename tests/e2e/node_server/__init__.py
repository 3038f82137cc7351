"""
The Node server, as published, with a cache in a Redis: what dstwist has to share its data with.

C{make test} installs it into C{node_modules} of this folder.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.free_port import free_port
from tests.e2e.server import PATIENCE, LoggedProcess, ServerFailed
from tests.redis_server import RedisServer

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"

_COMMAND = MODULES / "@deepstream" / "server" / "dist" / "bin" / "deepstream"


class NodeServer(LoggedProcess):
    """
    One process of the Node server at a time, and the port it has.

    @param directory: for its configuration.
    @param cache: the section C{cache} of that.
    @param more: more sections, which take the place of those that all have.
    @ivar url: where its clients connect to, without a path.
    @ivar config: its configuration file.
    """

    def __init__(self, directory: Path, cache: Mapping[str, Any], **more: Any) -> None:
        super().__init__()
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self.config = directory / f"node-{self.port}.yml"
        # JSON is YAML.
        self.config.write_text(json.dumps({**_sections(self.port), "cache": cache, **more}))

    def start(self) -> None:
        """
        Start, and come back when clients can connect. Started again, it has the same port.
        """
        node = shutil.which("node")
        if node is None or not _COMMAND.exists():
            raise ServerFailed("The Node server is missing. Run: make test (it installs what the tests need)")
        # The server dies with the test run, however that ends.
        command = ["setpriv", "--pdeathsig", "KILL", node, str(_COMMAND), "start", "--config", str(self.config)]
        self._run(command)
        self.wait_for_line("Deepstream started")

    def stop(self) -> None:
        """
        Ask the server to stop, and come back when its process has ended.
        """
        self._started().terminate()
        self.wait_for_end()

    def take_trouble(self) -> list[str]:
        """
        Nothing: its mistakes are not what the tests are about.
        """
        return []


def call_legacy_connector(redis: RedisServer, *calls: Sequence[Any]) -> list[Any]:
    """
    Do what a server 2 or 3 does by its connector: C{("set", name, {"_v": 1, "_d": {}})}, C{("get", name)} or
    C{("delete", name)}. Gives the answers.
    """
    command = ["node", str(HERE / "legacy.js"), str(redis.port), *map(json.dumps, calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise ServerFailed(done.stderr)
    answers: list[Any] = json.loads(done.stdout)
    return answers


def _sections(port: int) -> dict[str, Any]:
    endpoint = {
        "heartbeatInterval": 30000,
        "outgoingBufferTimeout": 0,
        "maxBufferByteSize": 100000,
        "unauthenticatedClientTimeout": 180000,
        "maxAuthAttempts": 3,
        "maxMessageSize": 1048576,
    }
    http = {
        "host": "127.0.0.1",
        "port": port,
        "healthCheckPath": "/health-check",
        "allowAllOrigins": True,
        "maxMessageSize": 1048576,
    }
    return {
        "showLogo": False,
        "logLevel": "INFO",
        "telemetry": {"type": "deepstreamIO", "options": {"enabled": False}},
        "httpServer": {"type": "default", "options": http},
        "connectionEndpoints": [
            {"type": "ws-binary", "options": {"urlPath": "/deepstream", **endpoint}},
            {"type": "ws-text", "options": {"urlPath": "/deepstream-v3", **endpoint}},
        ],
        "auth": [{"type": "none"}],
        "permission": {"type": "none"},
    }
