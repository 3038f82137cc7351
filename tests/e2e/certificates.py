"""
Real certificates for the tests of TLS: an authority, and what it signs for servers on this machine and for clients.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: What the certificates of servers are for.
HERE: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
)


@dataclass(frozen=True)
class Certificates:
    """
    Files in PEM.

    @ivar authority: what the other side has to trust.
    @ivar key: the private key.
    @ivar chain: its certificate, and what leads from it to the authority.
    """

    authority: Path
    key: Path
    chain: Path


class Authority:
    """
    Somebody who signs certificates.

    @param parent: who has signed its own; itself if C{None}.
    """

    def __init__(self, name: str = "dstwist tests", parent: Authority | None = None) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.parent = parent
        signer = parent or self
        self.certificate = (
            _builder(self.name, self._key.public_key(), signer.name, 1.0)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return pem_of(self.certificate)

    def issue(
        self,
        name: str = "localhost",
        names: tuple[x509.GeneralName, ...] = HERE,
        days: float = 1.0,
        client: bool = False,
    ) -> tuple[x509.Certificate, Any]:
        """
        A certificate for C{name}, and its key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(), self.name, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()), key

    def sign(self, key: Any) -> x509.Certificate:
        """
        A certificate for somebody else's public key.
        """
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        return (
            _builder(name, key, self.name, 1.0)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def write(self, directory: Path, name: str = "localhost", **kwargs: Any) -> Certificates:
        """
        The same, as files in C{directory}; older ones are overwritten.
        """
        certificate, key = self.issue(name, **kwargs)
        chain, signer = pem_of(certificate), self
        while signer.parent is not None:
            chain, signer = chain + signer.pem, signer.parent
        made = Certificates(directory / "authority.pem", directory / "key.pem", directory / "chain.pem")
        made.authority.write_text(signer.pem)
        made.key.write_text(pem_of(key))
        made.key.chmod(0o600)
        made.chain.write_text(chain)
        return made

    def revoke(self, *certificates: x509.Certificate) -> str:
        """
        A list of what this authority has revoked.
        """
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(now - datetime.timedelta(hours=1))
            .next_update(now + datetime.timedelta(days=1))
        )
        for certificate in certificates:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(now - datetime.timedelta(hours=1))
                .build()
            )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def make_certificates(directory: Path) -> Certificates:
    """
    New certificates for C{localhost} and C{127.0.0.1}, good for a day, written into C{directory}.
    """
    return Authority().write(directory)


def pem_of(made: Any, passphrase: bytes | None = None) -> str:
    """
    A certificate or a private key as PEM.
    """
    if isinstance(made, x509.Certificate):
        return made.public_bytes(serialization.Encoding.PEM).decode()
    encryption: Any = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    pem: bytes = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return pem.decode()


def _builder(subject: x509.Name, key: Any, issuer: x509.Name, days: float) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
    )
