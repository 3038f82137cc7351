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
    The names in the certificate of a client. An authority that the server trusts has signed it.

    @ivar subject: the whole subject, as C{CN=ann,O=Example}.
    @ivar common_names: the common names in the subject.
    @ivar emails: alternative names of the subject; so are the next two.
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
    The facts about a client before its login: deepstream's C{handshakeData}.

    @ivar address: the address of the client behind all trusted proxies.
    @ivar headers: the headers of the HTTP request, with names in lower case.
    @ivar url: for a login that is for a single HTTP request, its path and query; C{None} for connections.
    @ivar certificate: the client's certificate; C{None} if the client has shown no certificate that the server trusts.
    @ivar path: the path of the URL that the client is connected to.
    @ivar number: the number of the connection; 0 for a request without one.
    @ivar node: the label of the node that serves the client, for logs.
    """

    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    certificate: PeerCertificate | None = None
    path: str = ""
    number: int = 0
    node: str = ""

    @property
    def user(self) -> str | None:
        """
        Always C{None}: the client has not logged in yet.
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
    The decision of an authenticator.

    @ivar user: the user id; C{None} if the authenticator gave none.
    @ivar client_data: JSON text for the client, of a refusal too; C{None} for no data.
    @ivar server_data: data for permission rules, which never leaves the server.
    @ivar final: for a refusal, whether it stands. If not, these credentials are not for this authenticator, and the
        next authenticator decides, if there is one.
    @ivar expires_at: when the login ends, and the connection with it, in seconds since 1970; C{None} for never.
    @ivar token: the token with which the HTTP client logs in from now on.
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
    Decides on logins.
    """

    def login(handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        """
        Decide on C{credentials}, a JSON object or array as the client sent it. Fails with
        L{dstwist.errors.AuthError} if there is no decision. The caller cancels the Deferred when the client has gone.
        """


class IDepartures(Interface):
    """
    An authenticator that wants to know when its users leave provides this as well.
    """

    def departed(user: str) -> None:
        """
        A connection that was logged in as C{user} has ended.
        """
