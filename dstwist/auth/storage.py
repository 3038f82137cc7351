"""
Users who are records in the storage log in by password: C{auth: [{type: storage, options: {table: users}}]}.

The record C{<table>/<user name>} is read from the storage, not from the cache. It holds::

    {"username": "chris", "password": "<as in users.yml>",
     "clientData": {"id": "<uuid>"}, "serverData": {"created": <milliseconds>}}

The user id is C{clientData.id}. If the id is missing, the user name is the user id. If the id is neither a number nor a
printable text, the user name is the user id, too, and a line is logged. (The Node server accepts true, a list or an
object as an id.) With C{createUser}, the first login of an unknown user creates the record, with its password. Two such
logins at the same time on one node create one user.

These are ordinary records: permission rules must keep clients from reading and writing them.
Source: C{security.md} section 1.7.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.auth.credentials import NOT_MINE, kind_of, name_and_password, refusal, user_id
from dstwist.auth.hash_pool import HashPool
from dstwist.auth.hashing import Passwords
from dstwist.config.users import StorageSettings, is_printable
from dstwist.errors import StoreError
from dstwist.interfaces import HandshakeData, IAuthenticator, ILifecycle, IStore, Login, Record
from dstwist.log import Logger, about
from dstwist.protocol.jsontext import dumps
from dstwist.scheduling.clocks import wall_time


@implementer(IAuthenticator, ILifecycle)
class StorageAuthentication:
    """
    Accepts the users that have a record.
    """

    _log = Logger()

    def __init__(self, settings: StorageSettings, store: IStore, pool: HashPool, clock: IReactorTime) -> None:
        self._settings = settings
        self._report = settings.report_invalid_parameters
        self._store = store
        self._pool = pool
        self._clock = clock
        self._wall_time = wall_time(clock)
        self._passwords = Passwords(settings)
        # By user name: locks of the users that are being created.
        self._making: dict[str, DeferredLock] = {}

    def start(self) -> Deferred[None]:
        self._pool.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return self._pool.stop()

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        name, password = name_and_password(credentials)
        if name is None or password is None:
            # The Node server's text: it writes "false" for the parameter that is present.
            missing = f"{'username' if name is None else 'false'} {'password' if password is None else 'false'}"
            return succeed(refusal(self._report, f"missing authentication parameters: {missing}"))
        if len(password) > self._settings.max_password_length:
            return succeed(refusal(self._report))
        if not name or "/" in name or not is_printable(name):
            return succeed(NOT_MINE)
        return Deferred.fromCoroutine(self._login(name, password, handshake))

    async def _login(self, name: str, password: str, handshake: HandshakeData) -> Login:
        try:
            record = await self._find(name)
            if record is None and self._settings.create_user:
                return await self._make(name, password, handshake)
        except (StoreError, DeferredTimeout) as error:
            return self._failed("Error retrieving user from storage", error)
        return await self._check(record, name, password)

    async def _find(self, name: str) -> Record | None:
        found: Record | None = await self._in_time(self._store.get(f"{self._settings.table}/{name}"))
        return found

    async def _check(self, record: Record | None, name: str, password: str) -> Login:
        data = record.data if record is not None and isinstance(record.data, dict) else {}
        stored = data.get("password")
        # Passwords in clear are not accepted here: without a digest, only argon2's format is.
        usable = isinstance(stored, str) and self._passwords.is_slow(stored)
        # The reply to an unknown user takes as long as the reply to a known one.
        matches = await self._pool.run(self._passwords.matches, password, stored if usable else self._passwords.decoy)
        if record is None:
            return NOT_MINE
        if not usable:
            self._log.warn(
                "AUTH_ERROR | the record {table}/{name} has no hashed password: refused",
                table=self._settings.table,
                name=name,
                event="AUTH_ERROR",
            )
        if not (matches and usable):
            return refusal(self._report)
        return self._accept(name, data)

    async def _make(self, name: str, password: str, handshake: HandshakeData) -> Login:
        lock = self._making.setdefault(name, DeferredLock())
        await lock.acquire()
        try:
            # Another login may have created the user while this one waited for the lock.
            record = await self._find(name)
            if record is None:
                return await self._make_alone(name, password, handshake)
        finally:
            lock.release()
            if not lock.locked:
                del self._making[name]
        return await self._check(record, name, password)

    async def _make_alone(self, name: str, password: str, handshake: HandshakeData) -> Login:
        stored = await self._pool.run(self._passwords.make, password)
        data = {
            "username": name,
            "password": stored,
            "clientData": {"id": str(uuid.uuid4())},
            "serverData": {"created": int(self._wall_time() * 1000)},
        }
        self._log.info(
            "STORAGE_AUTH | REGISTERING_USER | Adding new user {name} ({client.place})",
            name=name,
            event="REGISTERING_USER",
            **about(handshake),
        )
        try:
            await self._in_time(self._store.set(f"{self._settings.table}/{name}", 1, data))
        except (StoreError, DeferredTimeout) as error:
            return self._failed("Error creating user", error)
        return self._accept(name, data)

    def _accept(self, name: str, data: dict[str, Any]) -> Login:
        client_data = data.get("clientData")
        given = client_data.get("id") if isinstance(client_data, dict) else None
        user = user_id(given)
        if user is None and given is not None:
            self._log.warn(
                "AUTH_ERROR | clientData.id of {table}/{name} is {kind}, which is no user id: accepted as {name}",
                table=self._settings.table,
                name=name,
                kind=kind_of(given),
                event="AUTH_ERROR",
            )
        return Login(True, user or name, dumps(client_data), data.get("serverData"))

    def _in_time(self, operation: Deferred[Any]) -> Awaitable[Any]:
        return operation.addTimeout(self._settings.storage_timeout, self._clock)

    def _failed(self, what: str, error: Exception) -> Login:
        self._log.error("AUTH_ERROR | {what}: {error}", what=what, error=error, event="AUTH_ERROR")
        # Final even if there is a next authenticator, which could take the user for another one of the same name.
        return refusal(True, what)
