"""
The command C{dstwist nginx}: a configuration for nginx in front of the server.
"""

from __future__ import annotations

import os
import re

import click

from dstwist.cli.failure import failed
from dstwist.config.load import find, load
from dstwist.config.settings import Settings
from dstwist.errors import ConfigError


@click.command(context_settings={"help_option_names": ["--help"]})
@click.option("-c", "--config", "config_file", metavar="FILE", help="The configuration file.")
@click.option("-p", "--port", type=click.IntRange(1, 65535), help="The port of nginx.  [default: 8080; --ssl: 443]")
@click.option("-h", "--host", default="localhost", show_default=True, help="The name of the site.")
@click.option("--ssl", is_flag=True, help="wss:// and https://.")
@click.option("--ssl-cert", metavar="FILE", help="The certificate, with its chain.")
@click.option("--ssl-key", metavar="FILE", help="Its key.")
@click.option("-o", "--output", metavar="FILE", help="Write it there, relative to the configuration file.")
def nginx(
    config_file: str | None,
    port: int | None,
    host: str,
    ssl: bool,
    ssl_cert: str | None,
    ssl_key: str | None,
    output: str | None,
) -> None:
    """
    Print an nginx.conf for nginx in front of this server.
    """
    if ssl and not (ssl_cert and ssl_key):
        raise failed("--ssl needs --ssl-cert and --ssl-key")
    config_file = config_file if config_file is not None else find(os.environ)
    try:
        settings = load(config_file, os.environ)
    except ConfigError as error:
        raise failed(str(error)) from None
    if port is None:
        port = 443 if ssl else 8080
    certificate = (os.path.abspath(ssl_cert), os.path.abspath(ssl_key)) if ssl and ssl_cert and ssl_key else None
    text = nginx_conf(settings, port, host, certificate)
    if output is None:
        click.echo(text, nl=False)
        return
    path = os.path.join(os.path.dirname(config_file or ""), output)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise failed(f"--output {path}: {error.strerror}") from None
    click.echo(f"{path} is written.")


def nginx_conf(settings: Settings, port: int, host: str, certificate: tuple[str, str] | None) -> str:
    """
    The configuration of nginx.

    @param certificate: the files of certificate and key.
    """
    http = settings.http
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)
    upstream = f"[{address}]:{http.port}" if ":" in address else f"{address}:{http.port}"
    scheme = "https" if http.ssl is not None else "http"
    # Two heartbeats of the server pass while nginx waits.
    wait = round(max((endpoint.heartbeat_interval for endpoint in settings.web_sockets), default=30.0) * 2 + 10)
    lines = [
        "# Let the server know the clients' addresses, in its configuration:",
        "#   httpServer: {options: {trustedProxies: [127.0.0.1]}}",
        "worker_processes auto;",
        "worker_rlimit_nofile 20000;",
        "events {",
        "    # Each client takes two.",
        "    worker_connections 10000;",
        "}",
        "http {",
        "    map $http_upgrade $connection_upgrade {",
        "        default upgrade;",
        "        '' '';",
        "    }",
        "    upstream dstwist {",
        f"        server {upstream};",
        "        keepalive 16;",
        "    }",
        "    server {",
        f"        listen {port}{' ssl' if certificate else ''};",
        f"        server_name {host};",
    ]
    if certificate is not None:
        lines += [
            f"        ssl_certificate {_word(certificate[0])};",
            f"        ssl_certificate_key {_word(certificate[1])};",
        ]
    lines += [
        "        proxy_http_version 1.1;",
        "        proxy_set_header Host $host;",
        "        proxy_set_header Upgrade $http_upgrade;",
        "        proxy_set_header Connection $connection_upgrade;",
        "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        f"        proxy_read_timeout {wait}s;",
        f"        proxy_send_timeout {wait}s;",
    ]
    paths = sorted({endpoint.url_path for endpoint in settings.web_sockets})
    for path in [*paths, http.health_check_path, http.ready_path]:
        lines.append(f"        location = {_word(path)} {{ proxy_pass {scheme}://dstwist; }}")
    # The HTTP API serves all targets that start with its path.
    for path in sorted({path for api in settings.http_apis if api.port is None for path in api.paths().values()}):
        lines.append(f"        location {_word(path)} {{ proxy_pass {scheme}://dstwist; }}")
    lines += ["    }", "}"]
    return "\n".join(lines) + "\n"


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w/.:@+-]+", text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
