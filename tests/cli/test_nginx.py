"""
Tests for L{dstwist.cli.nginx}.
"""

from __future__ import annotations

import shutil
import subprocess

from tests.cli.helpers import CommandTestCase


class NginxTests(CommandTestCase):
    """
    C{dstwist nginx}.
    """

    CONFIG = (
        "httpServer: {options: {host: 0.0.0.0, port: 7000, healthCheckPath: /up}}\n"
        "connectionEndpoints: [{type: ws-binary, options: {urlPath: /ds}}, "
        "{type: ws-text, options: {urlPath: '/a{b;'}}]\n"
    )

    def test_paths(self) -> None:
        """
        Every path of the server is there, and the ports of both.
        """
        result = self.dstwist("nginx", "-c", str(self.config(self.CONFIG)), "-p", "8000", "-h", "example.org")
        self.assertEqual(result.exit_code, 0, result.stderr)
        for line in (
            "listen 8000;",
            "server_name example.org;",
            "server 127.0.0.1:7000;",
            "location = /ds { proxy_pass http://dstwist; }",
            'location = "/a{b;" { proxy_pass http://dstwist; }',
            "location = /up { proxy_pass http://dstwist; }",
            "location = /ready { proxy_pass http://dstwist; }",
            "proxy_read_timeout 70s;",
        ):
            self.assertIn(line, [each.strip() for each in result.stdout.splitlines()])

    def test_ssl(self) -> None:
        """
        With C{--ssl} a certificate is needed.
        """
        config = str(self.config("httpServer: {options: {host: '::1'}}"))
        self.assertEqual(self.dstwist("nginx", "-c", config, "--ssl").exit_code, 1)
        result = self.dstwist("nginx", "-c", config, "--ssl", "--ssl-cert", "/a b.pem", "--ssl-key", "/k.pem")
        for line in ("listen 443 ssl;", 'ssl_certificate "/a b.pem";', "ssl_certificate_key /k.pem;"):
            self.assertIn(line, result.stdout)
        self.assertIn("server [::1]:6020;", result.stdout)

    def test_output(self) -> None:
        """
        The output goes into a file beside the configuration, if that is said.
        """
        config = self.config("{}")
        result = self.dstwist("nginx", "-c", str(config), "-o", "nginx.conf")
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn("listen 8080;", (config.parent / "nginx.conf").read_text())
        self.assertEqual(self.dstwist("nginx", "-c", str(config), "-o", "no/nginx.conf").exit_code, 1)

    def test_http_api(self) -> None:
        """
        The paths of the HTTP API are passed on with everything that starts with them, but not those of other ports.
        """
        api = "{type: http, options: {authPath: /login}}, {type: http, options: {port: 8080, postPath: /old}}"
        config = self.config(f"connectionEndpoints: [{{type: ws-binary}}, {api}]")
        lines = [line.strip() for line in self.dstwist("nginx", "-c", str(config)).stdout.splitlines()]
        for path in ("/api", "/login"):
            self.assertIn(f"location {path} {{ proxy_pass http://dstwist; }}", lines)
        self.assertFalse([line for line in lines if "/old" in line])

    def test_bad_config(self) -> None:
        """
        A configuration that cannot be used is refused.
        """
        self.assertIn("rcp", self.dstwist("nginx", "-c", str(self.config("rcp: {}"))).stderr)

    def test_taken(self) -> None:
        """
        nginx takes it.
        """
        if shutil.which("nginx") is None:
            return
        config = self.config(self.CONFIG)
        self.dstwist("nginx", "-c", str(config), "-o", "nginx.conf")
        words = ["nginx", "-t", "-q", "-c", str(config.parent / "nginx.conf"), "-g", f"pid {config.parent}/pid;"]
        done = subprocess.run([*words, "-e", "stderr"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
