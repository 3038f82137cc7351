"""
The keys that tokens are checked with.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.auth.http_client import Response
from dstwist.auth.keys import MAX_PUBLISHED_KEYS, ConfiguredKey, PublishedKeys, fits, read_public_key
from dstwist.config.auth import KEY_TYPES, JwtSettings
from dstwist.errors import AuthError
from tests.auth.helpers import AuthCase

SETTINGS: dict[str, Any] = {
    "jwks_url": "https://issuer.example/keys",
    "jwks_cache_time": 100.0,
    "jwks_retry_interval": 10.0,
}


@cache
def private_key(kind: str) -> Any:
    """
    A private key of each kind that the tests need; making them takes a while.
    """
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[kind]
    return ec.generate_private_key(curve)


def public_key(kind: str) -> Any:
    return private_key(kind).public_key()


def pem(kind: str) -> str:
    return str(public_key(kind).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def jwk(kind: str, kid: str | None = None, private: bool = False, **more: Any) -> dict[str, Any]:
    """
    A key in the format of key sets.
    """
    algorithm: Any = RSAAlgorithm if kind.startswith("RSA") else OKPAlgorithm if kind == "Ed25519" else ECAlgorithm
    key = private_key(kind) if private else public_key(kind)
    made: dict[str, Any] = json.loads(algorithm.to_jwk(key))
    made.pop("key_ops", None)
    return {**made, **({} if kid is None else {"kid": kid}), **more}


def same(one: Any, other: Any) -> bool:
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return bool(one.public_bytes(*form) == other.public_bytes(*form))


class Issuer:
    """
    In the place of L{dstwist.auth.http_client.HttpClient}: publishes keys, or does not answer at all.

    @ivar holding: keep what is asked waiting in C{pending}.
    """

    def __init__(self) -> None:
        self.answer: Response | AuthError = Response(200, "application/json", b"")
        self.holding = False
        self.pending: list[Deferred[None]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.stopped = False

    def publish(self, *keys: Any) -> None:
        self.answer = Response(200, "application/json", json.dumps({"keys": keys}).encode())

    async def request(self, *args: Any) -> Response:
        self.asked.append(args)
        if self.holding:
            self.pending.append(Deferred())
            await self.pending[-1]
        if isinstance(self.answer, AuthError):
            raise self.answer
        return self.answer

    async def stop(self) -> None:
        self.stopped = True


class FitTests(SynchronousTestCase):
    """
    Which key goes with which algorithm.
    """

    def test_fits(self) -> None:
        """
        A key fits the algorithms of its own type and curve, and no public key ever those of a shared secret.
        """
        expected = {
            "RSA2048": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
            "P-256": {"ES256"},
            "P-384": {"ES384"},
            "P-521": {"ES512"},
            "Ed25519": {"EdDSA"},
            "RSA1024": set(),
        }
        for kind, algorithms in expected.items():
            self.assertEqual({name for name in KEY_TYPES if fits(public_key(kind), name)}, algorithms, kind)

    def test_pem(self) -> None:
        """
        A public key is read from PEM; what is none is said to be so.
        """
        self.assertTrue(same(read_public_key(pem("P-256")), public_key("P-256")))
        for text in ("", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----\n"):
            with self.assertRaises(ValueError):
                read_public_key(text)

    def test_configured(self) -> None:
        """
        The configured key is there for every token whose algorithm it fits, whatever the token calls it.
        """
        key = public_key("RSA2048")
        keys = ConfiguredKey(key)
        for kid in (None, "a"):
            self.assertIs(self.successResultOf(Deferred.fromCoroutine(keys.find(kid, "RS512"))), key)
            self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(keys.find(kid, "ES256"))))
        self.successResultOf(Deferred.fromCoroutine(keys.stop()))


class PublishedCase(AuthCase):
    """
    An issuer that publishes its keys.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.issuer = Issuer()
        self.issuer.publish(jwk("P-256", "one"))
        settings = JwtSettings(**SETTINGS)
        self.keys = PublishedKeys(settings, self.issuer, self.clock)  # type: ignore[arg-type]

    def start_find(self, kid: str | None, algorithm: str = "ES256") -> Deferred[Any]:
        return Deferred.fromCoroutine(self.keys.find(kid, algorithm))

    def find(self, kid: str | None, algorithm: str = "ES256") -> Any:
        return self.successResultOf(self.start_find(kid, algorithm))

    @property
    def fetched(self) -> int:
        return len(self.issuer.asked)


