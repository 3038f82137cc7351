"""
Tests for L{dstwist.auth.jwt}.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from jwt import encode
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from dstwist.auth import jwt as jwt_module
from dstwist.auth.jwt import TokenAuthentication
from dstwist.auth.keys import ConfiguredKey, IKeys, PublishedKeys
from dstwist.config.auth import JwtSettings
from dstwist.errors import AuthError
from dstwist.interfaces import IAuthenticator, ILifecycle, Login
from tests.auth.helpers import HANDSHAKE, AuthCase
from tests.auth.test_keys import Issuer, jwk, pem, private_key, public_key

SECRET = "a secret of at least sixty-four bytes, as HS512 wants to have it..."
NOW = 1_700_000_000
NOT_MINE = Login(False, final=False)


def part(value: Any) -> str:
    """
    One of the three parts of a token.
    """
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def sign(claims: Any, secret: str = SECRET, algorithm: str = "HS256") -> str:
    """
    A token with a good signature, whatever is in it: the library would not sign all of that.
    """
    signed = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), f'sha{algorithm[2:]}'))}"


class TokenCase(AuthCase):
    """
    Tokens signed with a secret.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.make()

    def make(self, keys: IKeys | None = None, **settings: Any) -> None:
        found = JwtSettings(**{"algorithms": ("HS256",), "leeway": 0.0, **settings})
        self.authenticator = TokenAuthentication(found, keys or ConfiguredKey(SECRET), self.clock)

    def token(self, key: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **claims: Any) -> str:
        payload = {"sub": "chris", "exp": NOW + 60, **claims}
        payload = {name: value for name, value in payload.items() if value is not None}
        return encode(payload, key, algorithm=algorithm, headers=headers)

    def outcome(self, token: Any) -> Any:
        """
        The user who comes in with C{token}, or what is told to the client.
        """
        login = self.login(token=token)
        if login.accepted:
            return login.user
        self.assertTrue(login.final)
        self.assertIsNone(login.user)
        return self.told(login)["error"]


