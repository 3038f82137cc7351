"""
Configuration files of v2, v3 and v4 of the Node server, as they are.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dstwist.config.endpoints import DEFAULT_ENDPOINTS
from dstwist.config.file import Reading, files_of
from dstwist.config.legacy import MOVED_KEYS, REMOVED_KEYS, convert
from dstwist.config.redis import RedisSettings
from dstwist.config.settings import Settings
from dstwist.config.values import read_again
from dstwist.errors import ConfigError
from tests.config.helpers import ConfigCase


def noted(settings: Settings) -> list[str]:
    """
    Which options the log tells of at start.
    """
    return [note.removeprefix("CONFIG | ").split(" ")[0].rstrip(":,") for note in settings.notes]


USERS = "ann: {password: x}\n"
RULES = "{record: {'*': {}}, event: {'*': {}}, rpc: {'*': {}}, presence: {'*': {}}}\n"

# Every option of a file of v3, with other values than the defaults.
V3 = """\
serverName: UUID
showLogo: false
logLevel: WARN
sslKey: null
sslCert: null
rpcAckTimeout: 1001
rpcTimeout: 10001
cacheRetrievalTimeout: 1002
storageRetrievalTimeout: 2002
storageHotPathPatterns: [hot/]
dependencyInitialisationTimeout: 2003
stateReconciliationTimeout: 500
clusterKeepAliveInterval: 5000
clusterActiveCheckInterval: 1000
clusterNodeInactiveTimeout: 6000
listenResponseTimeout: 504
lockTimeout: 1000
lockRequestTimeout: 1000
broadcastTimeout: 0
shuffleListenProviders: false
connectionEndpoints:
  websocket:
    name: uws
    options:
      port: 6030
      host: 127.0.0.1
      healthCheckPath: /healthy
      heartbeatInterval: 30001
      outgoingBufferTimeout: 5
      maxAuthAttempts: 4
      noDelay: true
      perMessageDeflate: false
  http:
    name: http
    options: {authPath: /auth, postPath: /, getPath: /, port: 8080, host: 0.0.0.0, allowAllOrigins: true}
logger:
  name: default
  options: {colors: false, logLevel: ERROR}
plugins: {}
auth:
  type: file
  options: {path: ./users.yml}
permission:
  type: config
  options: {path: ./permissions.yml}
"""

V4 = """\
connectionEndpoints:
  - type: uws-websocket
    options: {port: 6030, host: 127.0.0.1, urlPath: /deepstream, noDelay: false, perMessageDeflate: {}}
  - type: ws-text
    options: {port: 6030, urlPath: /deepstream}
  - type: node-http
    options: {port: 8080, origins: ['https://example.com'], maxMessageSize: 1024}
