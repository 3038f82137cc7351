"""
The command line of C{twistd dstwist}, and the service made of it.
"""

from __future__ import annotations

import os
import sys
from io import StringIO
from pathlib import Path
from typing import Any, cast

from twisted.application.service import IServiceMaker
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel
from twisted.plugin import getPlugins
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.load import load
from dstwist.endpoints import DEFAULT_BACKLOG
from dstwist.log import Logger, change_level
from dstwist.node import Node
from dstwist.process import signals
from dstwist.tap import Options, build_node, makeService, overridden
from dstwist.tls.transport import TlsEndpoint
from tests.e2e.certificates import Certificates, make_certificates
from tests.logs import Lines

SHIPPED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "etc", "dstwist", "config.yml")
EVERYTHING = [LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error]


class TapTestCase(SynchronousTestCase):
    """
    A service made of command line words.
    """

    def make(self, *words: str, **environ: str) -> Node:
        options = Options()
        options.parseOptions(list(words))
        self.reactor: Any = MemoryReactorClock()
        return build_node(options, self.reactor, environ)

    def config(self, text: str) -> str:
        path = str(self.mktemp())
        with open(path, "w") as file:
            file.write(text)
        return path

    def refused(self, *words: str) -> str:
        return str(self.assertRaises(UsageError, self.make, *words))