class TokenAuthenticationTests(TokenCase):
    """
    L{TokenAuthentication}.
    """

    def test_interface(self) -> None:
        """
        L{TokenAuthentication} provides L{IAuthenticator} and L{ILifecycle}.
        """
        verifyObject(IAuthenticator, self.authenticator)
        verifyObject(ILifecycle, self.authenticator)
        self.successResultOf(self.authenticator.start())
        self.successResultOf(self.authenticator.stop())

    def test_accepted(self) -> None:
        """
        A good token lets its subject in, until it expires.
        """
        self.assertEqual(self.login(token=self.token()), Login(True, "chris", expires_at=NOW + 60))

    def test_time_of_day(self) -> None:
        """
        A token expires by the time of day, which need not be that of the timers.
        """
        self.patch(jwt_module, "wall_time", lambda clock: lambda: NOW + 60.0)
        self.make()
        self.assertEqual(self.outcome(self.token()), "token expired")
        self.assertEqual(self.outcome(self.token(exp=NOW + 61)), "chris")

    def test_claims(self) -> None:
        """
        Claims become the user id, and what the rules and the client are told.
        """
        self.make(id_claim="email", server_data_claim="roles", client_data_claim="profile", token_field="jwt")
        token = self.token(email="c@example.org", roles=["admin"], profile={"colour": "red"})
        self.assertEqual(
            self.login(jwt=token),
            Login(True, "c@example.org", b'{"colour":"red"}', ["admin"], expires_at=NOW + 60),
        )
        self.assertEqual(self.login(jwt=self.token(email=5)), Login(True, "5", expires_at=NOW + 60))
        self.assertEqual(self.login(token=token), NOT_MINE)

    def test_no_token(self) -> None:
        """
        For a client without a token, the next authenticator is asked.
        """
        for token in (None, 5, True, ["x"], {"a": 1}):
            self.assertEqual(self.login(token=token), NOT_MINE)
        self.assertEqual(self.login(username="chris", password="p"), NOT_MINE)
        self.assertEqual(self.successResultOf(self.authenticator.login(HANDSHAKE, ["token"])), NOT_MINE)

    def test_every_algorithm(self) -> None:
        """
        Each allowed algorithm works with a key of its type.
        """
        kinds = {"RS256": "RSA2048", "PS384": "RSA2048", "ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
        for algorithm, kind in {**kinds, "EdDSA": "Ed25519"}.items():
            self.make(ConfiguredKey(public_key(kind)), algorithms=(algorithm,))
            self.assertEqual(self.outcome(self.token(private_key(kind), algorithm)), "chris", algorithm)
        for algorithm in ("HS256", "HS384", "HS512"):
            self.make(algorithms=(algorithm,))
            self.assertEqual(self.outcome(self.token(algorithm=algorithm)), "chris")

    def test_bad_ids(self) -> None:
        """
        Whose id cannot be one does not come in.
        """
        for sub in (None, "", True, ["a"], {"a": 1}, "a\nb", "a\x1fb", "\ud800"):
            claims = {"exp": NOW + 60} if sub is None else {"exp": NOW + 60, "sub": sub}
            self.assertEqual(self.outcome(encode(claims, SECRET, algorithm="HS256")), "invalid token", sub)


class SignatureTests(TokenCase):
    """
    Whose tokens are believed.
    """

    def test_forged(self) -> None:
        """
        A token that another party has signed, or that was changed, is refused.
        """
        header, claims, signature = self.token().split(".")
        other = part({"sub": "admin", "exp": NOW + 60})
        for token in (
            self.token("another secret, which is long enough for this.."),
            f"{header}.{other}.{signature}",
            f"{header}.{claims}.",
            f"{header}.{claims}.{signature[:-4]}AAAA",
        ):
            self.assertEqual(self.outcome(token), "invalid token")

    def test_none(self) -> None:
        """
        A token without a signature is refused, however it spells that.
        """
        claims = part({"sub": "admin", "exp": NOW + 60})
        for algorithm in ("none", "None", "NONE", "", None, 5, ["HS256"], {"a": 1}):
            for signature in ("", "AAAA"):
                token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{claims}.{signature}"
                self.assertEqual(self.outcome(token), "invalid token", algorithm)

    def test_not_allowed(self) -> None:
        """
        A token is refused if its algorithm is not configured, even if the key would do.
        """
        self.assertEqual(self.outcome(self.token(algorithm="HS512")), "invalid token")
        self.make(ConfiguredKey(public_key("RSA2048")), algorithms=("RS256",))
        self.assertEqual(self.outcome(self.token(private_key("RSA2048"), "RS512")), "invalid token")

    def test_public_key_as_secret(self) -> None:
        """
        A token that is signed with the issuer's public key as a secret is refused. Every client can know that key.
        """
        forged = []
        for name in ("HS256", "HS384", "HS512"):
            forged.append(sign({"sub": "admin", "exp": NOW + 60}, pem("RSA2048"), name))
        for algorithms in (("RS256",), ("RS256", "HS256", "HS384", "HS512")):
            # The second cannot be configured; the keys hold nevertheless.
            self.make(ConfiguredKey(public_key("RSA2048")), algorithms=algorithms)
            for token in forged:
                self.assertEqual(self.outcome(token), "invalid token")

    def test_key_of_the_token(self) -> None:
        """
        A key that comes with the token, or a place to get one from, is not looked at.
        """
        own = private_key("P-256")
        self.make(ConfiguredKey(public_key("RSA2048")), algorithms=("RS256", "ES256"))
        headers = {"jwk": jwk("P-256"), "jku": "https://evil.example/keys", "x5u": "https://evil.example/cert"}
        self.assertEqual(self.outcome(self.token(own, "ES256", headers)), "invalid token")

    def test_demands(self) -> None:
        """
        A token that demands to be understood in ways we do not know is refused.
        """
        token = self.token(headers={"crit": ["exp"], "exp": 5})
        self.assertEqual(self.outcome(token), "invalid token")

    def test_nonsense(self) -> None:
        """
        Any text in the place of a token is refused, and does not affect other clients.
        """
        deep = part(b'{"alg":' + b"[" * 5000 + b"]" * 5000 + b"}")
        header = part({"alg": "HS256"})
        for token in (
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "ä.ö.ü",
            "\ud800.a.b",
            "\0",
            f"{deep}.e30.AAAA",
            f"{header}.{deep}.AAAA",
            f"{part([])}.e30.AAAA",
            f"{header}.{part([1])}.AAAA",
            f"{part({'alg': 'HS256', 'kid': 5})}.e30.AAAA",
            f"{part({'alg': 'HS256', 'b64': False})}.e30.AAAA",
        ):
            self.assertEqual(self.outcome(token), "invalid token", repr(token[:50]))

    def test_too_long(self) -> None:
        """
        A longer token than C{maxTokenLength} is not even looked at.
        """
        token = self.token()
        self.make(max_token_length=len(token))
        self.assertEqual(self.outcome(token), "chris")
        self.make(max_token_length=len(token) - 1)
        self.assertEqual(self.outcome(token), "invalid token")


class ClaimTests(TokenCase):
    """
    From whom, for whom, how long.
    """

    def test_issuer(self) -> None:
        """
        With C{issuer} the token must be from one of these.
        """
        self.make(issuer=("https://one", "https://two"))
        for issuer, outcome in (
            ("https://one", "chris"),
            ("https://two", "chris"),
            ("https://three", "invalid token"),
            (None, "invalid token"),
            (5, "invalid token"),
        ):
            claims = {"sub": "chris", "exp": NOW + 60, **({} if issuer is None else {"iss": issuer})}
            self.assertEqual(self.outcome(sign(claims)), outcome, issuer)

    def test_audience(self) -> None:
        """
        With C{audience} the token must be for one of these. Without, it must not be meant for anybody in particular.
        """
        for audience, given, outcome in (
            (("us",), "us", "chris"),
            (("us", "them"), ["others", "them"], "chris"),
            (("us",), "others", "invalid token"),
            (("us",), [], "invalid token"),
            (("us",), None, "invalid token"),
            ((), "us", "invalid token"),
            ((), None, "chris"),
        ):
            self.make(audience=audience)
            self.assertEqual(self.outcome(self.token(aud=given)), outcome, (audience, given))

    def test_expiry(self) -> None:
        """
        A token is good until C{exp}; C{leeway} allows for clocks that differ, and for the connection too.
        """
        for leeway, exp, outcome in (
            (0.0, NOW + 1, "chris"),
            (0.0, NOW, "token expired"),
            (0.0, NOW - 1, "token expired"),
            (5.0, NOW - 4, "chris"),
            (5.0, NOW - 5, "token expired"),
        ):
            self.make(leeway=leeway)
            self.assertEqual(self.outcome(self.token(exp=exp)), outcome, (leeway, exp))
        self.make(leeway=5.0)
        self.assertEqual(self.login(token=self.token(exp=NOW + 1)).expires_at, NOW + 6)

    def test_endless(self) -> None:
        """
        A token without an end is refused, unless C{requireExpiry} is false; then the connection has none.
        """
        token = encode({"sub": "chris"}, SECRET, algorithm="HS256")
        self.assertEqual(self.outcome(token), "invalid token")
        self.make(require_expiry=False)
        self.assertEqual(self.login(token=token), Login(True, "chris"))
        self.assertEqual(self.outcome(self.token(exp=NOW - 1)), "token expired")

    def test_begin(self) -> None:
        """
        A token is not good before C{nbf}, give or take C{leeway}.
        """
        self.make(leeway=5.0)
        self.assertEqual(self.outcome(self.token(nbf=NOW + 5)), "chris")
        self.assertEqual(self.outcome(self.token(nbf=NOW + 6)), "invalid token")

    def test_odd_times(self) -> None:
        """
        Times that are none make a token invalid, and never one that does not expire.
        """
        self.make(require_expiry=False)
        for value in ("tomorrow", True, [1], {"a": 1}, 1e300, float("inf"), float("nan"), 10**400):
            for name in ("exp", "nbf"):
                token = sign({"sub": "chris", name: value})
                self.assertEqual(self.outcome(token), "invalid token", (name, value))


class PublishedTests(TokenCase):
    """
    With the published keys of an issuer.
    """

    def setUp(self) -> None:
        super().setUp()
        self.issuer = Issuer()
        self.issuer.publish(jwk("P-256", "one"))
        settings = JwtSettings(jwks_url="https://issuer.example", jwks_retry_interval=10.0)
        keys = PublishedKeys(settings, self.issuer, self.clock)  # type: ignore[arg-type]
        self.make(keys, algorithms=("ES256", "EdDSA"))

    def test_rotation(self) -> None:
        """
        A token by a new key is good as soon as the key is published.
        """
        new = self.token(private_key("Ed25519"), "EdDSA", {"kid": "two"})
        self.assertEqual(self.outcome(self.token(private_key("P-256"), "ES256", {"kid": "one"})), "chris")
        self.assertEqual(self.outcome(new), "invalid token")
        self.issuer.publish(jwk("P-256", "one"), jwk("Ed25519", "two"))
        self.clock.advance(10)
        self.assertEqual(self.outcome(new), "chris")

    def test_no_keys(self) -> None:
        """
        Without any keys there is no decision.
        """
        self.issuer.answer = AuthError("no answer")
        token = self.token(private_key("P-256"), "ES256", {"kid": "one"})
        self.failureResultOf(self.authenticator.login(HANDSHAKE, {"token": token}), AuthError)

    def test_only_for_allowed(self) -> None:
        """
        Only a token of an allowed algorithm has the keys fetched.
        """
        self.outcome(self.token())
        self.assertEqual(self.issuer.asked, [])


class LogTests(TokenCase):
    """
    The log lines.
    """

    def test_w19_nothing_secret(self) -> None:
        """
        W19: a refused token's reason is logged, neither the token nor the secret is.
        """
        log = self.log()
        tokens = [self.token(exp=NOW - 1), self.token(algorithm="HS512"), self.token("another secret" * 5)]
        for token in tokens:
            self.login(token=token)
        self.assertEqual(len(log.lines), 3)
        self.assertEqual(log.lines[0], "AUTH_ERROR | client (192.0.2.1): token refused: expired")
        for text in (*tokens, *(token.split(".")[2] for token in tokens), SECRET):
            self.assertFalse(log.holds(text))
        self.assertNotIn(SECRET, repr(JwtSettings(secret=SECRET)))
