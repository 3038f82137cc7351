"""
Decisions on who a client is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface


@dataclass(frozen=True)
class PeerCertificate:
    """
    Who a client is by a certificate that it has shown, and that an authority has signed which the server trusts.

    @ivar subject: all of it, as C{CN=ann,O=Example}.
    @ivar common_names: those in the subject.
    @ivar emails: the other names of the subject, by their kind.
    @ivar fingerprint: SHA-256 of the certificate, in hexadecimal digits.
    @ivar expires_at: in seconds since 1970.
    """

    subject: str
    common_names: tuple[str, ...]
    emails: tuple[str, ...]
    dns_names: tuple[str, ...]
    uris: tuple[str, ...]
    fingerprint: str
    expires_at: float


@dataclass(frozen=True)
class HandshakeData:
    """
    What is known of a client before its login.

    @ivar address: of the client; the proxies that stand before it are left out as far as they are trusted.
    @ivar headers: of the upgrade request, in lower case.
    @ivar url: the path and query of an HTTP request, for which alone the login is; C{None} for connections.
    @ivar certificate: what it has proved by TLS; C{None} if it has shown no certificate, or none that is good.
    @ivar path: the path of the URL that the client is connected to.
    @ivar number: the number of the connection; 0 for a request without one.
    """

    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    certificate: PeerCertificate | None = None
    path: str = ""
    number: int = 0

    @property
    def user(self) -> str | None:
        """
        The client before its login.
        """
        return None

    @property
    def origin(self) -> str | None:
        return self.headers.get("origin")

    @property
    def referer(self) -> str | None:
        return self.headers.get("referer")


@dataclass(frozen=True)
class Login:
    """
    What an authenticator decided.

    @ivar user: the user id; C{None} if the authenticator gave none.
    @ivar client_data: JSON text for the client, also of a refusal; C{None} for none.
    @ivar server_data: for permission rules; never leaves the server.
    @ivar final: for a refusal, whether it stands. Otherwise it was not this authenticator's business, and the next one
        is asked, if there is one.
    @ivar expires_at: when the login ends, and with it the connection, in seconds since 1970; C{None} for never.
    @ivar token: what the HTTP client is to log in with from now on.
    """

    accepted: bool
    user: str | None = None
    client_data: bytes | None = None
    server_data: Any = None
    final: bool = True
    expires_at: float | None = None
    token: Any = None


class IAuthenticator(Interface):
    """
    Decides who may connect.
    """

    def login(handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        """
        Decide on C{credentials}, a JSON object or array as the client sent it. Fails with
        L{dstwist.errors.AuthError} if no decision could be reached. Who cancels it does not want to know any more.
        """


class IDepartures(Interface):
    """
    What an authenticator may be besides, if it wants to know when its users leave.
    """

    def departed(user: str) -> None:
        """
        A connection that was logged in as C{user} is gone.
        """
