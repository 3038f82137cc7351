"""
What an operator can write into config.yml, and what they are told when it is wrong.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config import (
    admin,
    auth,
    cluster,
    endpoints,
    file,
    limits,
    monitoring,
    permission,
    settings,
    stores,
    users,
)
from dstwist.config import http_server as http
from dstwist.config.auth import OpenSettings, WebhookSettings
from dstwist.config.fields import key_of
from dstwist.config.load import load
from dstwist.config.users import FileSettings
from tests.config.helpers import ConfigCase

SHIPPED = Path(__file__).parent.parent.parent / "etc" / "dstwist"
DOCUMENTATION = Path(__file__).parent.parent.parent / "docs" / "configuration.rst"

PEM = "-----BEGIN TEST-----\nAAAA\n-----END TEST-----\n"

OPEN: dict[str, Any] = {
    "record": {"*": dict.fromkeys(("create", "read", "write", "delete", "listen", "notify"), True)},
    "event": {"*": {"publish": True, "subscribe": True, "listen": True}},
    "rpc": {"*": {"provide": True, "request": True}},
    "presence": {"*": {"allow": True}},
}

# Every section of a v10 file, with the values that deepstream ships.
TYPICAL = """\
# General
serverName: UUID
showLogo: true
logLevel: INFO
dependencyInitializationTimeout: 5000
# libDir: ../lib
exitOnFatalError: false

enabledFeatures:
  record: true
  event: true
  rpc: true
  presence: true

telemetry:
  type: deepstreamIO
  options:
    enabled: false
    debug: false
    deploymentId: 6ab2ff42-7a5d-4a40-8ba4-0dd44eb3a4c8

rpc:
  ackTimeout: 1000
  responseTimeout: 10000
  provideRequestorName: false
  provideRequestorData: false

record:
  storageHotPathPrefixes:
    - analytics/
  storageExclusionPrefixes:
    - no-storage/
  cacheRetrievalTimeout: 30000
  storageRetrievalTimeout: 30000

listen:
  shuffleProviders: true
  responseTimeout: 500
  rematchInterval: 60000
  matchCooldown: 10000

httpServer:
  type: default
  options:
    host: ${HOST:-localhost}
    port: ${PORT}
    healthCheckPath: /health-check
    allowAllOrigins: true
    origins:
      - 'https://example.com'
    maxMessageSize: 1048576
    headers:
      - user-agent

connectionEndpoints:
  - type: ws-binary
    options:
      urlPath: /deepstream
      heartbeatInterval: 30000
      outgoingBufferTimeout: 10
      maxBufferByteSize: 100000
      unauthenticatedClientTimeout: 180000
      maxAuthAttempts: 3
      logInvalidAuthData: false
      maxMessageSize: 1048576
  - type: http
    options:
      allowAuthData: true
      enableAuthEndpoint: true
      authPath: /api/auth
      postPath: /api
      getPath: /api
      requestTimeout: 20000
  - type: ws-text
    options: {urlPath: /deepstream-v3}
  - type: ws-json
  - type: mqtt
    options: {host: 0.0.0.0, port: 1883, idleTimeout: 180000, unauthenticatedClientTimeout: false, maxAuthAttempts: 3,
      logInvalidAuthData: false}
  -

logger:
  type: default
  options:
    colors: true

cache:
  type: default
storage: {type: default}

auth:
  - type: none

permission:
  type: config
  options:
    permissions: fileLoad(permissions.yml)
    maxRuleIterations: 3
    cacheEvacuationInterval: 60000

monitoring:
  - type: none

clusterNode: {type: default, options: {}}
clusterRegistry: {type: default, options: {keepAliveInterval: 5000, nodeInactiveTimeout: 8000}}
clusterStates: {options: {reconciliationTimeout: 500}}
locks: {type: default, options: {holdTimeout: 1000, requestTimeout: 1000}}
subscriptions: {type: default, options: {subscriptionsSanityTimer: 10000}}
plugins:
  heap-snapshot:
    name: heap-snapshot
    options: {interval: 20000}