class OptionsTests(TapTestCase):
    """
    The options of the command line.
    """

    def tearDown(self) -> None:
        Logger.set_level("INFO")

    def test_plugin(self) -> None:
        """
        twistd finds dstwist.
        """
        self.assertIn("dstwist", [plugin.tapname for plugin in getPlugins(IServiceMaker)])

    def test_defaults(self) -> None:
        """
        Without a word the server listens on port 6020, for both generations.
        """
        node = self.make()
        node.privilegedStartService()
        ((port, _, backlog, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface, backlog), (6020, "0.0.0.0", DEFAULT_BACKLOG))
        self.assertEqual(sorted(node.web_sockets), ["/deepstream", "/deepstream-json", "/deepstream-v3"])

    def test_shipped_config(self) -> None:
        """
        The shipped configuration starts, and is reachable from this machine only.
        """
        node = self.make("--config", SHIPPED)
        node.privilegedStartService()
        ((port, _, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface), (6020, "127.0.0.1"))

    def test_listen(self) -> None:
        """
        Endpoints are Twisted's, any number of them, and replace the configured one.
        """
        node = self.make("--listen", "tcp:7000", "-l", "tcp:7001:interface=127.0.0.1")
        node.privilegedStartService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [7000, 7001])

    def test_bad_endpoint(self) -> None:
        """
        An endpoint that is none is refused with what was written.
        """
        for endpoint in ("tcp:x", "nonsense:1", "tls:6020:privateKey=/nowhere.pem"):
            self.assertIn(f"--listen {endpoint}", self.refused("--listen", endpoint))

    def test_bad_config(self) -> None:
        """
        A configuration that cannot be used is refused with the key's path, and nothing is opened.
        """
        path = self.config("httpServer: {options: {port: many}}")
        self.assertIn("httpServer.options.port", self.refused("--config", path))
        self.assertEqual(
            "--config: Configuration file not found at: /nowhere.yml", self.refused("--config", "/nowhere.yml")
        )
        self.assertEqual(self.reactor.tcpServers, [])

    def test_no_traceback(self) -> None:
        """
        twistd ends with the reason alone, and the status of a configuration that cannot be used.
        """
        self.patch(signals, "hold", lambda: None)
        self.patch(sys, "stderr", said := StringIO())
        options = Options()
        options.parseOptions(["--config", self.config("rcp: {}")])
        ended = self.assertRaises(SystemExit, makeService, options)
        self.assertEqual(ended.code, 78)
        self.assertTrue(said.getvalue().startswith("dstwist: "), said.getvalue())
        self.assertIn("rcp: unknown option; did you mean rpc?", said.getvalue())

    def test_unknown_words(self) -> None:
        """
        Below twistd, words that are no options end the process with the status of a configuration that cannot be used;
        twistd itself would end it with 0.
        """
        for words in (["--no-such"], ["word"], ["--log-level", "loud"]):
            options = Options()
            options.parent = TwistedOptions()
            self.patch(sys, "stderr", said := StringIO())
            ended = self.assertRaises(SystemExit, options.parseOptions, words)
            self.assertEqual(ended.code, 78)
            self.assertTrue(said.getvalue().startswith("dstwist: "), said.getvalue())

    def test_empty_words(self) -> None:
        """
        An option whose value is empty is refused: the server would run without its configuration, or keep nothing.
        """
        for option in ("--config", "--data-dir"):
            self.assertEqual(self.refused(option, ""), f"{option} needs a value, got an empty one")

    def test_host_and_port(self) -> None:
        """
        Host and port of the configuration can be said on the command line instead; all else of it stays.
        """
        config = self.config("httpServer: {options: {host: 10.0.0.1, port: 7000, healthCheckPath: /up}}")
        for words, expected in (
            (["--port", "7001"], (7001, "10.0.0.1")),
            (["--host", "127.0.0.1"], (7000, "127.0.0.1")),
            (["-p", "7001", "--host", "127.0.0.1"], (7001, "127.0.0.1")),
        ):
            self.make("--config", config, *words).privilegedStartService()
            ((port, _, _, interface),) = self.reactor.tcpServers
            self.assertEqual((port, interface), expected)
        for port in ("0", "65536", "many", "-1", "\u0661"):
            self.assertIn(f"--port must be a number from 1 to 65535, got {port}", self.refused(f"--port={port}"))
        self.assertIn("leave --port out", self.refused("--listen", "tcp:1", "--port", "2"))

    def test_disabled(self) -> None:
        """
        C{--disable-auth} and C{--disable-permissions} open what the configuration closes, also when it is read again.
        """
        config = self.config(
            "auth: {type: file, options: {users: {ann: {password: x}}}}\n"
            "permission: {type: config, options: {permissions: {record: {'*': {read: false}},"
            " event: {'*': {publish: false}}, rpc: {'*': {request: false}}, presence: {'*': {allow: false}}}}}\n"
        )
        lines = Lines(self)
        for words, auth, permission in (
            ([], "File", "config"),
            (["--disable-auth", "--disable-permissions"], "Open", "none"),
        ):
            options = Options()
            options.parseOptions(["--config", config, *words])
            settings = overridden(load(config, {}), options)
            self.assertTrue(type(settings.auth[0]).__name__.startswith(auth))
            self.assertEqual(settings.permission.type, permission)
            node = self.make("--config", config, *words)
            self.assertTrue(node.reload(), lines.of("error"))

    def test_server_name(self) -> None:
        """
        The name of the node can be said on the command line, also when the configuration is read again; UUID is a name
        made for it.
        """
        config = self.config("serverName: one")
        for words, expected in (([], "one"), (["--server-name", "two"], "two")):
            self.assertEqual(self.make("--config", config, *words)._settings.server_name, expected)
        made = self.make("--config", config, "--server-name", "UUID")._settings.server_name
        self.assertNotIn(made, ("UUID", "one"))
        self.assertIn("--server-name", self.refused("--server-name", "a\nb"))

    def test_lib_dir(self) -> None:
        """
        Modules that the configuration names are found in the directory that C{--lib-dir} names.
        """
        directory = Path(str(self.mktemp())).absolute()
        directory.mkdir()
        (directory / "of_test_lib_dir.py").write_text("from dstwist.store.memory import MemoryStore\n")
        self.patch(sys, "path", sys.path[:])
        config = self.config("cache: {module: 'of_test_lib_dir:make', options: {}}")
        (directory / "of_test_lib_dir.py").write_text(
            "from dstwist.store.memory import MemoryStore\ndef make(options, services):\n    return MemoryStore()\n"
        )
        self.assertIn("of_test_lib_dir", self.refused("--config", config))
        self.make("--config", config, "--lib-dir", str(directory))
        self.assertIn("there is no such directory", self.refused("--lib-dir", "/nowhere"))

    def test_environment(self) -> None:
        """
        Variables of the environment reach the configuration.
        """
        path = self.config("httpServer: {options: {port: '${PORT}'}}")
        node = self.make("--config", path, PORT="6099")
        node.privilegedStartService()
        self.assertEqual(self.reactor.tcpServers[0][0], 6099)

    def test_log_level(self) -> None:
        """
        The command line decides what is logged, and the configuration if it is silent.
        """
        seen: list[Any] = []
        logger = Logger(observer=cast(ILogObserver, seen.append))
        for words, levels in [
            (["--log-level", "error"], [LogLevel.error]),
            (["--log-level", "OFF"], []),
            (["--config", self.config("logLevel: 2")], [LogLevel.warn, LogLevel.error]),
            (
                ["--config", self.config("logLevel: 2"), "--log-level", "debug"],
                [LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error],
            ),
        ]:
            seen.clear()
            self.make(*words)
            for level in EVERYTHING:
                logger.emit(level, "a line")
            self.assertEqual([event["log_level"] for event in seen], levels)
        self.assertIn("--log-level", self.refused("--log-level", "loud"))

    def test_data_dir(self) -> None:
        """
        The data directory is made, with its parents; one that cannot be is refused.
        """
        path = os.path.join(str(self.mktemp()), "data")
        self.make("--data-dir", path)
        self.assertTrue(os.path.isdir(path))
        self.assertIn("--data-dir /dev/null/data", self.refused("--data-dir", "/dev/null/data"))

    def test_stores(self) -> None:
        """
        A store that cannot be made is refused with the key that asks for it, and nothing is opened.
        """
        config = self.config("storage: {type: sqlite}")
        self.make("--config", config, "--data-dir", str(self.mktemp()))
        self.assertIn("storage.options.path: missing", self.refused("--config", config))
        self.assertIn(
            "storage.module: cannot load no:One", self.refused("-c", self.config("storage: {module: 'no:One'}"))
        )
        self.assertEqual(self.reactor.tcpServers, [])


