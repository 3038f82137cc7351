"""
Tests for L{dstwist.transports.forwarded}.
"""

from __future__ import annotations

import ipaddress

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports.forwarded import LOCAL, Proxies, address_of


def proxies(*trusted: str) -> Proxies:
    return Proxies([text if text == "unix" else ipaddress.ip_network(text) for text in trusted])


class ProxiesTests(SynchronousTestCase):
    """
    Clients behind proxies.
    """

    def test_w13_not_trusted(self) -> None:
        """
        W13: what a client says about its own address is not believed.
        """
        for trusted in ((), ("10.0.0.1",), ("unix",)):
            self.assertEqual(proxies(*trusted).client("192.0.2.1", "203.0.113.9"), "192.0.2.1")

    def test_chain(self) -> None:
        """
        The client is the right-most address that is no trusted proxy; what stands to its left is what it says itself.
        """
        trusted = proxies("10.0.0.0/8", "2001:db8::/32", "unix")
        for peer, forwarded, client in [
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "10.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.1", "127.0.0.1,203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("2001:db8::1", "2001:470::7", "2001:470::7"),
            ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
            (LOCAL, "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", None, "10.0.0.1"),
        ]:
            self.assertEqual(trusted.client(peer, forwarded), client, (peer, forwarded))

    def test_ports(self) -> None:
        """
        Ports behind the addresses, which some proxies add, are left out.
        """
        trusted = proxies("10.0.0.1")
        for text in ("203.0.113.9:50000", " 203.0.113.9 "):
            self.assertEqual(trusted.client("10.0.0.1", text), "203.0.113.9")
        for text in ("[2001:470::7]:50000", "[2001:470::7]", "2001:470::7"):
            self.assertEqual(trusted.client("10.0.0.1", text), "2001:470::7")

    def test_nonsense(self) -> None:
        """
        Where there is no address, the last one that is known is the client.
        """
        trusted = proxies("10.0.0.0/8")
        for text in (
            "",
            "unknown",
            "_hidden",
            "203.0.113.9, unknown",
            "a\xff\x00",
            "1.2.3",
            ",",
            "[",
            "::::",
            "10.0.0.1/8",
        ):
            self.assertEqual(trusted.client("10.0.0.1", text), "10.0.0.1", text)
        self.assertEqual(trusted.client("10.0.0.1", "unknown, 10.0.0.2"), "10.0.0.2")

    def test_long(self) -> None:
        """
        Only the end of a very long list is looked at.
        """
        self.assertEqual(proxies("10.0.0.0/8").client("10.0.0.1", "203.0.113.9" + ", 10.0.0.2" * 1000), "10.0.0.2")


class AddressTests(SynchronousTestCase):
    """
    The address of the other end.
    """

    def test_address_of(self) -> None:
        """
        An address of IP, or that it is a UNIX socket.
        """
        self.assertEqual(address_of(StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 1))), "192.0.2.1")
        self.assertEqual(address_of(StringTransport(peerAddress=UNIXAddress("/run/x"))), LOCAL)
