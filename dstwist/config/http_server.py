"""
C{httpServer}: the port of the server, and its TLS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dstwist.config.fields import (
    as_section,
    flag,
    from_mapping,
    integer,
    milliseconds_reader,
    one_of,
    option,
    optional,
    read_anything,
    read_component,
    text,
    texts,
)
from dstwist.config.file import Reading, join
from dstwist.config.values import (
    Network,
    read_origins,
    read_pem,
    read_pems,
    read_proxies,
    read_tls_version,
    read_url_path,
)
from dstwist.errors import ConfigError


@dataclass(frozen=True)
class SslSettings:
    """
    C{httpServer.options.ssl}: TLS for wss:// and https://.
    """

    # The private key, as PEM.
    key: str = option(read_pem, "")
    # The certificate of the server, as PEM, followed by the chain of certificates up to a known authority.
    cert: str = option(read_pem, "")
    # More certificates of that chain, as PEM, or a list of such texts. They are sent to clients. They are not used to
    # verify certificates of clients.
    ca: str | None = option(optional(read_pems), None)
    # uws: parameters for an outdated key exchange.
    dh_params: Any = option(read_anything, None, built=False)
    # The passphrase of the private key.
    passphrase: str | None = text(None)
    # The oldest version of TLS that is accepted: TLSv1.2 or TLSv1.3. An addition of dstwist, like all below.
    min_version: str = option(read_tls_version, "TLSv1.2")
    # The ciphers, by OpenSSL's names; those of TLS 1.3 start with TLS_. None: the ciphers that count as secure.
    ciphers: str | None = text(None)
    # Whether clients are asked for a certificate.
    request_cert: bool = flag(False)
    # Whether clients that are asked need a valid certificate. False: clients without a valid one may connect, and must
    # log in by other means.
    reject_unauthorized: bool = flag(True)
    # The authorities that sign the certificates of clients, as PEM.
    client_ca: str | None = option(optional(read_pem), None)
    # The certificates that these have revoked, as PEM: one revocation list for each authority in clientCa.
    client_crl: str | None = option(optional(read_pem), None)
    # How often the server checks whether the files have changed. None (false or null in the file): only on SIGHUP.
    reload_interval: float | None = option(optional(milliseconds_reader(100, 86400000), False), 60.0)

    def __repr__(self) -> str:
        # Settings may be logged; the key must not be.
        return "<SslSettings>"


def read_ssl(value: Any, path: str, reading: Reading) -> SslSettings | None:
    """
    The settings of TLS; C{None} if all lines of the section are commented out.
    """
    given = as_section(value, path)
    problems = len(reading.problems)
    settings = from_mapping(SslSettings, given, path, reading)
    if not given:
        return None
    for name in ("key", "cert"):
        if name not in given:
            raise ConfigError(join(path, name), "missing; TLS needs both key and cert")
    if len(reading.problems) == problems:
        if settings.request_cert and settings.client_ca is None:
            raise ConfigError(join(path, "clientCa"), "missing; requestCert needs the authorities to be trusted")
        for name, option in (("clientCa", settings.client_ca), ("clientCrl", settings.client_crl)):
            if option is not None and not settings.request_cert:
                raise ConfigError(join(path, name), "no client is asked for a certificate; set requestCert")
    return settings


@dataclass(frozen=True)
class HttpSettings:
    """
    C{httpServer.options}: the port, and the options of all endpoints on it.
    """

    # The address of the network interface to listen on; 0.0.0.0 is all of IPv4.
    host: str = text("0.0.0.0")
    # The TCP port.
    port: int = integer(6020, maximum=65535)
    # The response to GET on this path is 200 while the server runs.
    health_check_path: str = option(read_url_path, "/health-check")
    # The response to GET and HEAD on this path is 200, or 503 while a store cannot write and while the server stops. An
    # addition of dstwist.
    ready_path: str = option(read_url_path, "/ready")
    # Whether web pages of every origin may use the server.
    allow_all_origins: bool = flag(True)
    # The largest body of a POST.
    max_message_size: int = integer(1048576)
    # TLS; without it, the server speaks ws:// and http://.
    ssl: SslSettings | None = option(read_ssl, None)
    # The origins that may use the server if not all may.
    origins: tuple[str, ...] = option(read_origins, ())
    # The Host header that a request must have if not all origins may use the server.
    host_url: str | None = text(None)
    # uws: the request headers that authenticators receive; here they receive all.
    headers: tuple[str, ...] = texts(built=False)
    # uws: the most bytes that wait for one client; here this is maxOutgoingBufferSize of the endpoint.
    max_backpressure: int = integer(1048576, built=False)
    # Proxies whose X-Forwarded-For is trusted: addresses, networks, unix. An addition of dstwist, like all below.
    trusted_proxies: tuple[Network | str, ...] = option(read_proxies, ())
    # Whether the origins of WebSockets are checked, too, if not all origins may use the server.
    check_websocket_origin: bool = flag(True)


def read_http(value: Any, path: str, reading: Reading) -> HttpSettings:
    """
    The settings of the port. The Node server has two HTTP servers, whose types mean the same here.
    """
    found = read_component(value, path, reading)
    if found.type not in ("default", "uws"):
        raise ConfigError(found.where, one_of(found.type, ("default", "uws")))
    where = join(path, "options")
    problems = len(reading.problems)
    settings = from_mapping(HttpSettings, found.options, where, reading)
    if not settings.allow_all_origins and not settings.origins and len(reading.problems) == problems:
        raise ConfigError(join(where, "origins"), "HTTP allowAllOrigins set to false but no origins provided")
    return settings
