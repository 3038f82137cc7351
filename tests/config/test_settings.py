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

from dstwist.config import auth, endpoints, file, limits, permission, settings, stores, users
from dstwist.config import http_server as http
from dstwist.config.auth import OpenSettings, WebhookSettings
from dstwist.config.fields import key_of
from dstwist.config.load import load
from dstwist.config.plugins import PluginSettings
from dstwist.config.stores import DefaultStorage, MemorySettings, NoStorage, SqliteSettings
from dstwist.config.users import FileSettings
from dstwist.errors import ConfigError
from dstwist.memory_limits import usable_memory
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
        The shipped file serves both generations of clients of this machine, with nothing to remark.
        """
        settings = load(str(SHIPPED / "config.yml"), {})
        self.assertEqual(("127.0.0.1", 6020), (settings.http.host, settings.http.port))
        self.assertEqual(
            [("ws-binary", "/deepstream"), ("ws-text", "/deepstream"), ("ws-text", "/deepstream-v3")],
            [(endpoint.type, endpoint.url_path) for endpoint in settings.endpoints],
        )
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
    docs/configuration.rst.
    """

    def test_complete(self) -> None:
        """
        Every option that can be in a file is described.
        """
        words = set(re.findall(r"\w+", " ".join(re.findall(r"``(.*?)``", DOCUMENTATION.read_text()))))
        modules = (settings, endpoints, permission, auth, http, limits, stores, users)
        sections = [value for module in modules for value in vars(module).values()]
        for cls in filter(dataclasses.is_dataclass, sections):
            for field in dataclasses.fields(cls):
                if "read" in field.metadata:
                    self.assertIn(key_of(field), words, cls)


class DefaultTests(ConfigCase):
    """
    What holds if nothing is said.
    """

    def test_no_file(self) -> None:
        """
        Without a file the server runs with its defaults.
        """
        settings = load(None, {})
        self.assertIsNone(settings.source)
        self.assertEqual((), settings.notes)
        self.assertEqual(("0.0.0.0", 6020, None), (settings.http.host, settings.http.port, settings.http.ssl))
        self.assertEqual((1, 10.0), (settings.log_level, settings.shutdown_timeout))
        self.assertEqual((True, 0.5, 30.0, 10.0, 1000, 1000), tuple(vars(settings.listen).values()))
        self.assertEqual((True, True, True, True, False), tuple(vars(settings.features).values()))

    def test_empty_files(self) -> None:
        """
        An empty file, and one with nothing but empty sections, say the same as no file.
        """
        for content in ("", "# nothing\n", "{}", "listen:\nhttpServer:\n  options:\nenabledFeatures:\n"):
            settings = self.load(content)
            for name, value in vars(load(None, {})).items():
                if name not in ("server_name", "source"):
                    self.assertEqual(value, getattr(settings, name), name)

    def test_empty_lists(self) -> None:
        """
        A list of texts with nothing left in it is empty.
        """
        settings = self.load("record:\n  storageHotPathPrefixes:\n  # - a/\n  storageExclusionPrefixes:\n")
        self.assertEqual(
            ((), ()), (settings.record.storage_hot_path_prefixes, settings.record.storage_exclusion_prefixes)
        )

    def paths(self, settings: settings.Settings) -> list[tuple[str, str]]:
        return [(endpoint.type, endpoint.url_path) for endpoint in settings.endpoints]

    def test_default_paths(self) -> None:
        """
        Without C{connectionEndpoints} both generations are served on the path to which their clients connect by
        default, and v2/v3 clients on a path of their own too.
        """
        for found in (load(None, {}), self.load("rpc: {ackTimeout: 5}")):
            self.assertEqual(
                [("ws-binary", "/deepstream"), ("ws-text", "/deepstream"), ("ws-text", "/deepstream-v3")],
                self.paths(found),
            )

    def test_listed_paths(self) -> None:
        """
        A file that lists endpoints gets these, and no others.
        """
        binary = "connectionEndpoints: [{type: ws-binary}]"
        self.assertEqual([("ws-binary", "/deepstream")], self.paths(self.load(binary)))
        exchanged = (
            "connectionEndpoints: [{type: ws-text, options: {urlPath: /deepstream}}, "
            "{type: ws-binary, options: {urlPath: /deepstream-v4}}]"
        )
        self.assertEqual(
            [("ws-text", "/deepstream"), ("ws-binary", "/deepstream-v4")], self.paths(self.load(exchanged))
        )

    def test_endpoint_defaults(self) -> None:
        """
        An endpoint without options is served on its generation's path, with the same limits as by default.
        """
        settings = self.load("connectionEndpoints: [{type: ws-binary}, {type: ws-text, options: }]")
        binary, _, text = load(None, {}).endpoints
        self.assertEqual((binary, text), settings.endpoints)
        endpoint = settings.endpoints[1]
        self.assertEqual(
            (
                "ws-text",
                "/deepstream-v3",
                30.0,
                0.0,
                100000,
                180.0,
                3,
                False,
                1048576,
                (),
                16777216,
                65536,
                100,
                None,
                None,
                None,
                False,
                0.3,
                0.01,
            ),
            tuple(vars(endpoint).values()),
        )

    def test_server_name_printable(self) -> None:
        """
        A name that would break the lines of the log is refused.
        """
        for name in ("a\\nb", "a\\0", "\\e[2J"):
            refusal = self.refusal(f'serverName: "{name}"')
            self.assertIn("serverName: expected a text without control characters, got ", refusal)

    def test_server_name(self) -> None:
        """
        A server without a name, or with the name UUID, gets a new one at each start.
        """
        names = [load(None, {}).server_name, self.load("{}").server_name, self.load("serverName: UUID").server_name]
        self.assertEqual(3, len(set(names)))
        for name in names:
            self.assertRegex(name, r"^[0-9a-z]{8,9}-[0-9a-z]{1,13}$")


