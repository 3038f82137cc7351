"""
Tests for L{dstwist.config.http_server}.
"""

from __future__ import annotations

import json

from tests.config.helpers import ConfigCase

PEM = "-----BEGIN TEST-----\nAAAA\n-----END TEST-----\n"


class HttpServerTests(ConfigCase):
    """
    C{httpServer}.
    """

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

    def test_origins_and_proxies(self) -> None:
        """
        The origins of web pages that may use the server, and the proxies that are trusted.
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

    def test_ssl_refused(self) -> None:
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
            self.assert_refused((content, expected), name="config.json")
        self.load_tree(httpServer={"options": {"ssl": {"key": PEM, "cert": PEM, "passphrase": None}}})

    def test_refused(self) -> None:
        """
        A port that would not work, or be more open than the file says, is refused.
        """
        http = "httpServer: {options: {%s}}"
        self.assert_refused(
            (
                http % "allowAllOrigins: false",
                "httpServer.options.origins: HTTP allowAllOrigins set to false but no origins provided",
            ),
            (http % "allowAllOrigins: 5", "httpServer.options.allowAllOrigins: expected true or false, got 5"),
            ("httpServer: {type: nginx}", 'httpServer.type: expected one of default, uws, got "nginx"'),
            ("httpServer: {name: mine}", "httpServer.name: expected one of default, uws, got"),
        )
