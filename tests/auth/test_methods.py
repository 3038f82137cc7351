"""
From the settings to the authenticators.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.auth.file import FileAuthentication
from dstwist.auth.jwt import TokenAuthentication
from dstwist.auth.methods import build_authentication, describe
from dstwist.auth.open import OpenAuthentication
from dstwist.auth.storage import StorageAuthentication
from dstwist.auth.webhook import WebhookAuthentication
from dstwist.config.auth import JwtSettings, OpenSettings, WebhookSettings
from dstwist.config.users import FileSettings, StorageSettings, User
from dstwist.errors import ConfigError
from tests.auth.helpers import HANDSHAKE, FakeStore
from tests.auth.test_keys import pem

WEBHOOK = WebhookSettings(endpoint_url="http://hook.example/", permitted_status_codes=frozenset({200}))
JWKS = JwtSettings(algorithms=("RS256",), jwks_url="https://issuer.example/keys")


class BuildTests(SynchronousTestCase):
    """
    L{build_authentication}.
    """

    def build(self, *settings: Any, **more: Any) -> Any:
        return build_authentication(settings, MemoryReactorClock(), **more)

    def test_each(self) -> None:
        """
        Each entry becomes an authenticator of its type, in the order of the file.
        """
        chain = self.build(
            OpenSettings(),
            FileSettings(users={"ann": User("secret")}),
            StorageSettings(table="users"),
            WEBHOOK,
            JWKS,
            JwtSettings(algorithms=("HS256",), secret="x" * 32),
            JwtSettings(algorithms=("ES256",), public_key=pem("P-256")),
            storage=FakeStore(),
        )
        self.assertEqual(
            [type(part) for part in chain.authenticators],
            [OpenAuthentication, FileAuthentication, StorageAuthentication, WebhookAuthentication]
            + [TokenAuthentication] * 3,
        )

    def test_life(self) -> None:
        """
        They are started and stopped together; afterwards nothing of them is left.
        """
        reactor = MemoryReactorClock()
        chain = build_authentication((FileSettings(users={"ann": User("secret")}), WEBHOOK, JWKS), reactor)
        self.successResultOf(chain.start())
        login = self.successResultOf(chain.login(HANDSHAKE, {"username": "ann", "password": "secret"}))
        self.assertEqual(login.user, "ann")
        self.successResultOf(chain.stop())
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_impossible(self) -> None:
        """
        Problems that show only now keep the server from starting: no storage, or a key of the wrong type or strength.
        """
        for settings, words in (
            (StorageSettings(table="users"), "type storage needs a storage"),
            (JwtSettings(algorithms=("RS256",), public_key=pem("P-256")), "of the wrong type or too weak for RS256"),
            (JwtSettings(algorithms=("ES256", "ES384"), public_key=pem("P-256")), "too weak for ES384"),
            (JwtSettings(algorithms=("RS256",), public_key=pem("RSA1024")), "too weak for RS256"),
            (JwtSettings(algorithms=("RS256",), public_key="-----BEGIN X-----"), "publicKey is not a public key"),
        ):
            error = self.assertRaises(ConfigError, self.build, settings)
            self.assertIn(words, str(error))

    def test_descriptions(self) -> None:
        """
        The log says in deepstream's words who decides; of several, one a line.
        """
        self.assertEqual(describe((OpenSettings(),)), "Open Authentication")
        self.assertEqual(describe((FileSettings(),)), "File Authentication")
        self.assertEqual(
            describe((StorageSettings(table="t"), WEBHOOK, JWKS)),
            "\n\t1) Storage using table: t\n\t2) http webhook to http://hook.example/\n\t3) JSON Web Tokens",
        )