class OptionTests(ConfigCase):
    """
    Options that do something.
    """

    def test_general(self) -> None:
        """
        Names, features, the times of listening and of stopping are as the file says, in seconds.
        """
        settings = self.load(
            "serverName: one\nshutdownTimeout: 0e3\nenabledFeatures: {rpc: false, monitoring: true}\n"
            "listen: {shuffleProviders: false, responseTimeout: 250, rematchInterval: 1001, matchCooldown: 0,"
            " maxPatternLength: 10, maxPatterns: 20}"
        )
        self.assertEqual(("one", 0.0), (settings.server_name, settings.shutdown_timeout))
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

    def test_log_level_of_logger(self) -> None:
        """
        The logger's own logLevel is what counts.
        """
        self.assertEqual(3, self.load("logLevel: INFO\nlogger: {options: {logLevel: ERROR}}").log_level)
        self.assertEqual(2, self.load("logLevel: WARN\nlogger: {name: default, options: {logLevel: null}}").log_level)

    def test_log_level(self) -> None:
        """
        The log level is a number of deepstream's or its name.
        """
        for said, level in (("0", 0), ("3", 3), ("100", 100), ("DEBUG", 0), ("warn", 2), ("OFF", 100), ('"${L}"', 2)):
            self.assertEqual(level, self.load(f"logLevel: {said}", L="2").log_level, said)

    def test_stores(self) -> None:
        """
        Where records are kept: by default, and by each type; a name is as good as a type.
        """
        default = self.load("")
        quarter = usable_memory() // 4
        self.assertEqual((MemorySettings(None, quarter), DefaultStorage()), (default.cache, default.storage))
        self.assertEqual(MemorySettings(None, None), self.load("cache: {options: {maxBytes: null}}").cache)
        settings = self.load("cache: {options: {maxEntries: 5}}\nstorage: {name: sqlite}")
        self.assertEqual((MemorySettings(5), SqliteSettings(None)), (settings.cache, settings.storage))
        settings = self.load(
            "cache: {type: memory, options: {maxBytes: 7, maxEntries: null}}\n"
            "storage: {type: sqlite, options: {path: data/r.db, synchronous: NORMAL, maxBytes: 1e6, maxWaiting: 3,"
            " busyTimeout: 10}}"
        )
        self.assertEqual(MemorySettings(None, 7), settings.cache)
        path = os.path.join(self.directory, "data", "r.db")
        self.assertEqual(SqliteSettings(path, "normal", 1000000, 3, 0.01), settings.storage)
        self.assertEqual(NoStorage(), self.load("storage: {type: none}").storage)
        self.assertEqual(MemorySettings(1), self.load("storage: {type: memory, options: {maxEntries: 1}}").storage)

    def test_stores_of_ones_own(self) -> None:
        """
        Stores that do not come with the server are a type of their own name, a class in a module or one in a file.
        """
        for section, expected in (
            ("{type: mine, options: {a: 1}}", PluginSettings("name", "mine", {"a": 1}, "storage.type")),
            ("{name: mine}", PluginSettings("name", "mine", {}, "storage.name")),
            ("{module: 'a.b:C'}", PluginSettings("module", "a.b:C", {}, "storage.module")),
            ("{path: 'a.b:C'}", PluginSettings("path", "a.b:C", {}, "storage.path")),
            (
                "{path: 'lib/a.py:C'}",
                PluginSettings("path", f"{os.path.join(self.directory, 'lib', 'a.py')}:C", {}, "storage.path"),
            ),
        ):
            self.assertEqual(expected, self.load(f"storage: {section}").storage)
        self.assertNotIn("hunter2", repr(self.load("storage: {type: mine, options: {password: hunter2}}")))

    def test_rematch_interval(self) -> None:
        """
        An interval of a second or less means never, and a warning in Node's words.
        """
        for interval in (1000, 0, -1):
            settings = self.load_tree(listen={"rematchInterval": interval})
            self.assertIsNone(settings.listen.rematch_interval)
            self.assertEqual(
                ("INVALID_CONFIG_DATA | Setting listen.rematchInterval to less than a second is not permitted.",),
                settings.notes,
            )

    def test_http_server(self) -> None:
        """
        The port's options are the same whichever of Node's HTTP servers is named.
        """
        options = "{host: '::1', port: 1, healthCheckPath: /alive, maxMessageSize: 10, allowAllOrigins: true}"
        for kind in ("", "type: default, ", "type: uws, "):
            http = self.load(f"httpServer: {{{kind}options: {options}}}").http
            self.assertEqual(
                ("::1", 1, "/alive", 10, True),
                (http.host, http.port, http.health_check_path, http.max_message_size, http.allow_all_origins),
            )

    def test_ssl(self) -> None:
        """
        Keys and certificates are given as contents, by fileLoad, by file, or as a relative path.
        """
        self.write("a.pem", PEM)
        for value in (PEM, "fileLoad(a.pem)", "file(a.pem)", "a.pem", "${HERE}/a.pem"):
            tree = {"key": value, "cert": value, "ca": value}
            settings = self.load(
                json.dumps({"httpServer": {"options": {"ssl": tree}}}), "config.json", HERE=self.directory
            )
            ssl = settings.http.ssl
            assert ssl is not None
            self.assertEqual((PEM, PEM, PEM), (ssl.key, ssl.cert, ssl.ca))
            self.assertNotIn("BEGIN", repr(settings))

    def test_no_ssl(self) -> None:
        """
        A section of which everything is commented out is no TLS.
        """
        self.assertIsNone(self.load("httpServer: {options: {ssl: }}").http.ssl)

    def test_endpoint(self) -> None:
        """
        Every option of a WebSocket endpoint is taken from the file.
        """
        options = {
            "urlPath": "/x",
            "heartbeatInterval": 1,
            "outgoingBufferTimeout": 20,
            "maxBufferByteSize": 3,
            "unauthenticatedClientTimeout": 4000,
            "maxAuthAttempts": 5,
            "logInvalidAuthData": True,
            "maxMessageSize": 6,
            "headers": ["cookie"],
            "maxOutgoingBufferSize": 7,
            "maxMessageSizeBeforeLogin": 9,
            "maxMessagesBeforeLogin": 8,
            "maxMessageRate": 10,
            "maxByteRate": 11,
            "redirectUrl": "wss://other.example/x",
            "rejectClients": False,
            "detectionTimeout": 9,
            "greetingDelay": 0,
        }
        settings = self.load_tree(connectionEndpoints=[{"type": "ws-text", "options": options}])
        self.assertEqual(
            (
                "ws-text",
                "/x",
                0.001,
                0.02,
                3,
                4.0,
                5,
                True,
                6,
                ("cookie",),
                7,
                9,
                8,
                10,
                11,
                "wss://other.example/x",
                False,
                0.009,
                0.0,
            ),
            tuple(vars(settings.endpoints[0]).values()),
        )

    def test_limits(self) -> None:
        """
        The limits of what clients may use are taken from the file; null is none. Unasked there are only those that no
        honest client meets.
        """
        limits = self.load("{}").limits
        given = {name: value for name, value in vars(limits).items() if value is not None}
        self.assertEqual(
            {
                "max_failed_logins_per_address": 1000,
                "failed_login_window": 60.0,
                "max_subscriptions": 100000,
                "max_subscription_bytes": usable_memory() // 8,
                "max_pending_bytes": usable_memory() // 16,
                "max_incoming_bytes": usable_memory() // 16,
                "max_name_length": 4096,
                "close_delay": 4.0,
                "max_delayed_closes": 1000,
                "max_log_lines": 200,
                "max_log_lines_per_client": 20,
                "log_interval": 10.0,
                "max_outgoing_bytes_per_turn": 16777216,
            },
            given,
        )
        limits = self.load("limits: {maxConnections: 5, failedLoginWindow: 1500, maxSubscriptions: null}").limits
        self.assertEqual((5, 1.5, None), (limits.max_connections, limits.failed_login_window, limits.max_subscriptions))

    def test_origins_and_proxies(self) -> None:
        """
        Who may use the server from a web page, and which proxies are believed.
        """
        http = self.load(
            "httpServer: {options: {allowAllOrigins: false,"
            " origins: ['https://a.example', 'http://b.example:8080', 'null'], hostUrl: a.example,"
            " trustedProxies: [192.0.2.1, 10.0.0.0/8, '2001:db8::/32', unix],"
            " checkWebsocketOrigin: false}}"
        ).http
        self.assertEqual(("https://a.example", "http://b.example:8080", "null"), http.origins)
        self.assertEqual(
            (False, "a.example", False), (http.allow_all_origins, http.host_url, http.check_websocket_origin)
        )
        self.assertEqual(
            ["192.0.2.1/32", "10.0.0.0/8", "2001:db8::/32", "unix"], [str(proxy) for proxy in http.trusted_proxies]
        )

    def test_endless_login(self) -> None:
        """
        With false or null a client may stay without logging in.
        """
        for nothing in ("false", "null", "", '"${NOTHING}"'):
            content = f"connectionEndpoints: [{{type: ws-text, options: {{unauthenticatedClientTimeout: {nothing}}}}}]"
            self.assertIsNone(self.load(content).endpoints[0].unauthenticated_client_timeout)

    def test_shared_path(self) -> None:
        """
        The two generations may share a path; null entries of the list are not there.
        """
        entries = [{"type": "ws-binary"}, None, {"type": "ws-text", "options": {"urlPath": "/deepstream"}}]
        settings = self.load_tree(connectionEndpoints=entries)
        self.assertEqual(["/deepstream"] * 2, [endpoint.url_path for endpoint in settings.endpoints])

    def test_auth(self) -> None:
        """
        Open authentication is a list or, as in v4, a single section.
        """
        for content in ("auth: [{type: none}]", "auth: {type: none, options: {}}"):
            self.assertEqual((OpenSettings(),), self.load(content).auth)

    def test_permission(self) -> None:
        """
        Permissions may be off, or rules: loaded, inline or, as in v4, by path.
        """
        self.assertEqual("none", self.load("permission: {type: none}").permission.type)
        file = self.write("rules.json", json.dumps(OPEN))
        for options, key, source in (
            ({"permissions": OPEN}, "permissions", None),
            ({"permissions": "fileLoad(rules.json)"}, "permissions", file),
            ({"path": "./rules.json"}, "path", file),
        ):
            permission = self.load_tree(permission={"type": "config", "options": options}).permission
            self.assertEqual(("config", OPEN), (permission.type, permission.permissions))
            self.assertEqual((f"permission.options.{key}", source), (permission.where, permission.file))

    def test_permission_options(self) -> None:
        """
        The limits of rules, and what new ones lead to, have defaults and can be set.
        """
        options: dict[str, Any] = {"permissions": OPEN}
        permission = self.load_tree(permission={"type": "config", "options": options}).permission
        self.assertEqual((3, 60.0), (permission.max_rule_iterations, permission.cache_evacuation_interval))
        self.assertEqual((100000, 200000), (permission.max_cached_names, permission.max_rule_steps))
        self.assertFalse(permission.log_rule_values)
        self.assertEqual((60.0, True), (permission.reload_interval, permission.recheck_subscriptions))
        options |= {"reloadInterval": 500, "recheckSubscriptions": False}
        options |= {"maxRuleIterations": 7, "cacheEvacuationInterval": 500, "maxRuleSteps": 1000, "maxCachedNames": 5}
        permission = self.load_tree(permission={"type": "config", "options": options}).permission
        self.assertEqual((7, 0.5), (permission.max_rule_iterations, permission.cache_evacuation_interval))
        self.assertEqual((5, 1000), (permission.max_cached_names, permission.max_rule_steps))
        self.assertEqual((0.5, False), (permission.reload_interval, permission.recheck_subscriptions))
        for nothing in (False, None):
            options["reloadInterval"] = nothing
            permission = self.load_tree(permission={"type": "config", "options": options}).permission
            self.assertIsNone(permission.reload_interval)

    def test_permission_of_nobody(self) -> None:
        """
        Rules are not shown where settings end up in log lines: they can hold names that are nobody's business.
        """
        settings = self.load_tree(permission={"type": "config", "options": {"permissions": OPEN}})
        self.assertEqual("<PermissionSettings config>", repr(settings.permission))


