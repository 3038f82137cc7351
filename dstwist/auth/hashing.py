"""
How passwords are kept and checked. No threads in here: what takes long is run by L{dstwist.auth.hash_pool}.

==============================  =================================================================================
stored                          what it is
==============================  =================================================================================
C{$argon2id$v=19$m=...}         argon2, with its parameters; what new passwords become
C{<base64(key)><salt>}          deepstream's, if C{hash} is configured: PBKDF2 of as many bytes as C{keyLength} says;
                                the salt is the I{text} behind the key, not what it may be the base64 form of
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

# OWASP's first choice: 46 MiB, one pass. RFC 9106's 64 MiB and three passes cost three times as much, which is a lot
# when all clients come back after a restart.
_ARGON2 = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)

# A password that nobody has, with the same cost, for users who do not exist.
_ARGON2_DECOY = "$argon2id$v=19$m=47104,t=1,p=1$2a0D5+BSjwvAvoXBVDRDRw$KPOd9kshB/421IfezmJ/LihfKi0fYcQCRQnBtsUoKI4"


def hash_argon2(password: str) -> str:
    """
    What to keep of a new password.
    """
    return _ARGON2.hash(_bytes(password))


def hash_pbkdf2(password: str, digest: str, iterations: int, key_length: int, salt: str | None = None) -> str:
    """
    What deepstream keeps of a password.

    @param salt: any text; made up if not given.
    """
    if salt is None:
        salt = base64.b64encode(secrets.token_bytes(16)).decode("ascii")
    key = hashlib.pbkdf2_hmac(digest, _bytes(password), _bytes(salt), iterations, key_length)
    return base64.b64encode(key).decode("ascii") + salt


class Passwords:
    """
    Checks and makes passwords as one C{file} or C{storage} section says.

    @ivar decoy: a stored password that matches none, and takes as long to find that out as a new one.
    """

    def __init__(self, settings: PasswordSettings) -> None:
        self._digest = settings.hash
        self._iterations = settings.iterations or 0
        self._key_length = settings.key_length or 0
        self._key_text_length = 4 * -(-self._key_length // 3)
        self.decoy = _ARGON2_DECOY if self._digest is None else "-" * self._key_text_length + "decoy"

    def is_slow(self, stored: str) -> bool:
        """
        Whether checking takes long enough to need a thread.
        """
        return self._digest is not None or stored.startswith("$argon2")

    def matches(self, password: str, stored: str) -> bool:
        """
        Whether C{stored} was made of C{password}. How long it takes tells nothing about how much of it is right.

        @raise AuthError: it cannot be found out; there is not enough memory, or C{stored} is damaged.
        """
        if stored.startswith("$argon2"):
            return _matches_argon2(password, stored)
        if self._digest is None:
            # Digests are of one length, whatever the passwords'.
            return hmac.compare_digest(*(hashlib.sha256(_bytes(text)).digest() for text in (password, stored)))
        salt = stored[self._key_text_length :]
        made = hash_pbkdf2(password, self._digest, self._iterations, self._key_length, salt)
        return hmac.compare_digest(_bytes(made), _bytes(stored))

    def make(self, password: str) -> str:
        """
        What to keep of a new user's password: in deepstream's format if C{hash} is configured.
        """
        if self._digest is None:
            return hash_argon2(password)
        return hash_pbkdf2(password, self._digest, self._iterations, self._key_length)


def _matches_argon2(password: str, stored: str) -> bool:
    # A record of the storage may have been written by anybody: its parameters must not cost minutes or all memory.
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
