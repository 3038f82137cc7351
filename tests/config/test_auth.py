"""
What C{auth} may say. L{tests.test_config} has what holds for all sections.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.auth import JwtSettings, OpenSettings, WebhookSettings
from dstwist.config.load import load, load_hashing
from dstwist.config.settings import Settings
from dstwist.config.users import FileSettings, PasswordSettings, StorageSettings, User
from dstwist.errors import ConfigError
from tests.config.helpers import without_places

HASH = "hash: sha512, iterations: 1000, keyLength: 32"
USERS = "users: {ann: {password: secret}}"
HOOK = "endpointUrl: 'http://hook.example:8080/auth?x=1', permittedStatusCodes: [200], requestTimeout: 2000"
SECRET = "x" * 32
KEY = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


class AuthCase(SynchronousTestCase):
    """
    A configuration file with an C{auth} section.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def settings(self, auth: str) -> Settings:
        return load(self.write("config.yml", f"auth: {auth}"), {})

    def load(self, auth: str) -> Any:
        """
        The one authenticator of that section.
        """
        (found,) = self.settings(auth).auth
        return found

    def refused(self, auth: str) -> str:
        return without_places(str(self.assertRaises(ConfigError, self.settings, auth)))

    def check(self, *cases: tuple[str, str]) -> None:
        """
        Each of these sections is refused with these words.
        """
        for auth, words in cases:
            problem = self.refused(auth)
            self.assertTrue(problem.startswith(words), f"{auth}\nsays: {problem}\nnot:  {words}")


class FileTests(AuthCase):
    """
    C{file}.
    """

    def test_users(self) -> None:
        """
        Users come from the file with their data, whether it is loaded or, as in v4, named by C{path}.
        """
        self.write("users.yml", "ann: {password: secret, serverData: {a: 1}, clientData: [2]}\nbob: {password: '5'}\n")
        users = {"ann": User("secret", [2], {"a": 1}), "bob": User("5")}
        for options in ("users: fileLoad(users.yml)", "path: users.yml", "path: ./users.yml"):
            self.assertEqual(self.load(f"{{type: file, options: {{{options}}}}}").users, users)

    def test_hash(self) -> None:
        """
        The digest is known by its names in OpenSSL; false, nothing and null stand for passwords in clear.
        """
        for name, digest in (
            ("sha512", "sha512"),
            ("SHA512", "sha512"),
            ("RSA-SHA256", "sha256"),
            ("sha256WithRSAEncryption", "sha256"),
            ("ssl3-md5", "md5"),
            ("sha3-256", "sha3-256"),
            ("ripemd160", "ripemd160"),
            ("blake2b512", "blake2b512"),
            ("sm3", "sm3"),
        ):
            found = self.load(f"[{{type: file, options: {{{USERS}, {HASH.replace('sha512', name)}}}}}]")
            self.assertEqual((found.hash, found.iterations, found.key_length), (digest, 1000, 32))
        for nothing in ("false", "null", "", "''", '"${NOTHING}"'):
            found = self.load(f"[{{type: file, options: {{{USERS}, hash: {nothing}}}}}]")
            self.assertIsNone(found.hash)

    def test_weak(self) -> None:
        """
        A weak digest is noted, since nobody would choose it today.
        """
        for name, weak in (("md5", True), ("sha1", True), ("sha512", False)):
            notes = self.settings(f"[{{type: file, options: {{{USERS}, {HASH.replace('sha512', name)}}}}}]").notes
            self.assertEqual(any(f"{name} is weak" in note for note in notes), weak)

    def test_refused(self) -> None:
        """
        What cannot be used is refused, with its place.
        """
        options = "{type: file, options: {%s}}"
        at = "auth.options"
        user = options % "users: {ann: %s}"
        self.check(
            (options % "", f"{at}: expected the users, as users: fileLoad(users.yml)"),
            (options % f"{USERS}, path: x", f"{at}: expected the users"),
            (options % "path: missing.yml", f"{at}.path: cannot load"),
            (options % "path: 5", f"{at}.path: expected a text, got 5"),
            (options % "users: {}", f"{at}.users: no users present in user file"),
            (options % "users: ", f"{at}.users: no users present in user file"),
            (options % "users: [ann]", f"{at}.users: expected a section"),
            (user % "", f"{at}.users.ann.password: missing password for ann"),
            (user % "{}", f"{at}.users.ann.password: missing password for ann"),
            (user % "{password: ''}", f"{at}.users.ann.password: missing password for ann"),
            (user % "{password: 12345}", f"{at}.users.ann.password: missing password for ann; a number needs quotes"),
            (user % "{password: [a]}", f"{at}.users.ann.password: missing password for ann"),
            (user % "secret", f"{at}.users.ann: expected a section"),
            (user % "{password: $argon2id$nonsense}", f"{at}.users.ann.password: not in argon2's format"),
            (
                user % "{password: '$argon2id$v=19$m=9999999,t=1,p=1$YWFh$YWFh'}",
                f"{at}.users.ann.password: argon2 with m=9999999; expected a number from 1 to 1048576",
            ),
            (options % 'users: {"a\\nb": {password: x}}', f'{at}.users["a\\nb"]: a user\'s name must be printable'),
            (options % 'users: {"": {password: x}}', f'{at}.users[""]: a user\'s name must be printable'),
            (options % f"{USERS}, hash: sha-bang", f'{at}.hash: Unknown Hash "sha-bang"'),
            (options % f"{USERS}, hash: true", f"{at}.hash: expected a text, got true"),
            (options % f"{USERS}, hash: md5, keyLength: 32", f"{at}.iterations: Missing key iterations"),
            (options % f"{USERS}, hash: md5, iterations: 5", f"{at}.keyLength: Missing key keyLength"),
            (options % f"{USERS}, hash: md5, iterations: x, keyLength: 5", f"{at}.iterations: expected a whole number"),
            (options % f"{USERS}, iterations: 0", f"{at}.iterations: expected a number from 1 to 10000000"),
            (options % f"{USERS}, iterations: 10000001", f"{at}.iterations: expected a number from 1 to 10000000"),
            (
                options % f"{USERS}, hash: md5, iterations: 10000000, keyLength: 32",
                f"{at}.iterations: with this keyLength at most 5000000",
            ),
            (options % f"{USERS}, keyLength: 1025", f"{at}.keyLength: expected a number from 1 to 1024"),
            (
                options % f"{USERS}, maxConcurrentHashes: 65",
                f"{at}.maxConcurrentHashes: expected a number from 1 to 64",
            ),
            (options % f"{USERS}, itreations: 5", f"{at}.itreations: unknown option; did you mean iterations?"),
        )

    def test_slip_in_entry(self) -> None:
        """
        A key of an entry that means nothing is noted: older files may have some.
        """
        notes = self.settings("{type: file, options: {users: {ann: {password: x, serverdata: 5}}}}").notes
        self.assertIn(
            "CONFIG | auth.options.users.ann.serverdata has no meaning; did you mean serverData?",
            notes,
        )

    def test_useless_passwords(self) -> None:
        """
        Passwords in clear are noted, and where they should be hashed, those that cannot be; hashed ones are not.
        """
        argon2 = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2g"
        hashed = "rCOSZxJrgze2AZdVQh12c6ErDMOG0M+Rx5Yu7S5d91c=GS4SbTQYmoaGwjm2shEobg=="
        users = f"users: {{new: {{password: '{argon2}'}}, old: {{password: {hashed}}}, bad: {{password: secret}}}}"

        def notes(options: str) -> list[str]:
            found = self.settings(f"{{type: file, options: {{{options}}}}}").notes
            return [note for note in found if "password" in note and "is weak" not in note]

        self.assertEqual(
            notes(f"{users}, hash: md5, iterations: 100, keyLength: 32"),
            ["CONFIG | auth.options.users.bad.password is no hash of 32 bytes; it matches no password"],
        )
        self.assertEqual(notes(users), ["CONFIG | auth.options.users: passwords in clear: 2; see dstwist hash"])
        self.assertEqual(notes(f"users: {{new: {{password: '{argon2}'}}}}"), [])
        self.assertNotIn("secret", str(notes(users)))

    def test_all_users(self) -> None:
        """
        One start tells all that is wrong with the users.
        """
        problem = self.refused("{type: file, options: {users: {ann: {}, bob: {password: 5}, cat: {password: x}}}}")
        self.assertIn("2 problems", problem)