class ReloadTests(TapTestCase):
    """
    The reload on SIGHUP.
    """

    def test_another_directory(self) -> None:
        """
        The configuration is found again although twistd has changed its directory since (--rundir).
        """
        path = self.config("logLevel: WARN")
        node = self.make("--config", path)
        with open(path, "w") as file:
            file.write("logLevel: DEBUG")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/")
        self.assertTrue(node.reload())
        self.assertTrue(self.log(LogLevel.debug))

    def tearDown(self) -> None:
        Logger.set_level("INFO")

    def setUp(self) -> None:
        self.lines = Lines(self)

    def log(self, level: LogLevel) -> bool:
        """
        Whether a line of that level is logged.
        """
        seen: list[Any] = []
        Logger(observer=cast(ILogObserver, seen.append)).emit(level, "a line")
        return bool(seen)

    def test_log_level(self) -> None:
        """
        The log level of the file is taken up, unless the command line has one.
        """
        for words, expected in (([], True), (["--log-level", "info"], False)):
            path = self.config("logLevel: INFO")
            node = self.make("--config", path, *words)
            Path(path).write_text("logLevel: DEBUG")
            self.assertTrue(node.reload())
            self.assertEqual(self.log(LogLevel.debug), expected)
            Logger.set_level("INFO")

    def test_own_log_level(self) -> None:
        """
        The level of the section C{logger} is taken up as well, and takes no restart; its other options do.
        """
        path = self.config("logger: {options: {logLevel: INFO}}")
        node = self.make("--config", path)
        Path(path).write_text("logLevel: ERROR\nlogger: {options: {logLevel: DEBUG}}")
        self.assertTrue(node.reload())
        self.assertTrue(self.log(LogLevel.debug))
        self.assertEqual(self.lines.of("warn"), [])
        self.assertIn("RELOAD | logLevel: DEBUG", self.lines.of("info"))
        Path(path).write_text("logger: {options: {logLevel: DEBUG, maxFiles: 3}}")
        self.assertTrue(node.reload())
        self.assertIn("takes a restart: logger", self.lines.last("warn"))

    def test_bad_log_level(self) -> None:
        """
        If the level of the file is none, the level stays as it was, and the log says why.
        """
        path = self.config("logLevel: WARN")
        node = self.make("--config", path)
        for text, key in (
            ("logLevel: LOUD", "logLevel"),
            ("logger: {options: {logLevel: 7}}", "logger.options.logLevel"),
        ):
            Path(path).write_text(text)
            self.assertFalse(node.reload())
            self.assertEqual(Logger.level_name(), "WARN")
            line = self.lines.last("error")
            self.assertIn("what was in force stays", line)
            self.assertIn(f"{key}: expected one of 0 (DEBUG)", line)

    def test_changed_by_hand(self) -> None:
        """
        A reload ends what an operator has changed in the running server. The level of the command line is in force
        again, if there is one; the log says where the level comes from.
        """
        path = self.config("logLevel: ERROR")
        for words, level, said in (([], "ERROR", "ERROR"), (["--log-level", "info"], "INFO", "INFO, by --log-level")):
            node = self.make("--config", path, *words)
            change_level("DEBUG")
            self.lines.clear()
            Path(path).write_text("logLevel: 3")
            self.assertTrue(node.reload())
            self.assertEqual(Logger.level_name(), level)
            self.assertEqual(f"RELOAD | logLevel: {said}" in self.lines.of("info"), level == "INFO")
            self.assertIn(f"INFO | the log level is {level} now, it was DEBUG", self.lines.of("info"))

    def test_users(self) -> None:
        """
        The users of the file are taken up; of a file that is broken nothing is.
        """
        path = self.config("auth: [{type: file, options: {users: {ann: {password: x}}}}]")
        node = self.make("--config", path)
        Path(path).write_text(
            "auth: [{type: file, options: {users: {ann: {password: x}, bob: {password: y}}}}]\nshutdownTimeout: 5"
        )
        self.assertTrue(node.reload())
        self.assertIn("RELOAD | auth: 2 users; new: bob", self.lines.of("info"))
        self.assertIn("takes a restart: shutdownTimeout", self.lines.last("warn"))
        Path(path).write_text("logLevel: LOUD")
        self.assertFalse(node.reload())
        self.assertIn("the configuration not reloaded, what was in force stays: ", self.lines.last("error"))
        self.assertIn("line 1: logLevel: ", self.lines.last("error"))

    def test_certificate(self) -> None:
        """
        Certificates are read again, of the configuration and of the command line, also if there is no configuration.
        """
        directory = Path(str(self.mktemp())).absolute()
        directory.mkdir()
        made = make_certificates(directory)
        config = self.config(f"httpServer: {{options: {{ssl: {{key: {made.key}, cert: {made.chain}}}}}}}")
        for words in (["--config", config], ["--listen", f"tls:7000:privateKey={made.key}:certKey={made.chain}"]):
            node = self.make(*words)
            (certificate,) = node._certificates
            before = certificate.served.chain
            make_certificates(directory)
            self.assertTrue(node.reload())
            self.assertNotEqual(certificate.served.chain, before)


