"""
Tests for L{dstwist.redis.primary}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis import RedisConnectionSettings
from dstwist.config.redis_tls import RedisTlsSettings
from dstwist.errors import ConfigError
from dstwist.redis.primary import FixedPrimary, Place


class PrimaryTests(SynchronousTestCase):
    """
    A server whose address is in the configuration.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def find(self, **options: Any) -> Deferred[Place]:
        settings = RedisConnectionSettings(where="cache.options", **options)
        return Deferred.fromCoroutine(FixedPrimary(settings, self.reactor).find())

    def test_address(self) -> None:
        """
        A host and a port.
        """
        place = self.successResultOf(self.find(host="10.0.0.1", port=7000))
        self.assertEqual(place.address, "10.0.0.1:7000")
        place.endpoint.connect(Factory())
        self.assertEqual(self.reactor.tcpClients[0][1], 7000)

    def test_no_lookup(self) -> None:
        """
        An address is connected to without a lookup.
        """
        self.reactor.nameResolver = None  # type: ignore[assignment]
        for number, host in enumerate(("10.0.0.1", "fd00::1")):
            self.successResultOf(self.find(host=host, port=7000)).endpoint.connect(Factory())
            self.assertEqual(self.reactor.tcpClients[number][:2], (host, 7000))

    def test_socket(self) -> None:
        """
        The path of a unix socket.
        """
        place = self.successResultOf(self.find(path="/run/redis.sock"))
        self.assertEqual(place.address, "unix:/run/redis.sock")
        place.endpoint.connect(Factory())
        self.assertEqual(self.reactor.unixClients[0][0], "/run/redis.sock")

    def test_family(self) -> None:
        """
        Only addresses of the wanted family are looked for.
        """
        wanted: list[Any] = []

        class Resolver:
            def resolveHostName(self, receiver: Any, host: str, port: int, types: Any, semantics: str) -> None:
                wanted.append(types)

        self.reactor.nameResolver = Resolver()  # type: ignore[assignment]
        self.successResultOf(self.find(host="redis.example", family=6)).endpoint.connect(Factory())
        self.assertEqual(wanted, [[IPv6Address]])

    def test_bad_tls(self) -> None:
        """
        The error names the option.
        """
        error = self.failureResultOf(self.find(tls=RedisTlsSettings(ca="nothing")), ConfigError).value
        self.assertIn("cache.options.tls.ca", str(error))
