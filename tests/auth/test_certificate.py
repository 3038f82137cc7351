"""
Tests for L{dstwist.auth.certificate}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.auth.certificate import CertificateAuthentication
from dstwist.config.auth import CertificateSettings
from dstwist.interfaces import HandshakeData, IAuthenticator, Login, PeerCertificate

ANN = PeerCertificate(
    "CN=ann,O=Example",
    ("ann",),
    ("ann@example.org",),
    ("ann.example.org",),
    ("spiffe://example.org/ann",),
    "00" * 32,
    2000000000.0,
)


class CertificateAuthenticationTests(SynchronousTestCase):
    """
    Logging in by what TLS has proved.
    """

    def login(self, certificate: PeerCertificate | None, credentials: Any = None, **settings: Any) -> Login:
        authenticator = CertificateAuthentication(CertificateSettings(**settings))
        handshake = HandshakeData("192.0.2.1", {}, certificate=certificate)
        return self.successResultOf(authenticator.login(handshake, credentials or {}))

    def test_interface(self) -> None:
        """
        It is an authenticator.
        """
        verifyObject(IAuthenticator, CertificateAuthentication(CertificateSettings()))

    def test_accepted(self) -> None:
        """
        The user is who the certificate says, whatever the client says, until the certificate ends; rules see all of it.
        """
        login = self.login(ANN, {"username": "bob"})
        self.assertEqual((login.accepted, login.user, login.expires_at), (True, "ann", 2000000000.0))
        self.assertIsNone(login.client_data)
        self.assertEqual(
            login.server_data,
            {
                "subject": "CN=ann,O=Example",
                "commonNames": ["ann"],
                "emails": ["ann@example.org"],
                "dnsNames": ["ann.example.org"],
                "uris": ["spiffe://example.org/ann"],
                "fingerprint": "00" * 32,
            },
        )

    def test_id_from(self) -> None:
        """
        Any kind of name can be the user id.
        """
        for kind, user in [
            ("CN", "ann"),
            ("email", "ann@example.org"),
            ("DNS", "ann.example.org"),
            ("URI", "spiffe://example.org/ann"),
        ]:
            self.assertEqual(self.login(ANN, id_from=kind).user, user)

    def test_no_certificate(self) -> None:
        """
        A client without a certificate is refused with the reason, or the next authenticator is asked.
        """
        login = self.login(None)
        self.assertEqual((login.accepted, login.final), (False, True))
        self.assertEqual(login.client_data, b'{"error":"missing client certificate"}')
        self.assertEqual(self.login(None, report_invalid_parameters=False), Login(False, final=False))

    def test_ambiguous(self) -> None:
        """
        A certificate without such a name, with several, or with one that is not printable identifies no user.
        """
        for names, count in (((), 0), (("ann", "bob"), 2), (("a\x1fb",), 1), (("",), 1)):
            login = self.login(replace(ANN, common_names=names))
            self.assertFalse(login.accepted)
            self.assertEqual(
                login.client_data, b'{"error":"expected one CN in the client certificate, found %d"}' % count
            )

    def test_twice_the_same(self) -> None:
        """
        The same name twice is one.
        """
        self.assertEqual(self.login(replace(ANN, common_names=("ann", "ann"))).user, "ann")
