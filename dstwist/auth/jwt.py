"""
Clients log in by a signed token of a trusted issuer: C{auth: [{type: jwt, options: {algorithms: [RS256], ...}}]}.

The client sends C{{"token": "<JSON Web Token>"}} (RFC 7519). An addition of dstwist.

====================================  ==================================================================
the client sends                      outcome
====================================  ==================================================================
no text in C{tokenField}              next authenticator
a token with a valid signature of an  accepted: C{idClaim} is the user id, other claims may be clientData
allowed algorithm, the right issuer   and serverData; the connection is closed when the token expires
and audience, that has not expired
an expired token                      refused, C{{"error": "token expired"}}
anything else                         refused, C{{"error": "invalid token"}}
====================================  ==================================================================

The log tells why a token is refused. The token itself is never logged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jwt import PyJWTError, decode, get_unverified_header
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.auth.credentials import NOT_MINE, kind_of, refusal, user_id
from dstwist.auth.keys import IKeys
from dstwist.config.auth import JwtSettings
from dstwist.interfaces import HandshakeData, IAuthenticator, ILifecycle, Login
from dstwist.log import Logger, about
from dstwist.protocol.jsontext import dumps
from dstwist.scheduling.clocks import wall_time

# Not checked by PyJWT: times are compared here, by the clock of the reactor, and user ids have a check of their own.
_OPTIONS: Any = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_sub", "verify_jti"), False)


class _Refused(Exception):
    """
    A token is refused. The text tells the log why.

    @ivar client_error: the error text for the client.
    """

    def __init__(self, reason: str, client_error: str = "invalid token") -> None:
        super().__init__(reason)
        self.client_error = client_error


@implementer(IAuthenticator, ILifecycle)
class TokenAuthentication:
    """
    Accepts clients with a valid token.
    """

    _log = Logger()

    def __init__(self, settings: JwtSettings, keys: IKeys, clock: IReactorTime) -> None:
        self._settings = settings
        self._keys = keys
        self._wall_time = wall_time(clock)
        # With None, PyJWT refuses a token that names an audience; with an empty list it would not.
        self._audience = list(settings.audience) or None
        self._issuer = list(settings.issuer) or None

    def replace(self, keys: IKeys) -> None:
        """
        Replace the keys that check tokens.
        """
        self._keys = keys

    def start(self) -> Deferred[None]:
        # Keys are fetched when they are needed, because the issuer may start after this server.
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._keys.stop())

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        token = credentials.get(self._settings.token_field) if isinstance(credentials, dict) else None
        if not isinstance(token, str):
            return succeed(NOT_MINE)
        return Deferred.fromCoroutine(self._login(token, handshake))

    async def _login(self, token: str, handshake: HandshakeData) -> Login:
        try:
            return self._accept(await self._verify(token))
        except _Refused as refused:
            self._log.info(
                "AUTH_ERROR | {client}: token refused: {reason}", reason=refused, event="AUTH_ERROR", **about(handshake)
            )
            return refusal(True, refused.client_error)

    async def _verify(self, token: str) -> Mapping[str, Any]:
        """
        The claims of a token whose signature, issuer and audience are right.

        @raise _Refused: they are not.
        @raise AuthError: the keys are not available.
        """
        if len(token) > self._settings.max_token_length:
            raise _Refused("too long")
        try:
            header = get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError):
            raise _Refused("not a token") from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms:
            raise _Refused("its algorithm is not allowed")
        if not (kid is None or isinstance(kid, str)):
            raise _Refused("its key id is not a text")
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise _Refused("its key is unknown")
        try:
            return decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                options=_OPTIONS,
            )
        except PyJWTError as error:
            raise _Refused(f"{type(error).__name__}: {error}") from None
        except (ValueError, RecursionError) as error:
            raise _Refused(type(error).__name__) from None

    def _accept(self, claims: Mapping[str, Any]) -> Login:
        settings = self._settings
        now = self._wall_time()
        expires, begins = _time(claims, "exp"), _time(claims, "nbf")
        if expires is None and settings.require_expiry:
            raise _Refused("it has no expiry (exp)")
        ends = None if expires is None else expires + settings.leeway
        if ends is not None and ends <= now:
            raise _Refused("expired", "token expired")
        if begins is not None and begins - settings.leeway > now:
            raise _Refused("not valid yet")
        user = user_id(claims.get(settings.id_claim))
        if user is None:
            raise _Refused(f"{settings.id_claim} is {kind_of(claims.get(settings.id_claim))}, which is no user id")
        client_data = None
        if settings.client_data_claim is not None and settings.client_data_claim in claims:
            client_data = dumps(claims[settings.client_data_claim])
        server_data = None if settings.server_data_claim is None else claims.get(settings.server_data_claim)
        return Login(True, user, client_data, server_data, expires_at=ends)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """
    The time in a claim, in seconds since 1970; C{None} without that claim.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 2**53 or not math.isfinite(value):
        raise _Refused(f"{name} is not a time")
    return float(value)
