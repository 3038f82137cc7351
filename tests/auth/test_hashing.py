"""
Passwords in all the forms they are kept in.
"""

from __future__ import annotations

import base64
import hmac
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.auth import hashing
from dstwist.auth.hashing import Passwords, hash_argon2, hash_pbkdf2
from dstwist.config.users import FileSettings, argon2_cost
from dstwist.errors import AuthError

SHIPPED_SALT = "GS4SbTQYmoaGwjm2shEobg=="
SALT = "AAECAwQFBgcICQoLDA0ODw=="

# What deepstream makes of "password": C{security.md} section 1.5.
VECTORS = (
    ("md5", 100, 32, SALT, "zociFOTzBBNSv3YrZpn6L9vQcZewOlhCjtLPKRUeWGs=" + SALT),
    ("sha512", 100, 32, SALT, "1ASb8EfoXuO/gSOxnQgJjI8I12hMx3r+MFBRxnY4Tf8=" + SALT),
    ("sha256", 1, 24, SALT, "b95fnMgPMvrUwm9mszjWEHJ98479ItjiAAECAwQFBgcICQoLDA0ODw=="),
    (
        "md5",
        100,
        32,
        "GS4SbTQYmoaGwjm2shEobg==",
        "rCOSZxJrgze2AZdVQh12c6ErDMOG0M+Rx5Yu7S5d91c=GS4SbTQYmoaGwjm2shEobg==",
    ),
)
CHEAP = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$"


def passwords(**settings: Any) -> Passwords:
    return Passwords(FileSettings(**settings))


def md5_100() -> Passwords:
    return passwords(hash="md5", iterations=100, key_length=32)


class LegacyTests(SynchronousTestCase):
    """
    deepstream's format.
    """

    def test_vectors(self) -> None:
        """
        We make what deepstream makes, and know it again.
        """
        for digest, iterations, length, salt, stored in VECTORS:
            self.assertEqual(hash_pbkdf2("password", digest, iterations, length, salt), stored)
            checker = passwords(hash=digest, iterations=iterations, key_length=length)
            self.assertTrue(checker.matches("password", stored))
            self.assertFalse(checker.matches("Password", stored))
            self.assertFalse(checker.matches("", stored))

    def test_more_entries(self) -> None:
        """
        Other entries found in the wild.
        """
        for password, stored in (
            ("userAPass", "CKgFpPLJX1+FezZR8bMsP+8wQR+WG0z7AZYRy9nz5KY=DzI79/e3yJ0Y0UvNENMXaQ=="),
            ("userBPass", "jHPg24EDs9SKHALytrfaoEvDyz7wJgSVEY0ANaw/LgA=m5Ilfg/3+yN5j38tx8cBfA=="),
        ):
            self.assertTrue(md5_100().matches(password, stored))
            self.assertFalse(md5_100().matches(password + "x", stored))

    def test_new(self) -> None:
        """
        A new one has a salt of its own, of 16 bytes.
        """
        first, second = md5_100().make("päss\ud83d"), md5_100().make("päss\ud83d")
        self.assertNotEqual(first, second)
        self.assertEqual(len(base64.b64decode(first[44:])), 16)
        for stored in (first, second):
            self.assertTrue(md5_100().matches("päss\ud83d", stored))

    def test_odd_salts(self) -> None:
        """
        The salt is the text behind the key, whatever it is: none at all, or no base64.
        """
        for salt in ("", "x", "not base64, é"):
            stored = hash_pbkdf2("password", "md5", 100, 32, salt)
            self.assertTrue(md5_100().matches("password", stored))

    def test_mutilated(self) -> None:
        """
        A text that is too short to be a key matches no password.
        """
        for stored in ("", "=", VECTORS[0][4][:43], "x" * 44):
            self.assertFalse(md5_100().matches("password", stored))
            self.assertFalse(md5_100().matches("", stored))


class Argon2Tests(SynchronousTestCase):
    """
    The format of new passwords.
    """

    def test_new(self) -> None:
        """
        A new password is hashed by argon2id with the parameters OWASP recommends, and known again whatever hash is
        configured for the older ones.
        """
        stored = hash_argon2("password")
        self.assertTrue(stored.startswith("$argon2id$"))
        self.assertEqual(argon2_cost(stored), {"m": 47104, "t": 1, "p": 1})
        for checker in (passwords(), md5_100()):
            self.assertTrue(checker.matches("password", stored))
            self.assertFalse(checker.matches("passwore", stored))
        self.assertEqual(argon2_cost(passwords().make("password")), argon2_cost(stored))

    def test_costly(self) -> None:
        """
        An entry that asks for more memory or time than any honest one is not even tried. In a storage, it could have
        been put there by anybody.
        """
        tried: list[str] = []
        self.patch(hashing, "_ARGON2", type("Fake", (), {"verify": lambda self, stored, _: tried.append(stored)})())
        for cost in ("m=4194304,t=1,p=1", "m=8,t=100000,p=1", "m=8,t=1,p=9999", "m=0,t=1,p=1"):
            stored = f"$argon2id$v=19${cost}$c29tZXNhbHQ$c29tZWhhc2g"
            self.assertFalse(passwords().matches("password", stored))
        self.assertEqual(tried, [])

    def test_mutilated(self) -> None:
        """
        A text that only resembles argon2's format matches no password, not even itself in clear.
        """
        for stored in ("$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$!$!", CHEAP, "$argon2"):
            self.assertFalse(passwords().matches(stored, stored))

    def test_damaged(self) -> None:
        """
        An entry that argon2 can make nothing of is the operator's business, not a wrong password.
        """
        with self.assertRaises(AuthError):
            passwords().matches("password", CHEAP + "AA")


class ClearTests(SynchronousTestCase):
    """
    Passwords in clear.
    """

    def test_clear(self) -> None:
        """
        Without a digest, what is stored is the password.
        """
        self.assertTrue(passwords().matches("pässword", "pässword"))
        for wrong in ("", "p", "pässwor", "pässwordd", "\ud800"):
            self.assertFalse(passwords().matches(wrong, "pässword"))

    def test_speed(self) -> None:
        """
        Only hashed ones need a thread.
        """
        self.assertFalse(passwords().is_slow("password"))
        self.assertTrue(passwords().is_slow(CHEAP))
        self.assertTrue(md5_100().is_slow("password"))


class TimingTests(SynchronousTestCase):
    """
    How long it takes tells nothing.
    """

    def test_constant_time(self) -> None:
        """
        Digests are compared by a function made for it, in full length, in every format of our own.
        """
        compared: list[tuple[bytes, bytes]] = []

        def compare(one: bytes, other: bytes) -> bool:
            compared.append((one, other))
            return one == other

        self.patch(hmac, "compare_digest", compare)
        self.assertFalse(md5_100().matches("x", VECTORS[0][4]))
        self.assertFalse(passwords().matches("x", "a longer one"))
        self.assertEqual([(len(one), len(other)) for one, other in compared], [(68, 68), (32, 32)])

    def test_decoy(self) -> None:
        """
        The decoy is as costly as what is made, and no password matches it.
        """
        self.assertEqual(argon2_cost(passwords().decoy), {"m": 47104, "t": 1, "p": 1})
        self.assertFalse(passwords().matches("decoy", passwords().decoy))
        self.assertFalse(md5_100().matches("decoy", md5_100().decoy))
        self.assertGreater(len(md5_100().decoy), 44)