class PublishedKeysTests(PublishedCase):
    """
    When keys are fetched.
    """

    def test_fetched_once(self) -> None:
        """
        Keys are fetched when they are first needed, and kept for C{jwksCacheTime}.
        """
        self.assertEqual(self.fetched, 0)
        for _ in range(3):
            self.assertTrue(same(self.find("one"), public_key("P-256")))
        self.assertEqual(self.issuer.asked, [("GET", SETTINGS["jwks_url"], {"Accept": "application/json"})])
        self.clock.advance(99)
        self.find("one")
        self.assertEqual(self.fetched, 1)
        self.clock.advance(1)
        self.find("one")
        self.assertEqual(self.fetched, 2)

    def test_rotation(self) -> None:
        """
        A token signed by an unknown key has them fetched again: the issuer may have a new one. Keys that are not
        published any more are gone.
        """
        self.find("one")
        self.issuer.publish(jwk("P-384", "two"))
        self.clock.advance(10)
        self.assertTrue(same(self.find("two", "ES384"), public_key("P-384")))
        self.assertIsNone(self.find("one"))

    def test_rate(self) -> None:
        """
        However many tokens name unknown keys, there is one fetch in C{jwksRetryInterval}.
        """
        for number in range(50):
            self.assertIsNone(self.find(f"unknown{number}"))
        self.assertEqual(self.fetched, 1)
        self.clock.advance(9.9)
        self.find("unknown")
        self.assertEqual(self.fetched, 1)
        self.clock.advance(0.1)
        self.find("unknown")
        self.find("unknown")
        self.assertEqual(self.fetched, 2)

    def test_together(self) -> None:
        """
        Logins that need the keys at the same time wait for one fetch; one that goes does not take it with it.
        """
        self.issuer.holding = True
        first, gone, last = (self.start_find("one") for _ in range(3))
        gone.cancel()
        gone.addErrback(lambda _: None)
        self.assertEqual(self.fetched, 1)
        self.issuer.pending[0].callback(None)
        self.assertTrue(same(self.successResultOf(first), public_key("P-256")))
        self.assertTrue(same(self.successResultOf(last), public_key("P-256")))

    def test_old_keys_stay(self) -> None:
        """
        If they cannot be fetched again, the old ones stay, and a line in the log says so.
        """
        self.find("one")
        for answer in (
            AuthError("no answer"),
            Response(500, "", b""),
            Response(200, "", b"<html>"),
            Response(200, "", b"[]"),
            Response(200, "", b'{"keys": 5}'),
            Response(200, "", b'{"keys": []}'),
            Response(200, "", json.dumps({"keys": [jwk("RSA1024")]}).encode()),
            Response(200, "", json.dumps({"keys": [jwk("P-256")] * (MAX_PUBLISHED_KEYS + 1)}).encode()),
        ):
            self.issuer.answer = answer
            self.clock.advance(100)
            log = self.log()
            self.assertTrue(same(self.find("one"), public_key("P-256")))
            self.assertIn("1 from before stay in use", log.lines[0])
        self.assertEqual(self.fetched, 9)

    def test_never_any(self) -> None:
        """
        As long as there are none at all, there is no decision; that does not have them fetched all the time either.
        """
        self.issuer.answer = AuthError("no answer")
        for _ in range(5):
            self.failureResultOf(self.start_find("one"), AuthError)
        self.assertEqual(self.fetched, 1)
        self.issuer.publish(jwk("P-256", "one"))
        self.clock.advance(10)
        self.assertTrue(same(self.find("one"), public_key("P-256")))

    def test_stop(self) -> None:
        """
        Stopping gives up a fetch that is under way, without complaints.
        """
        self.issuer.holding = True
        result = self.start_find("one")
        self.successResultOf(Deferred.fromCoroutine(self.keys.stop()))
        self.failureResultOf(result, AuthError)
        self.assertTrue(self.issuer.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ChoiceTests(PublishedCase):
    """
    Which of the published keys is a token's.
    """

    def test_algorithm(self) -> None:
        """
        A key has to fit the token's algorithm, and if it names one, to name that.
        """
        self.issuer.publish(jwk("RSA2048", "any"), jwk("RSA2048", "bound", alg="PS256"), jwk("P-256", "curve"))
        for kid, algorithm, found in (
            ("any", "RS512", True),
            ("any", "ES256", False),
            ("bound", "PS256", True),
            ("bound", "RS256", False),
            ("curve", "ES256", True),
            ("curve", "ES384", False),
            ("none", "RS256", False),
        ):
            self.assertEqual(self.find(kid, algorithm) is not None, found, (kid, algorithm))

    def test_no_kid(self) -> None:
        """
        A token that names no key is checked with the one that fits; if there is more than one, with none.
        """
        self.issuer.publish(jwk("P-256", "one"), jwk("P-384"), jwk("Ed25519"))
        self.assertTrue(same(self.find(None, "ES256"), public_key("P-256")))
        self.assertTrue(same(self.find(None, "EdDSA"), public_key("Ed25519")))
        self.clock.advance(100)
        self.issuer.publish(jwk("P-256", "one"), jwk("P-256", "two"))
        self.assertIsNone(self.find(None, "ES256"))

    def test_others(self) -> None:
        """
        Keys that are not for signatures, too weak, secret or of an unknown type are ignored.
        """
        secret = {"kty": "oct", "kid": "s", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}
        nonsense: list[Any] = [5, None, "x", [], {}, {"kty": ["RSA"]}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256"}]
        nonsense += [{"kty": "EC", "crv": "P-256", "x": 5, "y": 6}, {"kty": "OKP", "crv": "X448", "x": "AA"}]
        self.issuer.publish(
            *nonsense, secret, jwk("P-256", "enc", use="enc"), jwk("RSA1024", "weak"), jwk("P-256", "good", use="sig")
        )
        for kid, algorithm in (("s", "HS256"), ("enc", "ES256"), ("weak", "RS256")):
            self.assertIsNone(self.find(kid, algorithm), kid)
        self.assertIsNotNone(self.find("good"))

    def test_private(self) -> None:
        """
        Only the public half of a private key is used that was published by mistake.
        """
        self.issuer.publish(jwk("P-256", "one", private=True))
        self.assertTrue(same(self.find("one"), public_key("P-256")))
