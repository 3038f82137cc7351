"""
Sentinels and servers that want passwords, with real servers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from dstwist.config.redis_nodes import RedisAddress
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.errors import StoreError
from dstwist.redis.link import RedisLink
from tests.e2e.certificates import Authority
from tests.e2e.test_redis_link import REFUSED, LinkTestCase
from tests.redis_groups import SentinelGroup, start_group_in_thread

USERS = ("user default off", "user ann on >secret -@all +sentinel|master")
LOGIN = {"sentinel_username": "ann", "sentinel_password": "secret"}


class LoginTests(LinkTestCase):
    """
    Three Sentinels, a primary with a password, and its replica.
    """

    async def group(self, **options: Any) -> SentinelGroup:
        group = SentinelGroup(replicas=1, sentinels=3, password="pw", **options)
        self.addCleanup(group.destroy)
        await start_group_in_thread(group)
        return group

    def follow(self, group: SentinelGroup, **options: Any) -> RedisLink:
        defaults = {
            "sentinels": tuple(RedisAddress(*address) for address in group.addresses),
            "name": group.name,
            "password": "pw",
            "reconnect_wait": 120.0,
            "probe_interval": 0.2,
            "command_timeout": 10.0,
        }
        return self.link(**{**defaults, **options})

    async def refusal(self, group: SentinelGroup, **options: Any) -> str:
        error: Any = await self.assertFailure(
            self.follow(group, connect_timeout=REFUSED, **options).start(), StoreError
        )
        return str(error)

    async def check_fail_over(self, group: SentinelGroup, **options: Any) -> None:
        """
        The link goes on with the replica when the primary is killed.
        """
        link = self.follow(group, **options)
        await link.start()
        first = group.primary
        await link.call("a", "SET", "a", 1)
        await deferToThread(first.command, "WAIT", 1, 5000)
        group.kill_primary()
        await self.until(lambda: link.problem() is not None)
        self.assertEqual(await link.call("a", "GET", "a"), b"1")
        self.assertIsNot(group.primary, first)

    async def test_password(self) -> None:
        """
        The Sentinels have a password of their own.
        """
        group = await self.group(sentinel_password="watch")
        self.assertIn("NOAUTH", await self.refusal(group))
        self.assertIn("WRONGPASS", await self.refusal(group, sentinel_password="pw"))
        await self.check_fail_over(group, sentinel_password="watch")

    async def test_user(self) -> None:
        """
        A user of the Sentinels who may ask only where the primary is.
        """
        group = await self.group(sentinel_users=USERS)
        self.assertIn("NOAUTH", await self.refusal(group))
        self.assertIn("WRONGPASS", await self.refusal(group, **{**LOGIN, "sentinel_password": "pw"}))
        self.assertIn("WRONGPASS", await self.refusal(group, **LOGIN, password="other"))
        await self.check_fail_over(group, **LOGIN)

    async def test_encrypted(self) -> None:
        """
        The same with TLS on all connections.
        """
        authority = Authority()
        directory = Path(self.mktemp())
        directory.mkdir()
        group = await self.group(sentinel_users=USERS, certificates=authority.write(directory))
        tls = RedisTlsSettings(ca=authority.pem)
        await self.check_fail_over(group, tls=tls, sentinel_tls=tls, **LOGIN)