"""


class FileTests(ConfigCase):
    """
    Whole files.
    """

    def test_v3(self) -> None:
        """
        A file of v3 works as it is: every option has its effect, or is told to have none.
        """
        self.write("permissions.yml", json.dumps({"record": {}, "event": {}, "rpc": {}, "presence": {}}))
        self.write("users.yml", "ann: {password: secret}")
        settings = self.load(V3)
        (endpoint,) = settings.web_sockets
        self.assertEqual(("ws-text", "/deepstream"), (endpoint.type, endpoint.url_path))
        self.assertEqual((30.001, 0.005, 4), (endpoint.heartbeat_interval, endpoint.outgoing_buffer_timeout, 4))
        http = settings.http
        self.assertEqual(
            ("127.0.0.1", 6030, "/healthy", None), (http.host, http.port, http.health_check_path, http.ssl)
        )
        self.assertEqual((1.001, 10.001), (settings.rpc.ack_timeout, settings.rpc.response_timeout))
        record = settings.record
        self.assertEqual((1.002, 2.002), (record.cache_retrieval_timeout, record.storage_retrieval_timeout))
        self.assertEqual(("hot/",), record.storage_hot_path_prefixes)
        self.assertEqual((0.504, False), (settings.listen.response_timeout, settings.listen.shuffle_providers))
        self.assertEqual((2.003, 3), (settings.dependency_initialization_timeout, settings.log_level))
        self.assertEqual("config", settings.permission.type)
        notes = noted(settings)
        for key in ("broadcastTimeout", "connectionEndpoints.http", "connectionEndpoints.websocket"):
            self.assertIn(key, notes)
        (api,) = settings.http_apis
        self.assertEqual((8080, "0.0.0.0", "/", "/auth"), (api.port, api.host, api.post_path, api.auth_path))
        # It was off by default, and errors had names.
        self.assertEqual((False, "name"), (api.enable_auth_endpoint, api.error_event_format))
        for key in MOVED_KEYS:
            self.assertEqual(f"\n{key}: " in V3 and f"{key}: null" not in V3, key in notes, key)

    def test_v4(self) -> None:
        """
        In a file of v4 each endpoint had a port; the one of those for WebSockets is that of the server.
        """
        settings = self.load(V4)
        self.assertEqual(("127.0.0.1", 6030), (settings.http.host, settings.http.port))
        self.assertEqual(["ws-binary", "ws-text"], [endpoint.type for endpoint in settings.web_sockets])
        (api,) = settings.http_apis
        self.assertEqual((8080, None, "/", "number"), (api.port, api.host, api.post_path, api.error_event_format))
        self.assertEqual(
            [
                "connectionEndpoints[0].type",
                "connectionEndpoints[0].options.host",
                "connectionEndpoints[0].options.port",
                "connectionEndpoints[0].options.noDelay",
                "connectionEndpoints[0].options.perMessageDeflate",
                "connectionEndpoints[2].type",
                "connectionEndpoints[2].options.origins",
                "connectionEndpoints[2].options.maxMessageSize",
            ],
            noted(settings),
        )

    def test_new_files(self) -> None:
        """
        There is nothing to tell of today's files; and where they have a port, that of an endpoint never counted.
        """
        settings = self.load(
            "httpServer: {options: {port: 7000}}\nconnectionEndpoints: [{type: ws-binary}]\nplugins: {}"
        )
        self.assertEqual((), settings.notes)
        settings = self.load(
            "httpServer: {options: {port: 7000}}\nconnectionEndpoints: [{type: ws-binary, options: {port: 1}}]"
        )
        self.assertEqual(7000, settings.http.port)
        self.assertEqual(["connectionEndpoints[0].options.port"], noted(settings))


class OptionTests(ConfigCase):
    """
    Single options.
    """

    def test_defaults(self) -> None:
        """
        A file of v2 or v3 that does not speak of endpoints has the one that there was by default; any other has those
        of today.
        """
        old = self.load("rpcTimeout: 5")
        self.assertEqual([("ws-text", "/deepstream")], [(each.type, each.url_path) for each in old.web_sockets])
        for content in ("rpc: {ackTimeout: 5}", "port: 7000", "rpcTimeout: null", ""):
            self.assertEqual(DEFAULT_ENDPOINTS, self.load(content).endpoints, content)

    def test_overrides(self) -> None:
        """
        Options of the top level override those of the endpoint.
        """
        settings = self.load(
            "port: 7001\nurlPath: /up\nconnectionEndpoints: {websocket: {options: {port: 1, urlPath: /low}}}"
        )
        self.assertEqual((7001, "/up"), (settings.http.port, settings.web_sockets[0].url_path))
        self.assertIn("connectionEndpoints.websocket.options.port", noted(settings))

    def test_tls(self) -> None:
        """
        Keys and certificates are names of files, relative to the configuration.
        """
        pem = "-----BEGIN TEST-----\nAAAA\n-----END TEST-----\n"
        for name in ("key.pem", "cert.pem"):
            self.write(name, pem)
        settings = self.load("sslKey: ./key.pem\nsslCert: path(cert.pem)\nsslPassphrase: secret\nsslCa: null")
        assert settings.http.ssl is not None
        self.assertEqual(
            (pem, pem, "secret"), (settings.http.ssl.key, settings.http.ssl.cert, settings.http.ssl.passphrase)
        )

    def test_text_only(self) -> None:
        """
        An option of v2 or v3 at the top level makes a file without endpoints one for text alone. The manual lists these
        options.
        """
        manual = (Path(__file__).parent.parent.parent / "docs" / "configuration.rst").read_text()
        listed = manual.partition("one of\n  these options at the top level:")[2].partition("All others")[0]
        found = [key for key in (*MOVED_KEYS, *REMOVED_KEYS) if "connectionEndpoints" in self.converted(key)]
        self.assertEqual(sorted(re.findall("``(.*?)``", listed)), sorted(found))

    def converted(self, key: str) -> dict[str, Any]:
        return convert({key: "x"}, Reading(self.directory, {}))

    def test_nothing_left_out(self) -> None:
        """
        Each option that has moved is where it belongs now, and each has its line in the log; so has what is gone.
        """
        samples: dict[str, Any] = {
            "sslCert": "cert.pem",
            "origins": ["https://a.b"],
            "healthCheckPath": "/x",
            "host": "::1",
        }
        samples |= {"storageHotPathPatterns": ["a"], "storageHotPathPrefixes": ["a"], "storageExclusionPrefixes": ["a"]}
        samples |= dict.fromkeys(
            ("allowAllOrigins", "colors", "shuffleListenProviders", "provideRPCRequestorDetails"), True
        )
        self.write("cert.pem", "-----BEGIN TEST-----\n")
        for key in [*MOVED_KEYS, *REMOVED_KEYS]:
            tree = {key: samples.get(key, 3000)}
            if key.startswith("ssl"):
                tree = {"sslKey": "cert.pem", "sslCert": "cert.pem"} | {key: "cert.pem"}
            self.assertIn(key, noted(self.load_tree(**tree)), key)

    def test_connectors(self) -> None:
        """
        The connectors that were plug-ins are what they are now; those that there are not are refused: no data gets
        lost.
        """
        settings = self.load(
            "plugins: {message: {name: redis}, cache: {name: redis}, storage: {type: none}, other: {module: 'a:B'}}"
        )
        self.assertEqual(["other"], list(settings.plugins))
        names = [type(part).__name__ for part in (settings.cluster_node, settings.cache, settings.storage)]
        self.assertEqual(["RedisBusSettings", "RedisSettings", "NoStorage"], names)
        self.assertEqual(
            "plugins.storage.name: mongodb is known but not built yet; data would be lost silently",
            self.refusal("plugins: {storage: {name: mongodb}}"),
        )

    def test_redis(self) -> None:
        """
        A Redis of v2 or v3 has the records as these wrote them, unless the file says otherwise.
        """
        for options, expected in (
            ("{host: a}", RedisSettings(host="a", legacy_layout=True)),
            ("redis://a", RedisSettings(host="a", legacy_layout=True)),
            ("{legacyLayout: false}", RedisSettings()),
        ):
            settings = self.load(f"plugins: {{cache: {{name: redis, options: {options}}}}}")
            self.assertEqual(expected, settings.cache)
            note = "CONFIG | plugins.cache.options.legacyLayout is true, because this is a connector for v2 and v3"
            self.assertEqual(expected.legacy_layout, note in settings.notes)
        self.assertEqual(
            "plugins.storage.options.hots: unknown option; did you mean host?",
            self.refusal("plugins: {storage: {name: redis, options: {hots: a}}}"),
        )

    def test_refused(self) -> None:
        """
        An error has the name of the option in the file, and its line; an option that cannot be converted is refused.
        """
        for content, expected in (
            ("rpcTimeout: x", "rpcTimeout: expected a whole number"),
            ("sslKey: k.pem", "httpServer.options.ssl.cert: missing"),
            ("rpcTimeout: 5\nrpc: {responseTimeout: 6}", "rpcTimeout: this is the old name of rpc.responseTimeout"),
            ("rpcTimeout: 5\nrpc: 6", "rpc: expected a section"),
            ("storageExclusion: ^a", "storageExclusion: regular expressions are not taken; use record."),
            ("connectionEndpoints: {tcp: {}}", "connectionEndpoints.tcp: expected one of websocket, http"),
            ("connectionEndpoints: {}", "connectionEndpoints: No connection endpoints configured"),
            ("connectionEndpoints: {websocket: null}", "connectionEndpoints: No connection endpoints configured"),
            ("connectionEndpoints: {websocket: {name: mine}}", "connectionEndpoints.websocket: plug-ins of the Node"),
            ("connectionEndpoints: {websocket: {nme: uws}}", "connectionEndpoints.websocket.nme: unknown option"),
            (
                "connectionEndpoints: {websocket: {options: {heartbeatIntervall: 1}}}",
                "connectionEndpoints.websocket.options.heartbeatIntervall: unknown option; did you mean heartbeatI",
            ),
            (
                "connectionEndpoints: {websocket: {options: {port: x}}}",
                "connectionEndpoints.websocket.options.port: exp",
            ),
            ("rpcTimeout: 5\nheartbeatInterval: x", "heartbeatInterval: expected a whole number"),
            # It may be a slip in a file of today, which would then have no endpoint for today's clients.
            (
                "heartbeatInterval: 5",
                "heartbeatInterval: this belongs to the options of an entry of connectionEndpoints",
            ),
            (
                "heartbeatInterval: 5\nconnectionEndpoints: [{type: ws-text}]",
                "heartbeatInterval: this belongs to the options of an entry of connectionEndpoints",
            ),
            (
                "connectionEndpoints: [{type: ws-text, options: {host: a}}, {type: ws-binary, options: {host: b}}]",
                "connectionEndpoints[1].options.host: all endpoints are on one port, and connectionEndpoints[0].",
            ),
            (
                "connectionEndpoints: [{type: ws-text}, {type: http, options: {allowAllOrigins: false}}]",
                "connectionEndpoints[1].options.allowAllOrigins: use httpServer.options.allowAllOrigins",
            ),
        ):
            self.assertIn(expected, self.refusal(content), content)
            if "allowAllOrigins" in content:
                self.assertNotIn("problems", self.refusal(content))
        told = str(self.assertRaises(ConfigError, self.load, "\nrpcTimeout: x"))
        self.assertIn(f"{self.directory}/config.yml: line 2: rpcTimeout: ", told)


class ShippedTests(ConfigCase):
    """
    The configurations that came with the releases, by the table that tools/released_configs.py makes, and what people
    have made of them.
    """

    def stand_in(self, tree: Any, place: str = "") -> None:
        """
        Write the files that a configuration loads.
        """
        values = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
        for _, value in values:
            if isinstance(value, str) and (found := re.fullmatch(r"fileLoad\((.*)\)", value)):
                self.write(found[1], RULES if "permissions" in value else USERS)
            elif isinstance(value, str) and value.endswith("permissions.yml"):
                self.write(value, RULES)
            self.stand_in(value)

    def test_releases(self) -> None:
        """
        Each can be used, and what has no effect here is noted.
        """
        table = json.loads((Path(__file__).parent / "released_keys.json").read_text())
        self.assertGreaterEqual(sum(len(each["releases"]) for each in table), 18)
        for each in table:
            self.stand_in(each["config"])
            settings = self.load(json.dumps(each["config"]), "config.json")
            if "listen" in each["config"] and "shuffleProviderss" in each["config"]["listen"]:
                self.assertIn("listen.shuffleProviderss", noted(settings))

    def test_not_run(self) -> None:
        """
        In sections of which nothing runs here, unknown keys and options of any form are noted.
        """
        for content, path in (
            ("logger: {name: winston, options: [{type: console}]}", "logger.options"),
            ("logger: {type: default, options: [{type: console}]}", "logger.options"),
            ("plugins: [{name: x}]", "plugins"),
            ("plugins: {x: {path: ./y, options: text}}", "plugins.x.options"),
            ("plugins: {x: {path: ./y, optoins: text}}", "plugins.x.optoins"),
            ("locks: {options: {holdTimeuot: 1}}", "locks.options.holdTimeuot"),
            ("telemetry: {options: {enabeld: true}}", "telemetry.options.enabeld"),
            (
                "connectionEndpoints: [{type: ws-text}, {type: mqtt, options: {idelTimeout: 1}}]",
                "connectionEndpoints[1].options.idelTimeout",
            ),
        ):
            self.assertIn(path, noted(self.load(content)), content)

    def test_second_port(self) -> None:
        """
        A second port is noted: all endpoints are on the first.
        """
        settings = self.load(
            "connectionEndpoints: [{type: ws-binary, options: {port: 6020}}, {type: ws-text, options: {port: 6021}}]"
        )
        self.assertEqual(settings.http.port, 6020)
        self.assertIn(
            "CONFIG | connectionEndpoints[1].options.port has no effect: all endpoints are on one port, and "
            "connectionEndpoints[0].options.port says 6020; for more ports use --listen",
            settings.notes,
        )

    def test_tls_of_endpoint(self) -> None:
        """
        Key and certificate of an endpoint are those of the port.
        """
        pem = "-----BEGIN TEST-----\n"
        for name in ("key.pem", "cert.pem", "other.pem"):
            self.write(name, pem + name)
        both = "{sslKey: key.pem, sslCert: cert.pem}"
        one = f"connectionEndpoints: [{{type: ws-binary, options: {both}}}, {{type: ws-text, options: {both}}}]"
        old = f"connectionEndpoints: {{websocket: {{name: uws, options: {both}}}}}"
        for content in (one, old):
            settings = self.load(content)
            assert settings.http.ssl is not None
            self.assertEqual((settings.http.ssl.key, settings.http.ssl.cert), (pem + "key.pem", pem + "cert.pem"))
        self.assertIn(
            "connectionEndpoints[1].options.sslCert: all endpoints are on one port, and "
            "connectionEndpoints[0].options.sslCert says something else",
            self.refusal(
                f"connectionEndpoints: [{{type: ws-binary, options: {both}}}, "
                "{type: ws-text, options: {sslKey: key.pem, sslCert: other.pem}}]"
            ),
        )

    def test_authorities(self) -> None:
        """
        C{ssl.ca} may be a list, as Node takes it; each of its files is read again with the others.
        """
        pem = "-----BEGIN TEST-----\n"
        for name in ("a", "b", "c"):
            self.write(f"{name}.pem", pem + name)
        settings = self.load("httpServer: {options: {ssl: {key: a.pem, cert: a.pem, ca: ['fileLoad(b.pem)', c.pem]}}}")
        assert settings.http.ssl is not None and settings.http.ssl.ca is not None
        self.assertEqual(settings.http.ssl.ca, f"{pem}b\n{pem}c")
        self.assertEqual(files_of(settings.http.ssl.ca), (f"{self.directory}/b.pem", f"{self.directory}/c.pem"))
        self.write("c.pem", pem + "new")
        self.assertEqual(read_again(settings.http.ssl.ca), f"{pem}b\n{pem}new")
        problem = "httpServer.options.ssl.ca: expected at least one certificate"
        self.assertIn(problem, self.refusal("httpServer: {options: {ssl: {key: a.pem, cert: a.pem, ca: []}}}"))
