"""
Tests for L{dstwist.transports.head}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports.head import Head


class HeadTests(SynchronousTestCase):
    """
    The parts of a head that are read. Paths and upgrades are tested with the shared port.
    """

    def test_headers(self) -> None:
        """
        The headers that matter are found, however their names are spelled.
        """
        head = Head(
            b"GET /a HTTP/1.1\r\nHOST: a.example\r\norigin:https://b.example \r\nX-Forwarded-For: 192.0.2.1\r\n"
            b"Referer: c\r\nx-forwarded-for:192.0.2.2"
        )
        self.assertEqual((head.host, head.origin), ("a.example", "https://b.example"))
        self.assertEqual(head.forwarded, "192.0.2.1, 192.0.2.2")
        self.assertIsNone(head.web_socket)

    def test_missing(self) -> None:
        """
        Missing headers are C{None}; a header without a value is not missing.
        """
        head = Head(b"GET /a HTTP/1.1\r\nOrigin:")
        self.assertEqual((head.host, head.origin, head.forwarded), (None, "", None))

    def test_nonsense(self) -> None:
        """
        Whatever the bytes are, there is a head.
        """
        for data in (b"", b"\r\n\r\n", b":", b"\xff\xfe: \x00", b"a\r\n:b\r\nOrigin: \xff"):
            Head(data)
