"""
How passwords are stored and checked. This module uses no threads; L{dstwist.auth.hash_pool} runs the slow calls.

==============================  =================================================================================
stored                          meaning
==============================  =================================================================================
C{$argon2id$v=19$m=...}         argon2 with its parameters; new passwords are stored like this by default
C{<base64(key)><salt>}          deepstream's format, if C{hash} is configured: PBKDF2, with a key of C{keyLength}
                                bytes. The salt is the I{text} behind the key; it is not decoded from base64
anything else                   the password in clear, if no C{hash} is configured
==============================  =================================================================================

Source: C{security.md} section 1.5.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from dstwist.config.users import PasswordSettings, argon2_cost, excess
from dstwist.errors import AuthError

# OWASP's first choice: 46 MiB, one pass. The 64 MiB and three passes of RFC 9106 cost three times as much, which is too
# much when all clients log in again after a restart.
_ARGON2 = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)

# A stored password that no password matches, with the same cost. Logins of unknown users are checked against it.
_ARGON2_DECOY = "$argon2id$v=19$m=47104,t=1,p=1$2a0D5+BSjwvAvoXBVDRDRw$KPOd9kshB/421IfezmJ/LihfKi0fYcQCRQnBtsUoKI4"


def hash_argon2(password: str) -> str:
    """
    The stored form of a new password.
    """
    return _ARGON2.hash(_bytes(password))


def hash_pbkdf2(password: str, digest: str, iterations: int, key_length: int, salt: str | None = None) -> str:
    """
    The stored form of a password in deepstream's format.

    @param salt: any text; by default a random one.
    """
    if salt is None:
        salt = base64.b64encode(secrets.token_bytes(16)).decode("ascii")
    key = hashlib.pbkdf2_hmac(digest, _bytes(password), _bytes(salt), iterations, key_length)
    return base64.b64encode(key).decode("ascii") + salt


class Passwords:
    """
    Checks and makes stored passwords, with the options of one C{file} or C{storage} section.

    @ivar decoy: a stored password that no password matches. Checking it takes as long as checking a new one.
    """

    def __init__(self, settings: PasswordSettings) -> None:
        self._digest = settings.hash
        self._iterations = settings.iterations or 0
        self._key_length = settings.key_length or 0
        self._key_text_length = 4 * -(-self._key_length // 3)
        self.decoy = _ARGON2_DECOY if self._digest is None else "-" * self._key_text_length + "decoy"

    def is_slow(self, stored: str) -> bool:
        """
        Whether the check of C{stored} takes so long that it needs a thread.
        """
        return self._digest is not None or stored.startswith("$argon2")

    def matches(self, password: str, stored: str) -> bool:
        """
        Whether C{stored} was made from C{password}. The time of the check does not depend on how similar they are.

        @raise AuthError: the check is not possible: there is not enough memory, or C{stored} is damaged.
        """
        if stored.startswith("$argon2"):
            return _matches_argon2(password, stored)
        if self._digest is None:
            # Digests have the same length even if the passwords do not.
            return hmac.compare_digest(*(hashlib.sha256(_bytes(text)).digest() for text in (password, stored)))
        salt = stored[self._key_text_length :]
        made = hash_pbkdf2(password, self._digest, self._iterations, self._key_length, salt)
        return hmac.compare_digest(_bytes(made), _bytes(stored))

    def make(self, password: str) -> str:
        """
        The stored form of a new user's password: in deepstream's format if C{hash} is configured.
        """
        if self._digest is None:
            return hash_argon2(password)
        return hash_pbkdf2(password, self._digest, self._iterations, self._key_length)


def _matches_argon2(password: str, stored: str) -> bool:
    # Clients may have written this record in the storage. Its parameters must not cost minutes or all memory.
    cost = argon2_cost(stored)
    if cost is None or excess(cost):
        return False
    try:
        return _ARGON2.verify(stored, _bytes(password))
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError) as error:
        raise AuthError(f"a password in argon2's format cannot be checked: {error}") from None


def _bytes(text: str) -> bytes:
    # JSON can hold half of a surrogate pair, UTF-8 cannot.
    return text.encode("utf-8", "surrogatepass")
