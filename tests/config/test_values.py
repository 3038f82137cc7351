"""
Tests for L{dstwist.config.values}.
"""

from __future__ import annotations

from dstwist.config.load import load
from tests.config.helpers import ConfigCase


class ValueTests(ConfigCase):
    """
    Options with a form of their own.
    """

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

    def test_log_level(self) -> None:
        """
        The log level is a number of deepstream's or its name.
        """
        for said, level in (("0", 0), ("3", 3), ("100", 100), ("DEBUG", 0), ("warn", 2), ("OFF", 100), ('"${L}"', 2)):
            self.assertEqual(level, self.load(f"logLevel: {said}", L="2").log_level, said)

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

    def test_refused(self) -> None:
        """
        Values of another form are refused.
        """
        ws = "connectionEndpoints: [{type: ws-text, options: {%s}}]"
        at = "connectionEndpoints[0].options."
        http = "httpServer: {options: {%s}}"
        self.assert_refused(
            ("logLevel: 4", "logLevel: expected one of 0 (DEBUG), 1 (INFO), 2 (WARN), 3 (ERROR), 100 (OFF), got 4"),
            ("logLevel: true", "logLevel: expected one of 0 (DEBUG)"),
            ("logLevel: [1]", "logLevel: expected one of 0 (DEBUG)"),
            (ws % "urlPath: deepstream", at + 'urlPath: expected the path of a URL, such as /deepstream, got "deep'),
            (ws % "urlPath: '/a?b'", at + "urlPath: expected the path of a URL"),
            (ws % "redirectUrl: 'http://x'", at + 'redirectUrl: expected a ws:// or wss:// URL, got "http://x"'),
            (ws % "redirectUrl: 'ws://[x'", at + "redirectUrl: expected a ws:// or wss:// URL"),
            (ws % "redirectUrl: 'ws://x y'", at + "redirectUrl: expected a ws:// or wss:// URL"),
            (http % "origins: ['https://a.example/']", "httpServer.options.origins[0]: expected an origin such as"),
            (http % "origins: [a.example]", "httpServer.options.origins[0]: expected an origin such as"),
            (http % "trustedProxies: ['10.0.0.0/33']", "httpServer.options.trustedProxies[0]: expected an address, a"),
            (http % "trustedProxies: [proxy]", "httpServer.options.trustedProxies[0]: expected an address, a"),
        )
