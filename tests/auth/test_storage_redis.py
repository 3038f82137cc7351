"""
Users who are records in a real Redis.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from dstwist.auth.storage import StorageAuthentication
from dstwist.config.users import StorageSettings
from dstwist.interfaces import Login
from tests.auth.helpers import HANDSHAKE, DirectPool
from tests.store.redis_stage import RedisTestCase


class RedisUserTests(RedisTestCase):
    """
    A storage in a Redis.
    """

    def setUp(self) -> None:
        super().setUp()
        settings = StorageSettings(table="users", create_user=True, hash="md5", iterations=10, key_length=16)
        pool: Any = DirectPool()
        self.authenticator = StorageAuthentication(settings, self.started(self.make()), pool, self.reactor)

    def login(self, password: str) -> Login:
        asked: Deferred[Login] = self.authenticator.login(HANDSHAKE, {"username": "ann", "password": password})
        login: Login = self.result(asked)
        return login

    def test_login(self) -> None:
        """
        A user is made at the first login, and can log in again only with the same password.
        """
        self.assertTrue(self.login("secret").accepted)
        self.assertEqual(b"1", self.server.command("GET", "users/ann_v"))
        self.assertTrue(self.login("secret").accepted)
        self.assertFalse(self.login("wrong").accepted)
