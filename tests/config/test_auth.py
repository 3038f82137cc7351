"""
Tests for L{dstwist.config.auth}.
"""

from __future__ import annotations

import json
from typing import Any

from dstwist.config.auth import JwtSettings, OpenSettings, WebhookSettings
from tests.config.helpers import AuthCase, ConfigCase

HASH = "hash: sha512, iterations: 1000, keyLength: 32"
USERS = "users: {ann: {password: secret}}"
HOOK = "endpointUrl: 'http://hook.example:8080/auth?x=1', permittedStatusCodes: [200], requestTimeout: 2000"
SECRET = "x" * 32
KEY = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


class WebhookTests(AuthCase):
    """
    C{http}.
    """

    def test_options(self) -> None:
        """
        The options of v2 and v3 are enough, and all that v5 and later have are taken.
        """
        found = self.load(f"{{type: http, options: {{{HOOK}}}}}")
        self.assertEqual(found, WebhookSettings("http://hook.example:8080/auth?x=1", frozenset({200}), 2.0))
        self.assertEqual((found.retry_attempts, found.retry_interval, found.retry_status_codes), (0, 1.0, frozenset()))
        more = "retryStatusCodes: [404, 504], retryAttempts: 3, retryInterval: 50, promoteToHeader: [token, X-A]"
        found = self.load(f"{{type: http, options: {{{HOOK}, {more}, reportInvalidParameters: false}}}}")
        self.assertEqual(
            (found.retry_status_codes, found.retry_attempts, found.retry_interval, found.promote_to_header),
            (frozenset({404, 504}), 3, 0.05, ("token", "X-A")),
        )
        self.assertFalse(found.report_invalid_parameters)

    def test_refused(self) -> None:
        """
        An option that cannot be used is refused with its path.
        """
        options = "{type: http, options: {%s}}"
        at = "auth.options"
        more = f"{{type: http, options: {{{HOOK}, %s}}}}"

        def url(text: str) -> str:
            return options % HOOK.replace("http://hook.example:8080/auth?x=1", text)

        self.check(
            (options % HOOK.partition(", ")[2], f"{at}.endpointUrl: Missing key endpointUrl"),
            (options % "endpointUrl: 'http://x', requestTimeout: 5", f"{at}.permittedStatusCodes: Missing key"),
            (options % HOOK.rpartition(", ")[0], f"{at}.requestTimeout: Missing key requestTimeout"),
            (url("ftp://x"), f"{at}.endpointUrl: expected an http:// or https:// URL"),
            (url("http://"), f"{at}.endpointUrl: expected an http:// or https:// URL"),
            (url("http://x:0"), f"{at}.endpointUrl: expected an http:// or https:// URL"),
            (url("http://x:99999"), f"{at}.endpointUrl: expected an http:// or https:// URL"),
            (url("http://x/a b"), f"{at}.endpointUrl: expected an http:// or https:// URL"),
            (url("http://u:p@x/"), f"{at}.endpointUrl: user names and passwords within the URL"),
            (options % HOOK.replace("[200]", "[]"), f"{at}.permittedStatusCodes: expected at least one"),
            (options % HOOK.replace("[200]", "200"), f"{at}.permittedStatusCodes: expected a list of status codes"),
            (
                options % HOOK.replace("[200]", "[20]"),
                f"{at}.permittedStatusCodes[0]: expected a number from 100 to 599",
            ),
            (options % HOOK.replace("2000", "0"), f"{at}.requestTimeout: expected a number from 1"),
            (more % "retryAttempts: -1", f"{at}.retryAttempts: expected a number from 0"),
            (more % "promoteToHeader: [Host]", f'{at}.promoteToHeader[0]: "Host" cannot be a header'),
            (more % "promoteToHeader: [content-LENGTH]", f"{at}.promoteToHeader[0]: "),
            (more % "promoteToHeader: ['a b']", f'{at}.promoteToHeader[0]: "a b" cannot be a header'),
            (more % "promoteToHeader: ['a:']", f"{at}.promoteToHeader[0]: "),
        )