class NoteTests(ConfigCase):
    """
    What is known, but has no effect so far, is told at start and does no harm.
    """

    def not_built(self, content: str, **environ: str) -> list[str]:
        notes = self.load(content, **environ).notes
        pattern = r"CONFIG \| (.*) is known but not built yet and has no effect"
        return [match[1] for note in notes if (match := re.fullmatch(pattern, note))]

    def test_typical(self) -> None:
        """
        A deepstream v10 file is taken as it is; what in it has no effect is named, each option once.
        """
        self.write("permissions.yml", json.dumps(OPEN))
        self.assertEqual(
            [
                "showLogo",
                "httpServer.options.headers",
                "connectionEndpoints[1] (type http)",
                "connectionEndpoints[3] (type ws-json)",
                "connectionEndpoints[4] (type mqtt)",
                "logger.options.colors",
                "clusterRegistry.options.nodeInactiveTimeout",
                "plugins.heap-snapshot",
            ],
            self.not_built(TYPICAL, PORT="7000"),
        )
        settings = load(os.path.join(self.directory, "config.yml"), {"PORT": "7000"})
        self.assertEqual(("localhost", 7000), (settings.http.host, settings.http.port))
        self.assertEqual(["ws-binary", "ws-text"], [endpoint.type for endpoint in settings.endpoints])
        self.assertEqual(0.01, settings.endpoints[0].outgoing_buffer_timeout)

    def test_each(self) -> None:
        """
        Every option that is known but not built is named by its path.
        """
        for content, path in (
            ("showLogo: true", "showLogo"),
            ("libDir: /lib", "libDir"),
            ("exitOnFatalError: true", "exitOnFatalError"),
            ("httpServer: {options: {maxBackpressure: 1}}", "httpServer.options.maxBackpressure"),
            ("logger: {options: {colors: true}}", "logger.options.colors"),
            ("enabledFeatures: {monitoring: true}", "enabledFeatures.monitoring"),
            ("logger: {name: pino, options: {x: 1}}", "logger"),
            ("monitoring: {type: http}", "monitoring"),
            ("monitoring: [{type: default}, {type: log}]", "monitoring[1]"),
            ("clusterNode: {name: redis}", "clusterNode"),
            ("clusterRegistry: {options: {role: x}}", "clusterRegistry.options.role"),
            ("clusterStates: {options: {checkSumBuffer: 1}}", "clusterStates.options.checkSumBuffer"),
            ("locks: {options: {holdTimeout: 50}}", "locks.options.holdTimeout"),
            (
                "subscriptions: {options: {subscriptionsSanityTimer: 50}}",
                "subscriptions.options.subscriptionsSanityTimer",
            ),
            ("telemetry: {enabled: true}", "telemetry.enabled"),
            ("telemetry: {options: {enabled: true}}", "telemetry.options.enabled"),
            ("plugins: {p: {path: ./p}}", "plugins.p"),
        ):
            self.assertEqual([path], self.not_built(content), content)

    def test_written_out(self) -> None:
        """
        Defaults that are written out need no remark.
        """
        self.assertEqual(
            [], self.not_built("cache: {type: default}\ntelemetry: {enabled: false}\nlogger: \nplugins: {}\n")
        )


