"""
Tests for L{dstwist.transports.origins}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.http_server import HttpSettings
from dstwist.transports.origins import Origins, Refusal, check_preflight

SHOP = "https://shop.example"
NO_ORIGIN = Refusal(403, 'CORS is configured for this. All requests must set a valid "Origin" header.')


def forbidden(origin: str) -> Refusal:
    return Refusal(403, f'Origin "{origin}" is forbidden.')


def some(**settings: Any) -> Origins:
    """
    Only one shop may.
    """
    return Origins(HttpSettings(allow_all_origins=False, origins=(SHOP,), **settings))


class OriginTests(SynchronousTestCase):
    """
    Pages and where they are from.
    """

    def test_all(self) -> None:
        """
        Unasked, every page may use the server, and is told so.
        """
        origins = Origins(HttpSettings(host_url="a.example"))
        for origin in (None, SHOP, "null"):
            self.assertIsNone(origins.check(origin, None, None))
            self.assertIsNone(origins.check_upgrade(origin, None))
            self.assertEqual(origins.headers(origin, None), {"Access-Control-Allow-Origin": "*"})

    def test_some(self) -> None:
        """
        Otherwise the origin must be in the list, to the letter; without one, the Referer is taken for it.
        """
        origins = some()
        for origin, referer, refusal in [
            (SHOP, None, None),
            (SHOP, "https://evil.example", None),
            (None, SHOP, None),
            (None, None, NO_ORIGIN),
            (None, SHOP + "/cart", forbidden(SHOP + "/cart")),
            ("https://evil.example", SHOP, forbidden("https://evil.example")),
            (SHOP + ":443", None, forbidden(SHOP + ":443")),
            ("null", None, forbidden("null")),
            ("", SHOP, forbidden("")),
        ]:
            self.assertEqual(origins.check(origin, referer, "h"), refusal, (origin, referer))

    def test_headers(self) -> None:
        """
        An allowed origin is named in the answer, which caches may keep for this origin only.
        """
        self.assertEqual(
            some().headers(SHOP, None),
            {"Access-Control-Allow-Origin": SHOP, "Access-Control-Allow-Credentials": "true", "Vary": "Origin"},
        )
        self.assertEqual(some().headers(None, SHOP)["Access-Control-Allow-Origin"], SHOP)

    def test_host(self) -> None:
        """
        With hostUrl, the Host header must be that.
        """
        origins = some(host_url="api.example:6020")
        self.assertIsNone(origins.check(SHOP, None, "api.example:6020"))
        for host in (None, "api.example", "API.example:6020"):
            self.assertEqual(origins.check(SHOP, None, host), Refusal(403, "Forbidden Host."))
            self.assertEqual(origins.check_upgrade(SHOP, host), Refusal(403, "Forbidden Host."))

    def test_w13_web_sockets(self) -> None:
        """
        W13: WebSockets of other pages are refused, those of no page at all are not.
        """
        origins = some()
        self.assertIsNone(origins.check_upgrade(SHOP, None))
        self.assertIsNone(origins.check_upgrade(None, None))
        self.assertEqual(origins.check_upgrade("https://evil.example", None), forbidden("https://evil.example"))
        self.assertIsNone(some(check_websocket_origin=False).check_upgrade("https://evil.example", None))


class PreflightTests(SynchronousTestCase):
    """
    Requests of browsers about a request that they are about to make.
    """

    def test_allowed(self) -> None:
        """
        The methods and headers that the HTTP API needs are allowed, however they are spelled.
        """
        for method in ("GET", "POST", "OPTIONS"):
            self.assertIsNone(check_preflight(method, "content-type"))
        self.assertIsNone(check_preflight("POST", "X-Requested-With, x-http-method-override ,ACCEPT,Content-Type"))

    def test_refused(self) -> None:
        """
        Others are not, and the answer says which are.
        """
        supported = "Supported headers: X-Requested-With, X-HTTP-Method-Override, Content-Type, Accept"
        for method, headers, refusal in [
            (None, None, (400, 'Missing header "Access-Control-Request-Method".')),
            ("PUT", None, (403, "Method PUT is forbidden. Supported methods: GET, POST, OPTIONS")),
            ("post", "Accept", (403, "Method post is forbidden. Supported methods: GET, POST, OPTIONS")),
            ("POST", None, (400, 'Missing header "Access-Control-Request-Headers".')),
            ("POST", "Accept, Authorization", (403, f"Header  Authorization is forbidden. {supported}")),
            ("POST", "", (403, f"Header  is forbidden. {supported}")),
        ]:
            self.assertEqual(check_preflight(method, headers), refusal)
