"""
Reload users and keys while the server runs: on SIGHUP, and when one of their files has changed.

==============  ===============================================  ==================================================
authenticator   reloaded                                         connections
==============  ===============================================  ==================================================
C{file}         the users                                        stay; those of users who are gone are closed with
                                                                 C{closeRemovedUsers}
C{jwt}          C{secret} or C{publicKey}                        stay until their token expires
==============  ===============================================  ==================================================

A reload forgets all remembered logins of single requests.

All is reloaded, or nothing. If other options of C{auth} have changed as well, nothing is: with the options of another
hash, for instance, no user could log in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from dstwist.auth.chain import ChainAuthentication
from dstwist.auth.file import FileAuthentication
from dstwist.auth.jwt import TokenAuthentication
from dstwist.auth.methods import configured_key
from dstwist.config.auth import AuthSettings, JwtSettings
from dstwist.config.file import files_of
from dstwist.config.users import FileSettings
from dstwist.errors import ConfigError
from dstwist.log import shown
from dstwist.reload.files import FileWatch
from dstwist.scheduling.time_slices import TimeSlices

#: The most users that a log line names.
MAX_LOGGED_USERS = 20

#: The reason in the close frame for clients whose user was removed.
KICK_REASON = "user removed"


class AuthReload:
    """
    Brings new users and keys into use.

    @param settings: those that C{chain} was built from.
    @param connections_of: the number of connections that a user has.
    @param kick: closes all connections of a user, with a reason.
    @param forget: forgets the logins that are remembered.
    """

    def __init__(
        self,
        chain: ChainAuthentication,
        settings: tuple[AuthSettings, ...],
        connections_of: Callable[[str], int],
        kick: Callable[[str, str], object],
        forget: Callable[[], object],
        clock: Any,
    ) -> None:
        self._chain = chain
        self._settings = settings
        self._connections_of = connections_of
        self._kick = kick
        self._forget = forget
        self._clock = clock
        self._slices = TimeSlices(clock)
        self._watch: FileWatch | None = None

    def start(self, read_again: Callable[[], object]) -> None:
        """
        Call C{read_again} when a file with users or a key has changed.
        """
        intervals = [interval for interval, files in _watched(self._settings) if files]
        if intervals:
            self._watch = FileWatch(self._files, read_again)
            self._watch.start(min(intervals), self._clock)

    def stop(self) -> None:
        """
        Stop watching the files.
        """
        if self._watch is not None:
            self._watch.stop()

    def _files(self) -> list[str]:
        return [path for _, files in _watched(self._settings) for path in files]

    def reload(self, settings: tuple[AuthSettings, ...]) -> str:
        """
        Use the users and keys of C{settings}; return the text for the log.

        @raise ConfigError: other options have changed, or a key cannot be used. Everything stays as it was.
        """
        old = self._settings
        if len(old) != len(settings) or any(_fixed(one) != _fixed(two) for one, two in zip(old, settings, strict=True)):
            raise ConfigError("auth", "options other than users and keys have changed; that needs a restart")
        keys = [
            configured_key(entry) if isinstance(entry, JwtSettings) and entry.jwks_url is None else None
            for entry in settings
        ]
        # Nothing fails from here on.
        for part, entry, key in zip(self._chain.authenticators, settings, keys, strict=True):
            if isinstance(part, FileAuthentication) and isinstance(entry, FileSettings):
                part.replace(entry.users)
            elif isinstance(part, TokenAuthentication) and key is not None:
                part.replace(key)
        self._settings = settings
        self._forget()
        return "; ".join(self._describe(old, settings))

    def _describe(self, old: tuple[AuthSettings, ...], new: tuple[AuthSettings, ...]) -> Iterator[str]:
        before, now = _users_of(old), _users_of(new)
        key_count = sum(isinstance(entry, JwtSettings) and entry.jwks_url is None for entry in new)
        if not now and not key_count:
            yield "there are no users of users.yml; other options of auth need a restart to change"
            return
        if now:
            yield f"{len(now)} users"
        added = [name for name in now if name not in before]
        if added:
            yield f"new: {_named(added)}"
        removed = [name for name in before if name not in now]
        if removed:
            yield f"removed: {_named(removed)}{self._close_removed(removed, before)}"
        if key_count:
            changed = sum(_key_of(one) != _key_of(two) for one, two in zip(old, new, strict=True))
            yield f"{changed} of {key_count} keys of tokens changed"

    def _close_removed(self, removed: list[str], entries: dict[str, FileSettings]) -> str:
        """
        Close the connections of removed users, if the settings ask for that; return the text for the log.
        """
        counts = {True: 0, False: 0}
        leaving = []
        for name in removed:
            closes = entries[name].close_removed_users
            count = self._connections_of(name)
            counts[closes] += count
            if closes and count:
                leaving.append(name)
        self._slices.do(self._close(leaving))
        said = f", {counts[True]} connections are closed" if counts[True] else ""
        if counts[False]:
            said += f", {counts[False]} connections stay open (closeRemovedUsers is false)"
        return said

    def _close(self, names: list[str]) -> Iterator[None]:
        for name in names:
            self._kick(name, KICK_REASON)
            yield


def _watched(settings: Iterable[AuthSettings]) -> Iterator[tuple[float, tuple[str, ...]]]:
    """
    For each authenticator that reloads: the interval between checks of its files, in seconds, and the files.
    """
    for entry in settings:
        if isinstance(entry, FileSettings | JwtSettings) and entry.reload_interval is not None:
            if isinstance(entry, FileSettings):
                yield entry.reload_interval, entry.files
            else:
                yield entry.reload_interval, files_of(entry.public_key) + files_of(entry.secret)


def _fixed(entry: AuthSettings) -> AuthSettings:
    """
    The options that need a restart to change.
    """
    if isinstance(entry, FileSettings):
        return replace(entry, users={}, files=())
    if isinstance(entry, JwtSettings):
        return replace(
            entry,
            secret=None if entry.secret is None else "",
            public_key=None if entry.public_key is None else "",
        )
    return entry


def _key_of(entry: AuthSettings) -> object:
    return (entry.secret, entry.public_key) if isinstance(entry, JwtSettings) else None


def _users_of(settings: Iterable[AuthSettings]) -> dict[str, FileSettings]:
    """
    All users of files, each with its authenticator.
    """
    return {name: entry for entry in settings if isinstance(entry, FileSettings) for name in entry.users}


def _named(names: list[str]) -> str:
    told = ", ".join(shown(name) for name in names[:MAX_LOGGED_USERS])
    return told if len(names) <= MAX_LOGGED_USERS else f"{told} and {len(names) - MAX_LOGGED_USERS} more"