class RefusalTests(ConfigCase):
    """
    What is wrong is named by the path of its key.
    """

    def test_values(self) -> None:
        """
        Each of these is refused, and the text says where and why.
        """
        ws = "connectionEndpoints: [{type: ws-text, options: {%s}}]"
        at = "connectionEndpoints[0].options."
        http = "httpServer: {options: {%s}}"
        for content, expected in (
            # not there, or not that kind of value
            ("serverNme: x", "serverNme: unknown option; did you mean serverName?"),
            ("listen: {zzz: 1}", "listen.zzz: unknown option"),
            ("httpServer: {optoins: {}}", "httpServer.optoins: unknown option; did you mean options?"),
            ("[]", "expected a section (key: value), got a list"),
            ("listen: 5", "listen: expected a section (key: value), got 5"),
            ("serverName: 42", "serverName: expected a text, got 42; put it in quotes"),
            ("serverName: {}", "serverName: expected a text, got a section"),
            ("serverName: ", "serverName: expected a text, got null"),
            ("serverName: ''", "serverName: expected a text, got an empty one"),
            ("enabledFeatures: {rpc: yes}", 'enabledFeatures.rpc: expected true or false, got "yes"'),
            ("presence: {gracePeriod: 600001}", "presence.gracePeriod: expected a number from 0 to 600000, got 600001"),
            ("presence: {maxUsersInGrace: 0}", f"presence.maxUsersInGrace: expected a number from 1 to {2**53}, got 0"),
            ("rpc: {ackTimeout: 0}", "rpc.ackTimeout: expected a number from 1 to 2147483647, got 0"),
            ("rpc: {maxPendingCalls: 0}", "rpc.maxPendingCalls: expected a number from 1 to 9007199254740992, got 0"),
            ("enabledFeatures: {rpc: 1}", "enabledFeatures.rpc: expected true or false, got 1"),
            (http % "headers: x", 'httpServer.options.headers: expected a list, got "x"'),
            (http % "headers: [1]", "httpServer.options.headers[0]: expected a text, got 1; put it in quotes"),
            # numbers and times
            (http % "port: '6020'", 'httpServer.options.port: expected a whole number, got "6020"'),
            (http % "port: 1.5", "httpServer.options.port: expected a whole number, got 1.5"),
            (http % "port: .nan", "httpServer.options.port: expected a whole number, got NaN"),
            (http % "port: true", "httpServer.options.port: expected a whole number, got true"),
            (http % "port: 0", "httpServer.options.port: expected a number from 1 to 65535, got 0"),
            (http % "port: 65536", "httpServer.options.port: expected a number from 1 to 65535, got 65536"),
            (ws % "heartbeatInterval: 30s", at + 'heartbeatInterval: expected a whole number, got "30s"'),
            (ws % "heartbeatInterval: 0", at + "heartbeatInterval: expected a number from 1 to 2147483647, got 0"),
            (ws % "unauthenticatedClientTimeout: true", at + "unauthenticatedClientTimeout: expected a whole number"),
            (f"shutdownTimeout: {'9' * 400}", "shutdownTimeout: expected a number from 0 to 2147483647, got 9999"),
            (f"shutdownTimeout: {'9' * 401}", "shutdownTimeout: expected a whole number, got Infinity"),
            ("locks: {options: {holdTimeout: 49}}", "locks.options.holdTimeout: expected a number from 50"),
            # values with a form of their own
            ("logLevel: 4", "logLevel: expected one of 0 (DEBUG), 1 (INFO), 2 (WARN), 3 (ERROR), 100 (OFF), got 4"),
            ("logLevel: true", "logLevel: expected one of 0 (DEBUG)"),
            ("logLevel: [1]", "logLevel: expected one of 0 (DEBUG)"),
            (ws % "urlPath: deepstream", at + 'urlPath: expected the path of a URL, such as /deepstream, got "deep'),
            (ws % "urlPath: '/a?b'", at + "urlPath: expected the path of a URL"),
            (ws % "redirectUrl: 'http://x'", at + 'redirectUrl: expected a ws:// or wss:// URL, got "http://x"'),
            (ws % "redirectUrl: 'ws://[x'", at + "redirectUrl: expected a ws:// or wss:// URL"),
            (ws % "redirectUrl: 'ws://x y'", at + "redirectUrl: expected a ws:// or wss:// URL"),
            (ws % "redirectUrl: 'ws://x', rejectClients: true", at + "redirectUrl: clients cannot be both"),
            # the server would be more open than the file says
            (
                http % "allowAllOrigins: false",
                "httpServer.options.origins: HTTP allowAllOrigins set to false but no origins provided",
            ),
            (http % "origins: ['https://a.example/']", "httpServer.options.origins[0]: expected an origin such as"),
            (http % "origins: [a.example]", "httpServer.options.origins[0]: expected an origin such as"),
            (http % "trustedProxies: ['10.0.0.0/33']", "httpServer.options.trustedProxies[0]: expected an address, a"),
            (http % "trustedProxies: [proxy]", "httpServer.options.trustedProxies[0]: expected an address, a"),
            ("limits: {maxConnections: 0}", "limits.maxConnections: expected a number from 1 to"),
            (http % "allowAllOrigins: 5", "httpServer.options.allowAllOrigins: expected true or false, got 5"),
            (
                "auth: {type: nome}",
                "auth.type: Unknown authentication type nome: expected one of none, file, storage, http, jwt, "
                'certificate, got "nome"; did you mean none?',
            ),
            ("auth: []", "auth: No authentication type specified"),
            ("auth: [null]", "auth[0].type: missing; say none if that is what is meant"),
            ("auth: ${AUTH}", "auth.type: missing; say none if that is what is meant"),
            ("permission: ", "permission.type: missing; say none if that is what is meant"),
            ("permission: {type: valve}", "permission.type: expected one of none, config"),
            ("permission: {path: ./p}", 'permission.path: expected file.py:Class or package.module:Class, got "./p"'),
            ("permission: {path: p.js}", "permission.path: JavaScript cannot run here; see docs/permissions.rst"),
            ("permission: {path: p.py:P, max: 1}", "permission.max: unknown option beside path"),
            ("permission: {type: config}", "permission.options: expected the rules"),
            ("permission: {type: config, options: {path: 5}}", "permission.options.path: expected a text, got 5"),
            (
                "permission: {type: config, options: {permissions: {}, path: rules.yml}}",
                "permission.options: expected the rules",
            ),
            (
                "permission: {type: config, options: {permissions: {}, maxRuleIterations: 0}}",
                "permission.options.maxRuleIterations: Maximum rule iteration has to be at least one",
            ),
            (
                "permission: {type: config, options: {permissions: {}, maxRuleSteps: 1}}",
                "permission.options.maxRuleSteps: expected a number from 100",
            ),
            (
                "permission: {type: config, options: {permissions: fileLoad(none.yml)}}",
                "permission.options.permissions: cannot load",
            ),
            # data would be lost
            ("cache: {name: redis}", "cache.name: redis is known but not built yet; data would be lost silently"),
            ("storage: {type: mongodb}", "storage.type: mongodb is known but not built yet; data would be lost"),
            ("cache: {type: sqlite}", "cache.type: sqlite is for the storage; expected one of default, memory"),
            ("cache: {kind: memory}", "cache.kind: unknown option"),
            ("cache: {options: {maxEntries: 0}}", "cache.options.maxEntries: expected a number from 1"),
            ("storage: {options: {path: x}}", "storage.options: the type default has no options; say which type"),
            ("storage: {type: none, options: {path: x}}", "storage.options: the type none has no options"),
            ("storage: {type: memory, options: {maxByte: 1}}", "storage.options.maxByte: unknown option; did you mean"),
            ("storage: {type: sqlite, options: {path: ''}}", "storage.options.path: expected a text, got an empty one"),
            (
                "storage: {type: sqlite, options: {synchronous: ful}}",
                'storage.options.synchronous: expected one of full, normal, off, got "ful"; did you mean full?',
            ),
            ("storage: {type: sqlite, options: {maxBytes: 65535}}", "storage.options.maxBytes: expected a number from"),
            ("storage: {path: ./lib/store.js}", "storage.path: JavaScript cannot run here; see docs/stores.rst"),
            ("storage: {module: store}", 'storage.module: expected package.module:Class, got "store"'),
            # endpoints
            ("connectionEndpoints: []", "connectionEndpoints: No connection endpoints configured"),
            ("connectionEndpoints: [null, ]", "connectionEndpoints: No connection endpoints configured"),
            ("connectionEndpoints: 5", "connectionEndpoints: expected a list, got 5"),
            ("connectionEndpoints: [{type: http}]", "connectionEndpoints: none of these is built yet"),
            (
                "connectionEndpoints: [{type: ws-bin}]",
                "connectionEndpoints[0].type: expected one of ws-binary, ws-text",
            ),
            ("connectionEndpoints: [{}]", "connectionEndpoints[0].type: expected one of ws-binary, ws-text"),
            ("connectionEndpoints: [{path: ./x}]", "connectionEndpoints[0].path: expected one of ws-binary, ws-text"),
            (
                "connectionEndpoints: [{type: ws-text}, {type: ws-text}]",
                at.replace("0", "1") + "urlPath: another ws-text endpoint has the path /deepstream-v3",
            ),
            (
                "connectionEndpoints: [{type: ws-binary, options: {detectionTimeout: 5}}]",
                at + "detectionTimeout: belongs to the ws-text endpoint on the same path",
            ),
            (
                "connectionEndpoints: [{type: ws-binary, options: {greetingDelay: 5}}]",
                at + "greetingDelay: belongs to a ws-text endpoint: clients of v4 and later are not greeted",
            ),
            (
                "connectionEndpoints: [{type: ws-text}, {type: http, options: {requestTimeout: x}}]",
                'connectionEndpoints[1].options.requestTimeout: expected a whole number, got "x"',
            ),
            (http % "healthCheckPath: /deepstream", "httpServer.options.healthCheckPath: a connection endpoint has"),
            # others
            ("httpServer: {type: nginx}", 'httpServer.type: expected one of default, uws, got "nginx"'),
            ("httpServer: {name: mine}", "httpServer.name: expected one of default, uws, got"),
            ("locks: {type: redis}", 'locks.type: expected one of default, got "redis"'),
            ("logger: {options: {colors: 1}}", "logger.options.colors: expected true or false, got 1"),
        ):
            self.assertStartsWith(self.refusal(content), expected)

    def assertStartsWith(self, text: str, start: str) -> None:
        self.assertTrue(text.startswith(start), f"{text!r} should start with {start!r}")

    def test_ssl(self) -> None:
        """
        TLS that could not work is refused: half of it, a file that is not there, one that is no PEM, options at odds.
        """
        self.write("text.pem", "hello")
        for ssl, expected in (
            ({"key": PEM}, "httpServer.options.ssl.cert: missing; TLS needs both key and cert"),
            ({"cert": PEM}, "httpServer.options.ssl.key: missing; TLS needs both key and cert"),
            (
                {"key": "no.pem", "cert": PEM},
                f"httpServer.options.ssl.key: cannot read {self.directory}/no.pem: No such",
            ),
            ({"key": PEM, "cert": "text.pem"}, f"httpServer.options.ssl.cert: {self.directory}/text.pem is not a PEM"),
            ({"key": "a\0b", "cert": PEM}, "httpServer.options.ssl.key: expected the name of a file"),
            ({"key": PEM, "cert": PEM, "passphrase": 5}, "httpServer.options.ssl.passphrase: expected a text, got 5"),
            (
                {"key": PEM, "cert": PEM, "minVersion": "TLSv1.1"},
                "httpServer.options.ssl.minVersion: expected one of TLSv1.2, TLSv1.3",
            ),
            (
                {"key": PEM, "cert": PEM, "requestCert": True},
                "httpServer.options.ssl.clientCa: missing; requestCert needs",
            ),
            (
                {"key": PEM, "cert": PEM, "clientCa": PEM},
                "httpServer.options.ssl.clientCa: no client is asked for a certificate",
            ),
            (
                {"key": PEM, "cert": PEM, "reloadInterval": 1},
                "httpServer.options.ssl.reloadInterval: expected a number from 100 to 86400000",
            ),
        ):
            content = json.dumps({"httpServer": {"options": {"ssl": ssl}}})
            self.assertStartsWith(self.refusal(content, "config.json"), expected)
        self.load_tree(httpServer={"options": {"ssl": {"key": PEM, "cert": PEM, "passphrase": None}}})

    def test_all_at_once(self) -> None:
        """
        One start shows all that is wrong, the missing file included; what follows from that one is not told.
        """
        content = "serverName: 1\nlogLevel: 7\nauth: [fileLoad(a.yml)]\nhttpServer: {options: {host: fileLoad(b.txt)}}"
        error = self.assertRaises(ConfigError, self.load, content)
        lines = str(error).splitlines()
        self.assertEqual("", error.path)
        self.assertEqual(f"4 problems in {self.directory}/config.yml:", lines[0])
        self.assertEqual(
            [
                ["line 3", "auth[0]"],
                ["line 4", "httpServer.options.host"],
                ["line 1", "serverName"],
                ["line 2", "logLevel"],
            ],
            [line.strip().split(": ")[:2] for line in lines[1:]],
        )

    def test_quotes(self) -> None:
        """
        Of a number or a flag that is a text only because of its quotes, that is said.
        """
        for content, expected in (
            ("rpc: {ackTimeout: '5'}", 'rpc.ackTimeout: expected a whole number, got "5"; leave out the quotes'),
            ("rpc: {ackTimeout: 5 s}", 'rpc.ackTimeout: expected a whole number, got "5 s"'),
            ("showLogo: 'true'", 'showLogo: expected true or false, got "true"; leave out the quotes'),
            ("showLogo: yes", 'showLogo: expected true or false, got "yes"'),
        ):
            self.assertEqual(expected, self.refusal(content))

    def test_many(self) -> None:
        """
        Of very many problems the first hundred are told.
        """
        told = str(self.assertRaises(ConfigError, self.load, "\n".join(f"x{i}: 1" for i in range(1000)))).splitlines()
        self.assertStartsWith(told[0], "1000 problems in ")
        self.assertEqual(("  line 100: x99: unknown option", "  and 900 more"), (told[100], told[101]))
        self.assertEqual(102, len(told))

    def test_no_section(self) -> None:
        """
        The error text for a value in the place of a section suggests a correction; so does that for an option that
        lacks its indent.
        """
        auth = "auth: [{type: file, options: {users: %s}}]"
        for content, expected in (
            (
                auth % "users.yml",
                '.users: expected a section (key: value), got "users.yml"; to load that file write',
            ),
            (auth % "conf/users.json", "; to load that file write fileLoad(conf/users.json)"),
            ("httpServer: http.yaml", 'got "http.yaml"; to load that file write fileLoad(http.yaml)'),
            (
                "rpc:\n  ackTimeout:5",
                'rpc: expected a section (key: value), got "ackTimeout:5"; put a space behind',
            ),
            ("rpc:\n  ackTimeout 5", 'got "ackTimeout 5"; is there a colon missing?'),
            ("rpc: nonsense", 'rpc: expected a section (key: value), got "nonsense"'),
            ("rpc:\nackTimeout: 5", "ackTimeout: unknown option; it is an option of rpc: indent it below that"),
            ("maxConnections: 5", "maxConnections: unknown option; it is an option of limits: indent it below that"),
        ):
            self.assertIn(expected, self.refusal(content))

    def test_place(self) -> None:
        """
        The error says the file and the line, also within lists, of files that are loaded, and of inherited keys; of an
        option that is missing, where its section begins.
        """
        users = self.write("users.yml", "ann:\n  password: x\nbob:\n  password: 5\n")
        config = os.path.join(self.directory, "config.yml")
        for content, place, path in (
            ("\n\nrpc:\n  ackTimeout: 5\n  rcp: 6\n", f"{config}: line 5", "rpc.rcp"),
            ("connectionEndpoints:\n- type: ws-text\n- type: ws-txt\n", f"{config}: line 3",
             "connectionEndpoints[1].type"),
            ("auth:\n  type: file\n  options:\n    users: fileLoad(users.yml)\n", f"{users}: line 4",
             "auth.options.users.bob.password"),
            ("auth:\n  type: file\n  options:\n    path: users.yml\n", f"{users}: line 4",
             "auth.options.path.bob.password"),
            ("auth:\n  type: file\n  options:\n    users: fileLoad(no.yml)\n", f"{config}: line 4",
             "auth.options.users"),
            ("auth:\n  type: jwt\n  options:\n    secret: x\n", f"{config}: line 3", "auth.options.algorithms"),
            ("rpc: &a\n  ackTimeout: x\nlisten:\n  matchCooldown: 7\n  <<: *a\n", "  line 2", "rpc.ackTimeout"),
            ("[1]", config, "expected a section"),
        ):  # fmt: skip
            told = str(self.assertRaises(ConfigError, self.load, content))
            self.assertIn(f"{place}: {path}", told)
        told = str(self.assertRaises(ConfigError, self.load, '{"rpc": {"x": 1}}', "config.json"))
        self.assertStartsWith(told, f"{self.directory}/config.json: rpc.x: unknown option")

    def test_variable_not_set(self) -> None:
        """
        A variable that is not set is named where it matters, and noted where it does not; not if it has a default.
        """
        told = self.refusal("httpServer:\n  options:\n    port: ${PORT}\n    host: ${HOST:-}\n")
        self.assertIn("options.port: expected a whole number, got null; the variable PORT is not set", told)
        self.assertNotIn("HOST is not set", told)
        told = self.refusal("auth:\n  type: jwt\n  options: {secret: '${SECRET}', algorithms: [HS256]}\n")
        self.assertIn("expected exactly one of secret, publicKey, jwksUrl; the variable SECRET is not set", told)
        settings = self.load("serverName: node${N}${M:-}", M="")
        self.assertEqual(("CONFIG | serverName: the variable N is not set, and counts as empty",), settings.notes)
        self.assertEqual((), self.load("serverName: node${N}", N="").notes)

    def test_path(self) -> None:
        """
        The error says the key's path apart from the problem.
        """
        error = self.assertRaises(ConfigError, self.load, "listen: {matchCooldown: x}")
        self.assertEqual("listen.matchCooldown", error.path)
        self.assertEqual('expected a whole number, got "x"', error.problem)
