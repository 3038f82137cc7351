"""
Tests for L{dstwist.config.fields}.
"""

from __future__ import annotations

from tests.config.helpers import ConfigCase


class FieldTests(ConfigCase):
    """
    Rules for all options.
    """

    def test_empty_lists(self) -> None:
        """
        A list of texts with nothing left in it is empty.
        """
        settings = self.load("record:\n  storageHotPathPrefixes:\n  # - a/\n  storageExclusionPrefixes:\n")
        self.assertEqual(
            ((), ()), (settings.record.storage_hot_path_prefixes, settings.record.storage_exclusion_prefixes)
        )

    def test_written_out(self) -> None:
        """
        Defaults that are written out need no remark.
        """
        self.assertEqual(
            [], self.not_built("cache: {type: default}\ntelemetry: {enabled: false}\nlogger: \nplugins: {}\n")
        )

    def test_quotes(self) -> None:
        """
        If a number or a flag is a text only because of its quotes, the error says so.
        """
        for content, expected in (
            ("rpc: {ackTimeout: '5'}", 'rpc.ackTimeout: expected a whole number, got "5"; leave out the quotes'),
            ("rpc: {ackTimeout: 5 s}", 'rpc.ackTimeout: expected a whole number, got "5 s"'),
            ("showLogo: 'true'", 'showLogo: expected true or false, got "true"; leave out the quotes'),
            ("showLogo: yes", 'showLogo: expected true or false, got "yes"'),
        ):
            self.assertEqual(expected, self.refusal(content))

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

    def test_refused(self) -> None:
        """
        A value of the wrong kind, or an unknown key, is refused with the path of the key.
        """
        http = "httpServer: {options: {%s}}"
        self.assert_refused(
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
            (http % "port: '6020'", 'httpServer.options.port: expected a whole number, got "6020"'),
            (http % "port: 1.5", "httpServer.options.port: expected a whole number, got 1.5"),
            (http % "port: .nan", "httpServer.options.port: expected a whole number, got NaN"),
            (http % "port: true", "httpServer.options.port: expected a whole number, got true"),
            (http % "port: 0", "httpServer.options.port: expected a number from 1 to 65535, got 0"),
            (http % "port: 65536", "httpServer.options.port: expected a number from 1 to 65535, got 65536"),
            (f"shutdownTimeout: {'9' * 400}", "shutdownTimeout: expected a number from 0 to 2147483647, got 9999"),
            (f"shutdownTimeout: {'9' * 401}", "shutdownTimeout: expected a whole number, got Infinity"),
            ("locks: {options: {holdTimeout: 49}}", "locks.options.holdTimeout: expected a number from 50"),
        )
