"""
Tests for L{dstwist.limits.addresses}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.addresses import key_of


class KeyTests(SynchronousTestCase):
    """
    L{key_of}.
    """

    def test_network(self) -> None:
        """
        All addresses of an IPv6 network of 64 bits have the same key, whatever their zone.
        """
        self.assertEqual(key_of("2001:db8:1:2:3:4:5:6"), key_of("2001:db8:1:2::9"))
        self.assertNotEqual(key_of("2001:db8:1:2::9"), key_of("2001:db8:1:3::9"))
        self.assertEqual(key_of("fe80::1%eth0"), key_of("fe80::2"))

    def test_ipv4(self) -> None:
        """
        An IPv4 address is its own key, also when it is written as IPv6.
        """
        for address in ("192.0.2.1", "::ffff:192.0.2.1"):
            self.assertEqual(key_of(address), "192.0.2.1")

    def test_unix_socket(self) -> None:
        """
        Clients at a UNIX socket have no key.
        """
        self.assertIsNone(key_of("local"))

    def test_other(self) -> None:
        """
        Text with colons that is not an address is its own key.
        """
        self.assertEqual(key_of("a:b"), "a:b")
