"""
Tests for L{dstwist.config.limits}.
"""

from __future__ import annotations

from dstwist.memory_limits import usable_memory
from tests.config.helpers import ConfigCase


class LimitTests(ConfigCase):
    """
    C{limits}.
    """

    def test_limits(self) -> None:
        """
        The limits of what clients may use are taken from the file; null is none. Unasked there are only those that no
        honest client meets.
        """
        limits = self.load("{}").limits
        given = {name: value for name, value in vars(limits).items() if value is not None}
        self.assertEqual(
            {
                "max_failed_logins_per_address": 1000,
                "failed_login_window": 60.0,
                "request_login_cache_time": 10.0,
                "max_subscriptions": 100000,
                "max_subscription_bytes": usable_memory() // 8,
                "max_pending_bytes": usable_memory() // 16,
                "max_incoming_bytes": usable_memory() // 16,
                "max_http_bytes": usable_memory() // 16,
                "max_streams": 10000,
                "max_streams_per_address": 1000,
                "max_name_length": 4096,
                "close_delay": 4.0,
                "max_delayed_closes": 1000,
                "max_log_lines": 200,
                "max_log_lines_per_client": 20,
                "log_interval": 10.0,
                "max_outgoing_bytes_per_turn": 16777216,
            },
            given,
        )
        limits = self.load("limits: {maxConnections: 5, failedLoginWindow: 1500, maxSubscriptions: null}").limits
        self.assertEqual((5, 1.5, None), (limits.max_connections, limits.failed_login_window, limits.max_subscriptions))
        self.assertEqual(0.0, self.load("limits: {requestLoginCacheTime: 0}").limits.request_login_cache_time)

    def test_refused(self) -> None:
        """
        A limit that lets nothing through is refused.
        """
        self.assert_refused(
            ("limits: {maxConnections: 0}", "limits.maxConnections: expected a number from 1 to"),
        )
