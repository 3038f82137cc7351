"""
Tests for L{dstwist.config.users}.
"""

from __future__ import annotations

from dstwist.config.users import StorageSettings, User
from tests.config.helpers import AuthCase

HASH = "hash: sha512, iterations: 1000, keyLength: 32"
USERS = "users: {ann: {password: secret}}"


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
        A weak digest is noted.
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
