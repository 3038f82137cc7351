"""
Clients log in by a client certificate of a trusted authority: C{auth: [{type: certificate}]}.

TLS verifies the certificate before the login (C{httpServer.options.ssl} with C{requestCert}). The credentials that the
client sends are ignored. The user id is a name in the certificate; C{idFrom} says which kind of name.

============================================  =========================  =====================
the certificate                               reportInvalidParameters    otherwise
============================================  =========================  =====================
is missing or not valid                       refused                    next authenticator
has no name of that kind, or several          refused                    next authenticator
has one name of that kind                     accepted, until the certificate expires
============================================  =========================  =====================

Permission rules find the other fields of the certificate in C{user.data}: C{subject}, C{commonNames}, C{emails},
C{dnsNames}, C{uris}, C{fingerprint}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.auth.credentials import refusal, user_id
from dstwist.config.auth import CertificateSettings
from dstwist.interfaces import HandshakeData, IAuthenticator, Login, PeerCertificate

_NAMES: dict[str, Callable[[PeerCertificate], tuple[str, ...]]] = {
    "CN": lambda certificate: certificate.common_names,
    "email": lambda certificate: certificate.emails,
    "DNS": lambda certificate: certificate.dns_names,
    "URI": lambda certificate: certificate.uris,
}


@implementer(IAuthenticator)
class CertificateAuthentication:
    """
    Accepts clients with a valid client certificate.
    """

    def __init__(self, settings: CertificateSettings) -> None:
        self._report = settings.report_invalid_parameters
        self._kind = settings.id_from
        self._names = _NAMES[settings.id_from]

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        return succeed(self._decide(handshake.certificate))

    def _decide(self, certificate: PeerCertificate | None) -> Login:
        if certificate is None:
            return refusal(self._report, "missing client certificate")
        names = dict.fromkeys(self._names(certificate))
        # With several names there is no telling which one is meant.
        user = user_id(next(iter(names))) if len(names) == 1 else None
        if user is None:
            return refusal(self._report, f"expected one {self._kind} in the client certificate, found {len(names)}")
        return Login(True, user, server_data=_data(certificate), expires_at=certificate.expires_at)


def _data(certificate: PeerCertificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "commonNames": list(certificate.common_names),
        "emails": list(certificate.emails),
        "dnsNames": list(certificate.dns_names),
        "uris": list(certificate.uris),
        "fingerprint": certificate.fingerprint,
    }
