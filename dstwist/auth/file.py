"""
The users of users.yml log in by password: C{auth: [{type: file, options: {users: fileLoad(users.yml)}}]}.

=============================  =====================================  ==========================================
the client sends               reportInvalidParameters                otherwise
=============================  =====================================  ==========================================
no text as name or password    refused, C{{"error": "missing ..."}}   next authenticator
an unknown user                next authenticator                     next authenticator
the wrong password             refused                                next authenticator
the right one                  accepted, with the entry's clientData (C{null} if it has none) and serverData
=============================  =====================================  ==========================================

The reply to an unknown user takes as long as the reply to a known one: the password is checked against another entry.
Source: C{security.md} section 1.5.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from zope.interface import implementer

from dstwist.auth.credentials import name_and_password, refusal
from dstwist.auth.hash_pool import HashPool
from dstwist.auth.hashing import Passwords
from dstwist.config.users import FileSettings, User
from dstwist.interfaces import HandshakeData, IAuthenticator, ILifecycle, Login
from dstwist.protocol.jsontext import dumps

_MISSING = "missing authentication parameter: username or/and password"


@implementer(IAuthenticator, ILifecycle)
class FileAuthentication:
    """
    Accepts the users of the configuration.
    """

    def __init__(self, settings: FileSettings, pool: HashPool, passwords: Passwords | None = None) -> None:
        self._report = settings.report_invalid_parameters
        self._longest = settings.max_password_length
        self._closes_removed = settings.close_removed_users
        self._passwords = passwords or Passwords(settings)
        self._pool = pool
        self._secret = secrets.token_bytes(16)
        self.replace(settings.users)

    def start(self) -> Deferred[None]:
        self._pool.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return self._pool.stop()

    def replace(self, users: Mapping[str, User]) -> None:
        """
        Replace the users. A login that has begun is checked against the old users. Connections are not closed here
        (L{dstwist.auth.reload} does that).
        """
        # One assignment, so that no login sees the names of one file with the entries of the other.
        self._table = (dict(users), list(users.values()))

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        name, password = name_and_password(credentials)
        if name is None or password is None:
            return succeed(refusal(self._report, _MISSING))
        if len(password) > self._longest:
            return succeed(refusal(self._report))
        users, entries = self._table
        user = users.get(name)
        stored = self._decoy(name, entries) if user is None else user.password
        check = self._pool.run if self._passwords.is_slow(stored) else maybeDeferred
        checked: Deferred[bool] = check(self._passwords.matches, password, stored)
        return checked.addCallback(self._decide, name, user)

    def _decide(self, matches: bool, name: str, user: User | None) -> Login:
        if user is None:
            return refusal(False)
        if not matches:
            return refusal(self._report)
        if self._closes_removed and name not in self._table[0]:
            # The user was removed while the password was checked, after the removed users were disconnected.
            return refusal(self._report)
        return Login(True, name, dumps(user.client_data), user.server_data)

    def _decoy(self, name: str, entries: list[User]) -> str:
        """
        The password of an existing user, always of the same one for C{name}. Entries may differ in the cost of the
        check, so an unknown name must cost as much as some entry.
        """
        if not entries:
            return self._passwords.decoy
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=8).digest()
        return entries[int.from_bytes(digest, "big") % len(entries)].password