class ConfiguredEndpointTests(TapTestCase):
    """
    C{httpServer.options}: where the server listens, and with what certificate.
    """

    def endpoint(self, options: str) -> Any:
        (endpoint,) = self.make("--config", self.config(f"httpServer: {{options: {options}}}"))._ports._endpoints
        return endpoint

    def certificates(self) -> Certificates:
        directory = Path(str(self.mktemp())).absolute()
        directory.mkdir()
        return make_certificates(directory)

    def test_hosts(self) -> None:
        """
        Hosts may be of either IP version.
        """
        self.assertIsInstance(self.endpoint("{host: 127.0.0.1}"), TCP4ServerEndpoint)
        self.assertIsInstance(self.endpoint("{host: '::1'}"), TCP6ServerEndpoint)

    def test_tls(self) -> None:
        """
        With key and certificate, as files or as text, the server speaks TLS.
        """
        made = self.certificates()
        ssl = f"{{key: {made.key}, cert: fileLoad({made.chain})}}"
        self.assertIsInstance(self.endpoint(f"{{ssl: {ssl}}}"), TlsEndpoint)

    def test_tls_mismatch(self) -> None:
        """
        A key that is not the certificate's is refused at the start.
        """
        made, other = self.certificates(), self.certificates()
        path = self.config(f"httpServer: {{options: {{ssl: {{key: {other.key}, cert: {made.chain}}}}}}}")
        self.assertIn("httpServer.options.ssl", self.refused("--config", path))
