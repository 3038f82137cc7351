"""
Tests for L{dstwist.config.redis_tls}.
"""

from __future__ import annotations

from dstwist.config.redis_tls import RedisTlsSettings
from tests.config.helpers import RedisCase

PEM = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"


class TlsTests(RedisCase):
    """
    C{tls} of a Redis.
    """

    def test_on(self) -> None:
        """
        TLS is switched on by true or by a section, which may be empty; certificates are texts or files.
        """
        for tls in ("true", "{}"):
            self.assertEqual(RedisTlsSettings(), self.redis(f"{{tls: {tls}}}").tls)
        self.write("ca.pem", PEM)
        found = self.redis(
            "{tls: {ca: ca.pem, servername: redis.example, rejectUnauthorized: false, minVersion: TLSv1.3}}"
        ).tls
        self.assertEqual((PEM, "redis.example", False), (found.ca, found.servername, found.reject_unauthorized))
        notes = self.load("cache: {type: redis, options: {tls: {rejectUnauthorized: false}}}").notes
        self.assertEqual(
            1, sum("rejectUnauthorized: the certificate of Redis is not verified" in note for note in notes)
        )

    def test_refused(self) -> None:
        """
        Options that are unknown, and a certificate without its key, are refused.
        """
        self.refused(
            ("{tls: {cert: c.pem}}", ".tls.cert: cannot read"),
            ("{tls: {x: 1}}", ".tls.x: unknown option"),
            ("{tls: RedisCloudFixed}", ".tls: expected a section"),
        )
        self.write("c.pem", PEM)
        self.refused(("{tls: {cert: c.pem}}", ".tls.key: missing; a certificate of the client needs both"))