class StorageTests(AuthCase):
    """
    C{storage}.
    """

    def test_options(self) -> None:
        """
        Its options; one that examples have and that never meant anything is passed over.
        """
        found = self.load(f"{{type: storage, options: {{table: u, createUser: true, tableSplitChar: '/', {HASH}}}}}")
        self.assertEqual(found, StorageSettings("sha512", 1000, 32, table="u", create_user=True))

    def test_refused(self) -> None:
        """
        What cannot be used is refused, with its place.
        """
        options = "{type: storage, options: {%s}}"
        self.check(
            (options % "", "auth.options.table: Missing key table"),
            (options % "table: ''", "auth.options.table: expected a text, got an empty one"),
            (options % 'table: "a\\x1fb"', "auth.options.table: expected a text without control characters"),
            (options % "table: u, createUser: 1", "auth.options.createUser: expected true or false"),
            (options % "table: u, hash: md5", "auth.options.iterations: Missing key iterations"),
            (options % f"table: u, {USERS}", "auth.options.users: unknown option"),
        )


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
        What cannot be used is refused, with its place.
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
        What cannot be used, and what would let everybody in, is refused.
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


class HashingTests(AuthCase):
    """
    What C{dstwist hash} wants to know.
    """

    def hashing(self, text: str) -> Any:
        return load_hashing(self.write("config.yml", text), {"DIGEST": "sha256"})

    def test_found(self) -> None:
        """
        The first section with passwords says it, whatever else is wrong with the file or missing.
        """
        for auth in (
            "{type: file, options: {users: fileLoad(no.yml), hash: '${DIGEST}', iterations: 5, keyLength: 6}}",
            "[{type: none}, {type: storage, options: {hash: sha256, iterations: 5, keyLength: 6}}, {type: file}]",
        ):
            found = self.hashing(f"auth: {auth}\nlogLevel: nonsense\nwhat: ever\n")
            self.assertEqual(found, PasswordSettings("sha256", 5, 6))
        self.assertIsNone(self.hashing("auth: {type: file}").hash)

    def test_not_found(self) -> None:
        """
        There may be no such section.
        """
        for text in ("", "auth: [{type: http}]", "auth: {type: none}", "auth: 5", "auth: [5, null]"):
            self.assertIsNone(self.hashing(text))

    def test_wrong(self) -> None:
        """
        What is wrong with it is told.
        """
        for options in ("hash: md5", "hash: nonsense", "hash: md5, iterations: 0, keyLength: 5"):
            with self.assertRaises(ConfigError):
                self.hashing(f"auth: {{type: file, options: {{{options}}}}}")
        self.assertIsInstance(FileSettings(), PasswordSettings)
