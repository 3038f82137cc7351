"""
From the PEM texts of C{httpServer.options.ssl} to what OpenSSL serves connections with.

What is always so, because no client that is still maintained needs anything else: TLS 1.2 or later; key exchange with
forward secrecy and authenticated encryption only; no compression, no renegotiation; C{http/1.1} is chosen by clients
that ask (ALPN). A server that asks for certificates resumes no sessions, so that each connection shows its own.

The files are taken as people have them: key and certificates may stand in one file, in any order, as may the
certificates of the chain. The server's own is the one that belongs to the key.
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

from dstwist.config.http_server import SslSettings
from dstwist.errors import ConfigError

_CERTIFICATE = re.compile("-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?-----END [A-Z0-9 ]+-----", re.DOTALL)
_KEY = re.compile("-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \\1-----", re.DOTALL)
_CRL = re.compile("-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)

_VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}

# Of TLS 1.2; those of 1.3 are all good, and OpenSSL's own choice stands.
_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
_BROKEN = re.compile("NULL|^A(ECDH|DH)-|EXP|RC4|DES|MD5|IDEA|SEED|PSK|SRP")

_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_SINGLE_ECDH_USE

# X509_V_FLAG_CRL_CHECK and X509_V_FLAG_CRL_CHECK_ALL.
_REVOCATION = crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL

_HTTP = b"http/1.1"


class TlsConnection(SSL.Connection):
    """
    A connection that knows what was wrong with the client's certificate.

    @ivar problem: OpenSSL's number for it; C{None} if nothing was, or if there is none.
    """

    problem: int | None = None


@dataclass(frozen=True)
class Served:
    """
    What new connections are served with.

    @ivar chain: the server's certificate, and what leads from it to an authority.
    """

    context: SSL.Context
    chain: tuple[x509.Certificate, ...]

    @property
    def expires_at(self) -> float:
        """
        When the first certificate of the chain ends to be good, in seconds since 1970.
        """
        return min(certificate.not_valid_after_utc.timestamp() for certificate in self.chain)

    @property
    def begins_at(self) -> float:
        """
        From when on the server's own certificate is good.
        """
        return self.chain[0].not_valid_before_utc.timestamp()

    def describe(self) -> str:
        """
        Whose it is, under which names, from whom, for how long::

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
    What C{settings} ask for.

    @param path: of the section, for errors.
    @raise ConfigError: key and certificates, or the options, do not do.
    """
    try:
        key = _private_key(settings.key, settings.passphrase, f"{path}.key")
        chain = _chain(key, settings, path)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_options(_OPTIONS)
        context.set_min_proto_version(_VERSIONS[settings.min_version])
        _set_ciphers(context, settings.ciphers, f"{path}.ciphers")
        context.use_certificate(chain[0])
        context.use_privatekey(key)
        context.check_privatekey()
        for certificate in chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.set_alpn_select_callback(_choose_protocol)
        if settings.request_cert:
            _ask_clients(context, settings, path)
        return Served(context, tuple(chain))
    except (SSL.Error, crypto.Error) as error:
        raise ConfigError(path, f"key and cert cannot be used: {said(error)}") from None


def _private_key(pem: str, passphrase: str | None, path: str) -> Any:
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
        # Whatever the libraries make of broken bytes. A wrong passphrase can look like broken data, too.
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
    """
    The certificate of C{key}, those that lead on from it in order, and then whatever else was given.
    """
    given = certificates(settings.cert, f"{path}.cert")
    if settings.ca is not None:
        given += certificates(settings.ca, f"{path}.ca")
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
                # Of the same name, but with another key.
                continue
            return candidate
    return None


def _public_bytes(key: Any) -> bytes:
    made: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return made


def _set_ciphers(context: SSL.Context, ciphers: str | None, path: str) -> None:
    names = (ciphers or _CIPHERS).split(":")
    newer = ":".join(name for name in names if name.startswith("TLS_"))
    # Also if none of TLS 1.2 is named: those that OpenSSL thinks good are more than we want.
    older = ":".join(name for name in names if not name.startswith("TLS_")) or _CIPHERS
    # A context that has been asked cannot be changed any more, so another one is asked.
    trial = SSL.Context(SSL.TLS_SERVER_METHOD)
    for each in (trial, context):
        try:
            if newer:
                each.set_tls13_ciphersuites(newer.encode())
            each.set_cipher_list(older.encode())
        except SSL.Error as error:
            raise ConfigError(path, f"OpenSSL does not know them: {said(error)}") from None
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
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)


def _note_problem(connection: Any, certificate: crypto.X509, code: int, depth: int, fine: int) -> bool:
    """
    Go on with a certificate that is no good, but remember that it is none.
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


def said(error: Exception) -> str:
    """
    What OpenSSL has to say: it reports lists of (library, function, reason).
    """
    reasons = [str(entry[-1]) for entry in (error.args[0] if error.args else ()) if isinstance(entry, tuple) and entry]
    return ", ".join(reasons) or str(error) or "no reason given"
