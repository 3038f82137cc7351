"""
Tests for L{dstwist.protocol.closing}.
"""

from __future__ import annotations

from autobahn.websocket.protocol import WebSocketProtocol
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import closing


class CodeTests(SynchronousTestCase):
    """
    The codes of close frames.
    """

    def test_sendable(self) -> None:
        """
        Each code has one meaning, and may stand in a close frame (RFC 6455, section 7.4.1).
        """
        codes = [value for name, value in vars(closing).items() if name.isupper()]
        self.assertEqual(len(codes), len(set(codes)))
        for code in codes:
            self.assertIn(code, WebSocketProtocol.CLOSE_STATUS_CODES_ALLOWED)
