"""
From the PEM texts of C{httpServer.options.ssl} to the context of OpenSSL that new connections use.

Always true, since no client that is still maintained needs anything else:

- TLS 1.2 or later
- key exchange with forward secrecy, and authenticated encryption
- no compression and no renegotiation
- the server chooses C{http/1.1} for clients that ask (ALPN)
- a server that asks for certificates resumes no sessions, so each connection shows its own certificate

The context starts as the context of Twisted's C{CertificateOptions}. This module adds the settings that
C{CertificateOptions} does not have: no renegotiation; ciphers of TLS 1.3; lists of revoked certificates; and a client
certificate that is not good, but is no reason to refuse the connection. The ALPN callback of Twisted needs a wrapped
factory, which a context does not have here.

Key and certificates may be in one file or in several, in any order. The certificate of the server is the one that
belongs to the key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion

from dstwist.config.http_server import SslSettings
from dstwist.errors import ConfigError

_CERTIFICATE = re.compile("-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?-----END [A-Z0-9 ]+-----", re.DOTALL)
_KEY = re.compile("-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \\1-----", re.DOTALL)
_CRL = re.compile("-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)

VERSIONS = {"TLSv1.2": TLSVersion.TLSv1_2, "TLSv1.3": TLSVersion.TLSv1_3}

# The ciphers of TLS 1.2. Those of TLS 1.3 are all good, so the default of OpenSSL stays.
_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
_BROKEN = re.compile("NULL|^A(ECDH|DH)-|EXP|RC4|DES|MD5|IDEA|SEED|PSK|SRP")

# X509_V_FLAG_CRL_CHECK and X509_V_FLAG_CRL_CHECK_ALL.
_REVOCATION = crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL

_HTTP = b"http/1.1"


class TlsConnection(SSL.Connection):
    """
    A connection that remembers why the certificate of the client is not good.

    @ivar problem: the error number of OpenSSL; C{None} if the certificate is good, or the client has shown none.
    """

    problem: int | None = None


@dataclass(frozen=True)
class Served:
    """
    The context and the certificate for new connections.

    @ivar chain: the certificate of the server, and those that lead from it to an authority.
    """

    context: SSL.Context
    chain: tuple[x509.Certificate, ...]

    @property
    def expires_at(self) -> float:
        """
        The earliest end of validity in the chain, in seconds since 1970.
        """
        return min(certificate.not_valid_after_utc.timestamp() for certificate in self.chain)

    @property
    def begins_at(self) -> float:
        """
        The beginning of validity of the server's certificate, in seconds since 1970.
        """
        return self.chain[0].not_valid_before_utc.timestamp()

    def describe(self) -> str:
        """
        Subject, names, issuer and end of validity::

            CN=example.org (DNS:example.org, IP:192.0.2.1), issued by CN=R11, valid until 2027-01-31 10:00 UTC
        """
        own = self.chain[0]
        names = ", ".join(_names(own))
        until = datetime.fromtimestamp(self.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        subject = own.subject.rfc4514_string() or "no subject"
        alternatives = f" ({names})" if names else ""
        return f"{subject}{alternatives}, issued by {own.issuer.rfc4514_string()}, valid until {until}"


def serve(settings: SslSettings, path: str) -> Served:
    """
    Make the context that C{settings} ask for.

    @param path: the path of the section, for errors.
    @raise ConfigError: key, certificates or options cannot be used.
    """
    try:
        key = private_key(settings.key, settings.passphrase, f"{path}.key")
        chain = _chain(key, settings, path)
        own, *others = map(crypto.X509.from_cryptography, chain)
        resume = not settings.request_cert
        context = CertificateOptions(
            crypto.PKey.from_cryptography_key(key),
            own,
            extraCertChain=others,
            raiseMinimumTo=VERSIONS[settings.min_version],
            enableSessions=resume,
            enableSessionTickets=resume,
        ).getContext()
        context.set_options(SSL.OP_NO_RENEGOTIATION)
        _set_ciphers(context, settings.ciphers, f"{path}.ciphers")
        context.set_alpn_select_callback(_choose_protocol)
        if settings.request_cert:
            _ask_clients(context, settings, path)
        return Served(context, tuple(chain))
    except (SSL.Error, crypto.Error) as error:
        raise ConfigError(path, f"key and cert cannot be used: {openssl_reasons(error)}") from None


def private_key(pem: str, passphrase: str | None, path: str) -> Any:
    """
    The private key in C{pem}.
    """
    found = _KEY.search(pem)
    if found is None:
        raise ConfigError(path, "there is no private key in it")
    block = found[0].encode("utf-8", "replace")
    encrypted = "ENCRYPTED" in found[0][:200]
    if encrypted and passphrase is None:
        raise ConfigError(path, "the private key is encrypted; passphrase must say with what")
    try:
        return load_pem_private_key(block, passphrase.encode("utf-8") if encrypted and passphrase else None)
    except Exception as error:
        # The libraries raise many kinds of errors for broken bytes. A wrong passphrase can look like broken data.
        hint = "; is the passphrase right?" if encrypted else ""
        raise ConfigError(path, f"the private key cannot be read: {error}{hint}") from None


def certificates(pem: str, path: str) -> list[x509.Certificate]:
    """
    All certificates in C{pem}; at least one.
    """
    blocks = _CERTIFICATE.findall(pem)
    if not blocks:
        raise ConfigError(path, "there is no certificate in it")
    try:
        return [x509.load_pem_x509_certificate(block.encode("utf-8", "replace")) for block in blocks]
    except Exception as error:
        raise ConfigError(path, f"a certificate cannot be read: {error}") from None


def _chain(key: Any, settings: SslSettings, path: str) -> list[x509.Certificate]:
    given = certificates(settings.cert, f"{path}.cert")
    if settings.ca is not None:
        given += certificates(settings.ca, f"{path}.ca")
    return chain_of(key, given, path)


def chain_of(key: Any, given: Sequence[x509.Certificate], path: str) -> list[x509.Certificate]:
    """
    The certificate of C{key}, then its issuer and so on in order, then the other ones that are given.
    """
    public = _public_bytes(key.public_key())
    own = next((certificate for certificate in given if _public_bytes(certificate.public_key()) == public), None)
    if own is None:
        raise ConfigError(path, "key and cert do not belong together: none of the certificates is for this key")
    chain = [own]
    rest = [certificate for certificate in dict.fromkeys(given) if certificate != own]
    while (issuer := _issuer(chain[-1], rest)) is not None:
        chain.append(issuer)
        rest.remove(issuer)
    return chain + rest


def _issuer(certificate: x509.Certificate, among: Sequence[x509.Certificate]) -> x509.Certificate | None:
    for candidate in among:
        if candidate.subject == certificate.issuer and candidate != certificate:
            try:
                certificate.verify_directly_issued_by(candidate)
            except Exception:
                # This one has the name of the issuer, but another key.
                continue
            return candidate
    return None


def _public_bytes(key: Any) -> bytes:
    made: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return made


def _set_ciphers(context: SSL.Context, ciphers: str | None, path: str) -> None:
    names = (ciphers or _CIPHERS).split(":")
    newer = ":".join(name for name in names if name.startswith("TLS_"))
    # Without a list for TLS 1.2, OpenSSL would allow more ciphers than we want.
    older = ":".join(name for name in names if not name.startswith("TLS_")) or _CIPHERS
    # A context that has made a connection must not change any more, so another one makes the connection below.
    trial = SSL.Context(SSL.TLS_SERVER_METHOD)
    for each in (trial, context):
        try:
            if newer:
                each.set_tls13_ciphersuites(newer.encode())
            each.set_cipher_list(older.encode())
        except SSL.Error as error:
            raise ConfigError(path, f"OpenSSL does not know them: {openssl_reasons(error)}") from None
    if broken := [name for name in SSL.Connection(trial, None).get_cipher_list() if _BROKEN.search(name)]:
        raise ConfigError(path, f"{broken[0]} protects nothing")


def _ask_clients(context: SSL.Context, settings: SslSettings, path: str) -> None:
    store = context.get_cert_store()
    assert store is not None and settings.client_ca is not None
    for authority in certificates(settings.client_ca, f"{path}.clientCa"):
        wrapped = crypto.X509.from_cryptography(authority)
        store.add_cert(wrapped)
        context.add_client_ca(wrapped)
    if settings.client_crl is not None:
        for block in _CRL.findall(settings.client_crl) or [""]:
            try:
                store.add_crl(x509.load_pem_x509_crl(block.encode("utf-8", "replace")))
            except Exception as error:
                raise ConfigError(f"{path}.clientCrl", f"a list cannot be read: {error}") from None
        store.set_flags(_REVOCATION)
    strict = settings.reject_unauthorized
    context.set_verify(
        SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if strict else 0), None if strict else _note_problem
    )


def _note_problem(connection: Any, certificate: crypto.X509, code: int, depth: int, fine: int) -> bool:
    """
    Accept a certificate that is not good, and remember that on the connection.
    """
    if not fine:
        connection.problem = code
    return True


def _choose_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return _HTTP if _HTTP in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    found = [f"DNS:{name}" for name in extension.get_values_for_type(x509.DNSName)]
    found += [f"IP:{address}" for address in extension.get_values_for_type(x509.IPAddress)]
    found += [f"email:{name}" for name in extension.get_values_for_type(x509.RFC822Name)]
    return found + [f"URI:{name}" for name in extension.get_values_for_type(x509.UniformResourceIdentifier)]


def common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """
    The common names of the subject.
    """
    return tuple(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def openssl_reasons(error: Exception) -> str:
    """
    The reasons in an error of OpenSSL, which has a list of (library, function, reason).
    """
    reasons = [str(entry[-1]) for entry in (error.args[0] if error.args else ()) if isinstance(entry, tuple) and entry]
    return ", ".join(reasons) or str(error) or "no reason given"