"""


class ShippedTests(ConfigCase):
    """
    The files that come with the server.
    """

    def test_config(self) -> None:
        """
        The shipped file serves all clients of this machine that are served without a file, with nothing to remark.
        """
        settings = load(str(SHIPPED / "config.yml"), {})
        self.assertEqual(("127.0.0.1", 6020), (settings.http.host, settings.http.port))
        self.assertEqual(
            [
                ("ws-binary", "/deepstream"),
                ("ws-text", "/deepstream"),
                ("ws-text", "/deepstream-v3"),
                ("ws-json", "/deepstream-json"),
            ],
            [(endpoint.type, endpoint.url_path) for endpoint in settings.web_sockets],
        )
        self.assertEqual([endpoints.HttpEndpoint()], settings.http_apis)
        self.assertEqual(((OpenSettings(),), "config"), (settings.auth, settings.permission.type))
        self.assertEqual([], [note for note in settings.notes if not note.startswith("CONFIG_TRANSFORM | ")])

    def test_commented_examples(self) -> None:
        """
        The examples in the shipped file's comments work as well.
        """
        text = (SHIPPED / "config.yml").read_text().replace("fileLoad(permissions.yml)", json.dumps(OPEN))
        os.mkdir(os.path.join(self.directory, "tls"))
        for name in ("privkey.pem", "fullchain.pem"):
            self.write(f"tls/{name}", PEM)
        shutil.copy(SHIPPED / "users.yml", self.directory)
        for block in (
            r"    # ssl:\n(    #   .*\n)+",
            r"# auth:\n#   - type: file\n(#     .*\n)+",
            r"# auth:\n#   - type: http\n(#     .*\n)+",
            r"# cache:\n#   type: redis\n(# .*\n)+",
            r"# plugins:\n(#  .*\n)+",
        ):
            text, found = re.subn(block, lambda match: match[0].replace("# ", ""), text)
            self.assertEqual(1, found)
        # The examples are alternatives; here they are all asked in turn.
        text = text.replace("\nauth:\n  - type: file", "\n  - type: file").replace(
            "\nauth:\n  - type: http", "\n  - type: http"
        )
        settings = self.load(text)
        by_file, by_http = settings.auth[1:]
        assert isinstance(by_file, FileSettings) and isinstance(by_http, WebhookSettings)
        self.assertEqual(("sha512", 210000, 32), (by_file.hash, by_file.iterations, by_file.key_length))
        self.assertEqual(PEM, settings.http.ssl and settings.http.ssl.key)
        assert settings.cluster is not None
        self.assertEqual("app:", settings.cluster.bus.channel_prefix)
        self.assertEqual(["audit"], list(settings.plugins))
        self.assertEqual(
            ("ws-json", "/deepstream-json"), (settings.web_sockets[-1].type, settings.web_sockets[-1].url_path)
        )

    def test_users(self) -> None:
        """
        The shipped users file can be read, and has one user with data for the server and for the client.
        """
        users = file.Reading(str(SHIPPED), {}).load("users.yml", "auth[0].options.users")
        self.assertEqual(["userA"], list(users))
        self.assertEqual({"password", "serverData", "clientData"}, set(users["userA"]))
        stored = users["userA"]["password"]
        key = hashlib.pbkdf2_hmac("sha512", b"password", stored[44:].encode(), 210000, 32)
        self.assertEqual(stored[:44], base64.b64encode(key).decode())


class DocumentationTests(SynchronousTestCase):
    """
    docs/configuration.rst, and docs/redis.rst for the options of a Redis.
    """

    def test_complete(self) -> None:
        """
        Every option that can be in a file is described.
        """
        text = DOCUMENTATION.read_text() + DOCUMENTATION.with_name("redis.rst").read_text()
        words = set(re.findall(r"\w+", " ".join(re.findall(r"``(.*?)``", text))))
        modules = (settings, admin, cluster, endpoints, permission, auth, http, limits, monitoring, stores, users)
        sections = [value for module in modules for value in vars(module).values()]
        for cls in filter(dataclasses.is_dataclass, sections):
            for field in dataclasses.fields(cls):
                if "read" in field.metadata:
                    self.assertIn(key_of(field), words, cls)


class OptionTests(ConfigCase):
    """
    Options that do something.
    """

    def test_general(self) -> None:
        """
        Names, features, the times of listening and of stopping are as the file says, in seconds.
        """
        settings = self.load(
            "serverName: one\nshutdownTimeout: 0e3\ndrainTime: 500\nenabledFeatures: {rpc: false, monitoring: true}\n"
            "listen: {shuffleProviders: false, responseTimeout: 250, rematchInterval: 1001, matchCooldown: 0,"
            " maxPatternLength: 10, maxPatterns: 20}"
        )
        self.assertEqual(("one", 0.0), (settings.server_name, settings.shutdown_timeout))
        self.assertEqual(0.5, settings.drain_time)
        self.assertEqual((True, True, False, True, True), tuple(vars(settings.features).values()))
        self.assertEqual((False, 0.25, 1.001, 0.0, 10, 20), tuple(vars(settings.listen).values()))
        self.assertEqual(os.path.join(self.directory, "config.yml"), settings.source)

    def test_calls_and_presence(self) -> None:
        """
        The times and limits of procedure calls and of presence are as the file says, in seconds.
        """
        settings = self.load(
            "rpc: {ackTimeout: 20, responseTimeout: 300, provideRequestorName: true, provideRequestorData: true,"
            " rerouteAccepted: false, maxPendingCalls: 2, maxPendingBytes: 3}\n"
            "presence: {gracePeriod: 600000, maxUsersInGrace: 4}"
        )
        self.assertEqual((0.02, 0.3, True, True, False, 2, 3), tuple(vars(settings.rpc).values()))
        self.assertEqual((600.0, 4), tuple(vars(settings.presence).values()))
        self.assertEqual((0.0, 10000), tuple(vars(self.load("presence: ").presence).values()))
        self.assertEqual((), settings.notes)


class NoteTests(ConfigCase):
    """
    Options that are known, but have no effect, are noted at the start.
    """

    def test_typical(self) -> None:
        """
        A deepstream v10 file is taken as it is; what in it has no effect is named, each option once.
        """
        self.write("permissions.yml", json.dumps(OPEN))
        self.assertEqual(
            [
                "showLogo",
                "httpServer.options.headers",
                "connectionEndpoints[4] (type mqtt)",
                "logger.options.colors",
            ],
            self.not_built(TYPICAL, PORT="7000"),
        )
        settings = load(os.path.join(self.directory, "config.yml"), {"PORT": "7000"})
        self.assertEqual(("localhost", 7000), (settings.http.host, settings.http.port))
        self.assertEqual(["ws-binary", "ws-text", "ws-json"], [endpoint.type for endpoint in settings.web_sockets])
        self.assertEqual(0.01, settings.web_sockets[0].outgoing_buffer_timeout)

    def test_each(self) -> None:
        """
        Every option that is known but not built is named by its path.
        """
        for content, path in (
            ("showLogo: true", "showLogo"),
            ("libDir: /lib", "libDir"),
            ("httpServer: {options: {maxBackpressure: 1}}", "httpServer.options.maxBackpressure"),
            ("logger: {options: {colors: true}}", "logger.options.colors"),
            ("enabledFeatures: {monitoring: true}", "enabledFeatures.monitoring"),
            ("logger: {name: winston, options: {x: 1}}", "logger"),
            (
                "subscriptions: {options: {subscriptionsSanityTimer: 50}}",
                "subscriptions.options.subscriptionsSanityTimer",
            ),
            ("telemetry: {enabled: true}", "telemetry.enabled"),
            ("telemetry: {options: {enabled: true}}", "telemetry.options.enabled"),
        ):
            self.assertEqual([path], self.not_built(content), content)


class RefusalTests(ConfigCase):
    """
    Sections that cannot be used.
    """

    def test_refused(self) -> None:
        """
        A section of which nothing has an effect is checked all the same.
        """
        self.assert_refused(
            ("locks: {type: redis}", 'locks.type: expected one of default, got "redis"'),
            ("logger: {options: {colors: 1}}", "logger.options.colors: expected true or false, got 1"),
        )
