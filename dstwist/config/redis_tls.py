"""
C{tls} and C{sentinelTLS}: whether and how a connection to a Redis is encrypted. The options have the names that Node.js
gives them, as with ioredis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dstwist.config.fields import flag, from_mapping, option, optional, text, typed
from dstwist.config.file import Reading, join
from dstwist.config.values import read_pem, read_pems, read_tls_version
from dstwist.errors import ConfigError


@dataclass(frozen=True)
class RedisTlsSettings:
    """
    C{tls}. C{true} stands for the defaults.
    """

    # The authorities that sign the certificate of the server, as PEM. None: those that the system trusts.
    ca: str | None = option(optional(read_pems), None)
    # The certificate of this client and its private key, as PEM, if the server asks for one.
    cert: str | None = option(optional(read_pem), None)
    key: str | None = option(optional(read_pem), None)
    # The passphrase of the private key.
    passphrase: str | None = text(None)
    # The name that the certificate of the server must have. None: the host that the connection was made to.
    servername: str | None = text(None)
    # Whether the certificate of the server is verified. false: any certificate is accepted.
    reject_unauthorized: bool = flag(True)
    # The oldest version of TLS that is accepted. An addition of dstwist, like the one below.
    min_version: str = option(read_tls_version, "TLSv1.2")
    # The ciphers, by OpenSSL's names. None: the ciphers that count as secure.
    ciphers: str | None = text(None)

    def __repr__(self) -> str:
        # Settings may be logged; the key must not be.
        return "<RedisTlsSettings>"


def read_redis_tls(value: Any, path: str, reading: Reading) -> RedisTlsSettings | None:
    """
    The settings that C{tls} stands for: a flag, or a section.
    """
    value = typed(value)
    if value is None or isinstance(value, bool):
        return RedisTlsSettings() if value else None
    problems = len(reading.problems)
    settings = from_mapping(RedisTlsSettings, value, path, reading)
    if len(reading.problems) == problems:
        for name, given, other in (("key", settings.cert, settings.key), ("cert", settings.key, settings.cert)):
            if given is not None and other is None:
                raise ConfigError(join(path, name), "missing; a certificate of the client needs both key and cert")
        if not settings.reject_unauthorized:
            where = join(path, "rejectUnauthorized")
            reading.notes.append(
                f"CONFIG | {where}: the certificate of Redis is not verified, so any host may pretend to be it"
            )
    return settings
