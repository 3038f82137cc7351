"""
TLS of connections that dstwist makes: to Redis, for example.

The certificate of the server is verified, and it must be for the host that the connection was made to; an address needs
a certificate with that address. C{servername} names another host. Only C{rejectUnauthorized: false} switches that off.
The files are read for each connection, so a certificate that was renewed is used without a restart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import (
    AcceptableCiphers,
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from zope.interface import implementer

from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.config.values import read_again
from dstwist.errors import ConfigError
from dstwist.tls.context import VERSIONS, certificates, chain_of, openssl_reasons, private_key


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """
    Makes connections to any server.
    """

    def __init__(self, context: SSL.Context, name: str | None) -> None:
        self._context = context
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self._name is not None:
            connection.set_tlsext_host_name(self._name.encode("idna"))
        return connection


def client_tls(settings: RedisTlsSettings, host: str, path: str) -> IOpenSSLClientConnectionCreator:
    """
    TLS for one connection.

    @param host: the name or address that the certificate of the server must have, if the settings name no other.
    @param path: the path of the settings, for errors.
    @raise ConfigError: the settings cannot be used.
    """
    settings = _read(settings, path)
    more: dict[str, Any] = {"raiseMinimumTo": VERSIONS[settings.min_version]}
    if settings.key is not None and settings.cert is not None:
        key = private_key(settings.key, settings.passphrase, f"{path}.key")
        chain = chain_of(key, certificates(settings.cert, f"{path}.cert"), path)
        own, *others = map(crypto.X509.from_cryptography, chain)
        more |= {"privateKey": crypto.PKey.from_cryptography_key(key), "certificate": own, "extraCertChain": others}
    try:
        if settings.ciphers is not None:
            more["acceptableCiphers"] = AcceptableCiphers.fromOpenSSLCipherString(settings.ciphers)
        if not settings.reject_unauthorized:
            return _Unverified(CertificateOptions(verify=False, **more).getContext(), settings.servername)
        roots = None
        if settings.ca is not None:
            blocks = certificates(settings.ca, f"{path}.ca")
            roots = trustRootFromCertificates([Certificate(crypto.X509.from_cryptography(each)) for each in blocks])
        return optionsForClientTLS(settings.servername or host, roots, extraCertificateOptions=more)
    except (SSL.Error, crypto.Error) as error:
        raise ConfigError(path, f"OpenSSL cannot use it: {openssl_reasons(error)}") from None


def with_client_tls(
    endpoint: IStreamClientEndpoint, settings: RedisTlsSettings, host: str, path: str
) -> IStreamClientEndpoint:
    """
    An endpoint with TLS on top; see L{client_tls}.
    """
    made: IStreamClientEndpoint = wrapClientTLS(client_tls(settings, host, path), endpoint)
    return made


def client_tls_problem(error: BaseException | None) -> str | None:
    """
    The problem with TLS that ended a connection; C{None} if the connection ended for another reason.
    """
    if isinstance(error, SSL.Error):
        reasons = openssl_reasons(error)
        advice = " (ca can name the authority that signed it)" if "certificate verify failed" in reasons else ""
        return f"TLS: {reasons}{advice}"
    # The class is one of service_identity, which Twisted needs.
    if type(error).__name__ == "VerificationError":
        return "TLS: the certificate of the server is for another host (servername can name it)"
    return None


def _read(settings: RedisTlsSettings, path: str) -> RedisTlsSettings:
    texts: dict[str, Any] = {}
    for name in ("ca", "cert", "key"):
        text = getattr(settings, name)
        try:
            texts[name] = None if text is None else read_again(text)
        except OSError as error:
            raise ConfigError(path, f"cannot read {error.filename}: {error.strerror}") from None
    return replace(settings, **texts)
