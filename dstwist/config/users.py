"""
Users and passwords, for C{auth} of type C{file} and C{storage}: users.yml, and the options for hashing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dstwist.config.fields import (
    as_section,
    flag,
    from_mapping,
    integer,
    integer_reader,
    milliseconds,
    milliseconds_reader,
    option,
    optional,
    read_text,
    shown,
    suggestion,
    text,
    typed,
)
from dstwist.config.file import Reading, join
from dstwist.errors import ConfigError

#: The most rounds of PBKDF2. One derivation may take about a second, but not minutes, because every client that
#: connects can cause one.
MAX_HASH_ROUNDS = 10_000_000
#: The highest parameters of argon2, for the same reason: KiB of memory, passes, lanes.
MAX_ARGON2_PARAMETERS = {"m": 1024 * 1024, "t": 64, "p": 64}

_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$v=\d{1,3}\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,10})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def argon2_cost(stored: str) -> dict[str, int] | None:
    """
    The cost parameters of a password in argon2's format; C{None} if it has another format.
    """
    found = _ARGON2.fullmatch(stored)
    return dict(zip("mtp", map(int, found.groups()), strict=True)) if found else None


def is_printable(name: str) -> bool:
    """
    Whether C{name} can be a user id. Control characters would break the text protocol, or the terminal that shows the
    log, and half of a surrogate pair cannot be sent.
    """
    return _UNPRINTABLE.search(name) is None


@dataclass(frozen=True)
class User:
    """
    An entry of users.yml.
    """

    password: str
    client_data: Any = None
    server_data: Any = None

    def __repr__(self) -> str:
        # Settings may be logged; passwords must not be.
        return "<User>"


def _read_digest(value: Any, path: str, reading: Reading) -> str | None:
    if value is None or value == "" or typed(value) is False:
        return None
    given = read_text(value, path)
    name = given.lower().removeprefix("rsa-").removeprefix("ssl3-").removesuffix("withrsaencryption")
    try:
        hashlib.pbkdf2_hmac(name, b"", b"", 1, 1)
    except ValueError:
        raise ConfigError(path, f"Unknown Hash {shown(given)}") from None
    if name in ("md5", "sha1"):
        reading.notes.append(f"CONFIG | {path}: {name} is weak; new passwords are better hashed by argon2id")
    return name


@dataclass(frozen=True)
class PasswordSettings:
    """
    How passwords are kept: what C{file} and C{storage} have in common.
    """

    # The digest of PBKDF2. None (absent, false or empty in the file): passwords are in clear, or in argon2's format.
    hash: str | None = option(_read_digest, None)
    # How often PBKDF2 applies it, and how many bytes come out. Both are needed with hash.
    iterations: int | None = option(optional(integer_reader(1, MAX_HASH_ROUNDS)), None)
    key_length: int | None = option(optional(integer_reader(1, 1024)), None)
    # Whether a wrong or unusable login is refused. False: it is left to the next authenticator.
    report_invalid_parameters: bool = flag(True)
    # How many passwords are hashed at the same time, each in a thread. An addition of dstwist, like all below.
    max_concurrent_hashes: int = integer(2, maximum=64)
    # How many more may wait. Further clients are disconnected.
    max_queued_hashes: int = integer(1000)
    # The longest password, in characters. A longer one counts as wrong.
    max_password_length: int = integer(4096)


def _check_hash(options: PasswordSettings, given: Mapping[str, Any], path: str) -> None:
    if options.hash is None:
        return
    for key in ("iterations", "keyLength"):
        if given.get(key) is None:
            raise ConfigError(join(path, key), f"Missing key {key}; hash needs it")
    if options.iterations is None or options.key_length is None:
        # The value is there, but is wrong, and that is reported already.
        return
    blocks = -(-options.key_length // hashlib.new(options.hash).digest_size)
    if options.iterations * blocks > MAX_HASH_ROUNDS:
        problem = f"with this keyLength at most {MAX_HASH_ROUNDS // blocks}, or a login would take minutes"
        raise ConfigError(join(path, "iterations"), problem)


def read_hash_options(options: Mapping[str, Any], path: str, reading: Reading) -> PasswordSettings:
    """
    Only the options for hashing. Other options are not checked.
    """
    given = {key: value for key, value in options.items() if key in ("hash", "iterations", "keyLength")}
    problems = len(reading.problems)
    settings = from_mapping(PasswordSettings, given, path, reading)
    for problem in reading.problems[problems:]:
        raise problem
    _check_hash(settings, given, path)
    return settings


def read_users(value: Any, path: str, reading: Reading) -> Mapping[str, User]:
    """
    The users in users.yml: C{<name>: {password, serverData, clientData}}.
    """
    users: dict[str, User] = {}
    entries = as_section(value, path)
    if not entries:
        raise ConfigError(path, "no users present in user file")
    for name, entry in entries.items():
        with reading.collecting():
            users[name] = _read_user(name, entry, join(path, name), reading)
    return users


_USER_KEYS = ("password", "serverData", "clientData")


def _read_user(name: str, value: Any, path: str, reading: Reading) -> User:
    entry = as_section(value, path)
    if not name or not is_printable(name):
        raise ConfigError(path, "a user's name must be printable")
    password = entry.get("password")
    if not isinstance(password, str) or not password:
        hint = "; a number needs quotes" if isinstance(password, int | float) else ""
        raise ConfigError(join(path, "password"), f"missing password for {name}{hint}")
    for key in entry:
        if key not in _USER_KEYS:
            reading.notes.append(f"CONFIG | {join(path, key)} has no meaning{suggestion(key, _USER_KEYS)}")
    cost = argon2_cost(password)
    # Such an entry must never count as a password in clear: a reader of the file could log in with it.
    problem = excess(cost) if cost or not password.startswith("$argon2") else "not in argon2's format"
    if problem:
        raise ConfigError(join(path, "password"), problem)
    return User(str(password), entry.get("clientData"), entry.get("serverData"))


def excess(cost: Mapping[str, int] | None) -> str | None:
    """
    The error text for argon2 parameters that are too high or zero; C{None} if they can be used.
    """
    for key, value in (cost or {}).items():
        if not 1 <= value <= MAX_ARGON2_PARAMETERS[key]:
            return f"argon2 with {key}={value}; expected a number from 1 to {MAX_ARGON2_PARAMETERS[key]}"
    return None


@dataclass(frozen=True)
class FileSettings(PasswordSettings):
    """
    C{file}: the users are in the configuration.
    """

    # The users, as fileLoad(users.yml).
    users: Mapping[str, User] = option(read_users, dict)
    # v2 to v4: the file with the users.
    path: str | None = option(optional(read_text), None)
    # How often the server checks whether the file has changed. None (false or null in the file): the file is read again
    # on SIGHUP only. An addition of dstwist, like the one below.
    reload_interval: float | None = option(optional(milliseconds_reader(100, 86400000), False), 60.0)
    # Whether a reload closes the connections of users who are not in the file any more.
    close_removed_users: bool = flag(False)

    # The files with the users; empty if they are in the configuration file itself.
    files: tuple[str, ...] = ()


def read_file_options(options: dict[str, Any], path: str, reading: Reading, report: bool) -> FileSettings:
    given = dict(options)
    if ("users" in given) == ("path" in given):
        raise ConfigError(path, "expected the users, as users: fileLoad(users.yml)")
    if "path" in given:
        where = join(path, "path")
        name = read_text(given["path"], where)
        reading.renamed[join(path, "users")] = where
        with reading.collecting():
            given["users"] = reading.load(name, where)
    settings = from_mapping(FileSettings, given, path, reading, report_invalid_parameters=report)
    _check_hash(settings, given, path)
    _note_passwords(settings, join(path, "users"), reading)
    where = join(path, "path" if "path" in options else "users")
    files = (file for key, file in reading.files.items() if key == where or key.startswith((f"{where}.", f"{where}[")))
    return replace(settings, files=tuple(files))


def _note_passwords(settings: FileSettings, path: str, reading: Reading) -> None:
    """
    Note passwords in clear. With C{hash}, note passwords that are not hashed and so never match.
    """
    others = [name for name, user in settings.users.items() if argon2_cost(user.password) is None]
    if settings.hash is None:
        if others:
            reading.notes.append(f"CONFIG | {path}: passwords in clear: {len(others)}; see dstwist hash")
        return
    characters = -(-(settings.key_length or 0) * 8 // 6)
    form = re.compile(f"[A-Za-z0-9+/]{{{characters}}}")
    for name in others:
        if not form.match(settings.users[name].password):
            where = join(join(path, name), "password")
            reading.notes.append(f"CONFIG | {where} is no hash of {settings.key_length} bytes; it matches no password")


@dataclass(frozen=True)
class StorageSettings(PasswordSettings):
    """
    C{storage}: each user is a record, named C{<table>/<user name>}.
    """

    # The prefix of the names of the users' records, without the slash.
    table: str = text("")
    # Whether the first login of an unknown user creates the user, with the password of that login.
    create_user: bool = flag(False)
    # How long the storage may take. An addition of dstwist.
    storage_timeout: float = milliseconds(2000)


def read_storage_options(options: dict[str, Any], path: str, reading: Reading, report: bool) -> StorageSettings:
    # Many examples have this option, but it never had an effect.
    given = {key: value for key, value in options.items() if key != "tableSplitChar"}
    require(given, path, "table")
    settings = from_mapping(StorageSettings, given, path, reading, report_invalid_parameters=report)
    _check_hash(settings, given, path)
    if not is_printable(settings.table):
        raise ConfigError(join(path, "table"), "expected a text without control characters")
    return settings


def require(options: Mapping[str, Any], path: str, *keys: str) -> None:
    """
    Check that options without a default are there.
    """
    for key in keys:
        if options.get(key) is None:
            raise ConfigError(join(path, key), f"Missing key {key}")