class JwtTests(AuthCase):
    """
    C{jwt}.
    """

    def test_options(self) -> None:
        """
        With a secret, a public key, or the URL of published keys.
        """
        found = self.load(f"{{type: jwt, options: {{secret: {SECRET}, algorithms: [HS256]}}}}")
        self.assertEqual(found, JwtSettings(secret=SECRET, algorithms=("HS256",)))
        self.write("key.pem", KEY)
        for source in ("fileLoad(key.pem)", "key.pem", "file(key.pem)"):
            found = self.load(f"{{type: jwt, options: {{publicKey: {source}, algorithms: [RS256, EdDSA]}}}}")
            self.assertEqual((found.public_key, found.secret), (KEY, None))
        more = "audience: us, issuer: [a, b], leeway: 100, idClaim: email, serverDataClaim: roles, requireExpiry: false"
        for url in ("https://issuer.example/keys", "http://localhost:8080/", "http://127.0.0.1/", "http://[::1]/"):
            found = self.load(f"{{type: jwt, options: {{jwksUrl: '{url}', algorithms: [ES256], {more}}}}}")
            self.assertEqual(
                (found.jwks_url, found.audience, found.issuer, found.leeway), (url, ("us",), ("a", "b"), 0.1)
            )

    def test_refused(self) -> None:
        """
        Options that cannot be used, or would accept every client, are refused.
        """
        options = "{type: jwt, options: {%s}}"
        at = "auth.options"
        secret, url = f"secret: {SECRET}", "jwksUrl: 'https://x'"
        self.check(
            (options % secret, f"{at}.algorithms: Missing key algorithms"),
            (options % f"{secret}, algorithms: []", f"{at}.algorithms: expected at least one"),
            (options % f"{secret}, algorithms: [none]", f"{at}.algorithms[0]: expected one of HS256"),
            (options % f"{secret}, algorithms: [hs256]", f"{at}.algorithms[0]: expected one of HS256"),
            (options % "algorithms: [HS256]", f"{at}: expected exactly one of secret, publicKey, jwksUrl"),
            (options % f"{secret}, {url}, algorithms: [HS256]", f"{at}: expected exactly one of"),
            (options % f"{secret}, algorithms: [HS256, RS256]", f"{at}.algorithms: with a secret, only HS256"),
            (options % f"{url}, algorithms: [RS256, HS256]", f"{at}.algorithms: HS256 needs a secret"),
            (options % f"publicKey: {json.dumps(KEY)}, algorithms: [HS512]", f"{at}.algorithms: HS512 needs a secret"),
            (options % f"secret: {json.dumps(KEY)}, algorithms: [HS256]", f"{at}.secret: this is a PEM file"),
            (options % "secret: short, algorithms: [HS256]", f"{at}.secret: too short; at least 32 bytes"),
            (options % f"{secret}, algorithms: [HS256, HS512]", f"{at}.secret: too short; at least 64 bytes"),
            (options % "publicKey: no.pem, algorithms: [RS256]", f"{at}.publicKey: cannot read"),
            (options % "jwksUrl: 'http://x/', algorithms: [RS256]", f"{at}.jwksUrl: must start with https://"),
        )


class SectionTests(ConfigCase):
    """
    The section as a whole.
    """

    def test_auth(self) -> None:
        """
        Open authentication is a list or, as in v4, a single section.
        """
        for content in ("auth: [{type: none}]", "auth: {type: none, options: {}}"):
            self.assertEqual((OpenSettings(),), self.load(content).auth)

    def test_refused(self) -> None:
        """
        A section that does not say clearly who may log in is refused.
        """
        self.assert_refused(
            (
                "auth: {type: nome}",
                "auth.type: Unknown authentication type nome: expected one of none, file, storage, http, jwt, "
                'certificate, got "nome"; did you mean none?',
            ),
            ("auth: []", "auth: No authentication type specified"),
            ("auth: [null]", "auth[0].type: missing; say none if that is what is meant"),
            ("auth: ${AUTH}", "auth.type: missing; say none if that is what is meant"),
        )


class ChainTests(AuthCase):
    """
    Several of them.
    """

    def test_report(self) -> None:
        """
        C{reportInvalidParameters} is true for one alone, and false for each of several where nothing else is said.
        """
        entry = f"{{type: file, options: {{{USERS}%s}}}}"
        self.assertTrue(self.load(f"[{entry % ''}]").report_invalid_parameters)
        self.assertTrue(self.load(entry % "").report_invalid_parameters)
        found: Any = self.settings(f"[{entry % ''}, {entry % ', reportInvalidParameters: true'}, {{type: none}}]").auth
        self.assertEqual([part.report_invalid_parameters for part in found[:2]], [False, True])
        self.assertEqual(found[2], OpenSettings())

    def test_unknown(self) -> None:
        """
        An entry that is wrong is told by its place in the list, whatever else is wrong.
        """
        problem = self.refused("[{type: none}, {type: ldap}, {type: none, option: {}}, 5]")
        self.assertIn("auth[1].type: Unknown authentication type ldap", problem)
        self.assertIn("auth[2].option: unknown option; did you mean options?", problem)
        self.assertIn("auth[3]: expected a section", problem)
