"""
The keys for the signatures of tokens: the configured key, or the keys that the issuer publishes.

A key is found by C{kid} and algorithm of the token. A key fits only algorithms of its own type, so a public key is
never used as a secret.

Published keys (JWKS, RFC 7517) are fetched

- when they are first needed,
- when they are older than C{jwksCacheTime},
- when a token names an unknown key, because issuers rotate their keys like this.

Always true: after a fetch there is none for C{jwksRetryInterval}, whatever tokens clients send. If a fetch fails, the
keys from before stay in use.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, PyJWTError
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from dstwist.auth.http_client import HttpClient
from dstwist.config.auth import KEY_TYPES, JwtSettings
from dstwist.errors import AuthError
from dstwist.log import Logger
from dstwist.protocol.jsontext import loads

#: The most keys of one issuer; real issuers have two or three.
MAX_PUBLISHED_KEYS = 100

_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
# PyJWK needs an algorithm to read a key; any algorithm of the key's type will do.
_READ_AS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}


class IKeys(Protocol):
    """
    A source of keys.
    """

    async def find(self, kid: str | None, algorithm: str) -> Any:
        """
        The key for a token; C{None} if no key fits.

        @raise AuthError: the keys are not available.
        """

    async def stop(self) -> None:
        """
        End running fetches, and close connections.
        """


def fits(key: Any, algorithm: str) -> bool:
    """
    Whether a public key can be used with C{algorithm}, and is strong enough.
    """
    kind = KEY_TYPES[algorithm]
    if kind == "RSA":
        return isinstance(key, RSAPublicKey) and key.key_size >= 2048
    if kind == "EC":
        return isinstance(key, EllipticCurvePublicKey) and key.curve.name == _CURVES[algorithm]
    return kind == "OKP" and isinstance(key, Ed25519PublicKey | Ed448PublicKey)


def read_public_key(pem: str) -> Any:
    """
    The public key in a PEM text: a key, or a certificate with one.

    @raise ValueError: the text contains no public key.
    """
    content = pem.encode("utf-8")
    try:
        if "-----BEGIN CERTIFICATE-----" in pem:
            return x509.load_pem_x509_certificate(content).public_key()
        return load_pem_public_key(content)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None


class ConfiguredKey:
    """
    The one key of the configuration, for all values of C{kid}.
    """

    def __init__(self, key: Any) -> None:
        self._key = key

    async def find(self, kid: str | None, algorithm: str) -> Any:
        # A secret is a text. It fits all configured algorithms, because they are checked with the configuration.
        return self._key if isinstance(self._key, str) or fits(self._key, algorithm) else None

    async def stop(self) -> None:
        pass


class _PublishedKey(NamedTuple):
    kid: str | None
    algorithm: str | None
    key: Any

    def serves(self, kid: str | None, algorithm: str) -> bool:
        return kid in (None, self.kid) and self.algorithm in (None, algorithm) and fits(self.key, algorithm)


class PublishedKeys:
    """
    The keys that an issuer publishes at C{jwksUrl}.
    """

    _log = Logger()

    def __init__(self, settings: JwtSettings, http_client: HttpClient, clock: IReactorTime) -> None:
        assert settings.jwks_url is not None
        self._url = settings.jwks_url
        self._cache_time = settings.jwks_cache_time
        self._retry_interval = settings.jwks_retry_interval
        self._http_client = http_client
        self._clock = clock
        self._keys: list[_PublishedKey] = []
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []

    async def find(self, kid: str | None, algorithm: str) -> Any:
        if self._fetched is None or self._clock.seconds() - self._fetched >= self._cache_time:
            await self._refresh()
        key = self._pick(kid, algorithm)
        if key is None:
            await self._refresh()
            key = self._pick(kid, algorithm)
        if not self._keys:
            raise AuthError(f"there are no keys from {self._url} to check tokens with")
        return key

    async def stop(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        await self._http_client.stop()

    def _pick(self, kid: str | None, algorithm: str) -> Any:
        # A token without kid is accepted only if exactly one key fits. Trying several keys would let a client cause
        # work.
        found = [entry.key for entry in self._keys if entry.serves(kid, algorithm)]
        return found[0] if len(found) == 1 or (found and kid is not None) else None

    def _refresh(self) -> Deferred[None]:
        """
        Fetch the keys, unless that was tried within the retry interval. Fires also if the fetch fails.
        """
        now = self._clock.seconds()
        if self._fetching is None and self._tried is not None and now - self._tried < self._retry_interval:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if self._fetching is None:
            self._tried = now
            self._fetching = Deferred.fromCoroutine(self._fetch())
            self._fetching.addBoth(self._end)
        return waiting

    async def _fetch(self) -> None:
        try:
            response = await self._http_client.request("GET", self._url, {"Accept": "application/json"})
            if response.status != 200:
                raise AuthError(f"status {response.status}")
            self._keys = _read_keys(response.body)
            self._fetched = self._clock.seconds()
        except AuthError as error:
            self._log.warn(
                "AUTH_ERROR | keys not fetched from {url}: {error}; {count} from before stay in use",
                url=self._url,
                error=error,
                count=len(self._keys),
                event="AUTH_ERROR",
            )

    def _end(self, result: Any) -> Any:
        self._fetching = None
        waiting = self._waiting[:]
        self._waiting.clear()
        for login in waiting:
            # Also if the fetch was cancelled or failed unexpectedly: the login then finds no key.
            login.callback(None)
        return None if isinstance(result, Failure) and result.check(CancelledError) else result


def _read_keys(body: bytes) -> list[_PublishedKey]:
    """
    The usable keys of a key set. Other entries are ignored.

    @raise AuthError: the body is no key set, or contains no usable key.
    """
    try:
        found = loads(body)
    except ValueError:
        raise AuthError("not JSON") from None
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise AuthError("not a key set")
    if len(entries) > MAX_PUBLISHED_KEYS:
        raise AuthError(f"more than {MAX_PUBLISHED_KEYS} keys")
    keys = [key for entry in entries if (key := _read_key(entry)) is not None]
    if not keys:
        raise AuthError("no usable key in the key set")
    return keys


def _read_key(entry: Any) -> _PublishedKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kind = entry.get("kty")
    if not isinstance(kind, str) or kind not in _READ_AS:
        return None
    try:
        key = PyJWK(entry, _READ_AS[kind]).key
    except (PyJWTError, ValueError, TypeError):
        return None
    # Some issuers publish private keys by mistake. Only the public half is used.
    key = key.public_key() if hasattr(key, "private_bytes") else key
    kid, algorithm = entry.get("kid"), entry.get("alg")
    return _PublishedKey(kid, algorithm, key) if any(fits(key, name) for name in KEY_TYPES) else None
