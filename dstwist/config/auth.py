"""
C{auth}: the authenticators. A list of C{{type, options}}, asked in this order; v4 and older had one such section.

==============  =========================================================  =========================
C{type}         clients that may log in                                    settings
==============  =========================================================  =========================
C{none}         all                                                        L{OpenSettings}
C{file}         the users of C{users.yml}                                  L{FileSettings}
C{storage}      the users whose records are in the storage                 L{StorageSettings}
C{http}         clients that a web service accepts                         L{WebhookSettings}
C{jwt}          clients with a token of a trusted issuer                   L{JwtSettings}
C{certificate}  clients with a certificate of a trusted authority          L{CertificateSettings}
==============  =========================================================  =========================

C{module}, C{path} or C{name} in the place of C{type} names a class of the operator's own: L{PluginSettings}.

If the list has more than one entry, the default of C{reportInvalidParameters} is false: an entry does not refuse
clients, but leaves them to the next entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dstwist.config.fields import (
    Reader,
    as_section,
    flag,
    from_mapping,
    integer,
    integer_reader,
    milliseconds,
    milliseconds_reader,
    one_of,
    option,
    optional,
    read_text,
    read_texts,
    shown,
    suggestion,
    text,
)
from dstwist.config.file import FileText, Reading, join
from dstwist.config.plugins import PluginSettings, read_plugin
from dstwist.config.users import FileSettings, StorageSettings, read_file_options, read_storage_options, require
from dstwist.config.values import read_pem
from dstwist.errors import ConfigError

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# The headers of the request itself. A client must not control where the request ends or how it is read.
_OWN_HEADERS = frozenset(
    "accept accept-encoding connection content-encoding content-length content-type expect host keep-alive "
    "proxy-connection te trailer transfer-encoding upgrade".split()
)


@dataclass(frozen=True)
class OpenSettings:
    """
    All clients may log in, under any name.
    """


def _split(url: str, schemes: tuple[str, ...]) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = re.fullmatch(r"[!-~]+", url) and parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _read_http_url(value: Any, path: str, reading: Reading) -> str:
    url = read_text(value, path)
    parts = _split(url, ("http", "https"))
    if parts is None:
        raise ConfigError(path, f"expected an http:// or https:// URL, got {shown(url)}")
    if "@" in parts.netloc:
        raise ConfigError(path, "user names and passwords within the URL are not supported")
    return url


def _read_key_url(value: Any, path: str, reading: Reading) -> str:
    url = _read_http_url(value, path, reading)
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError(path, "must start with https://: whoever can change the answer can log in as anybody")
    return url


def _read_status_codes(value: Any, path: str, reading: Reading) -> frozenset[int]:
    if not isinstance(value, list):
        raise ConfigError(path, f"expected a list of status codes, got {shown(value)}")
    read = integer_reader(100, 599)
    return frozenset(read(item, join(path, i), reading) for i, item in enumerate(value))


def _read_header_names(value: Any, path: str, reading: Reading) -> tuple[str, ...]:
    names = read_texts(value, path)
    for i, name in enumerate(names):
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ConfigError(join(path, i), f"{shown(name)} cannot be a header of the request")
    return names


@dataclass(frozen=True)
class WebhookSettings:
    """
    C{http}: a web service decides.
    """

    # The URL for the POST requests.
    endpoint_url: str = option(_read_http_url, "")
    # The status codes of responses that accept a client.
    permitted_status_codes: frozenset[int] = option(_read_status_codes, frozenset())
    # How long connecting and the head of a response may take, and then again its body.
    request_timeout: float = milliseconds(5000)
    # The status codes of responses after which the request is repeated.
    retry_status_codes: frozenset[int] = option(_read_status_codes, frozenset())
    # How often it is repeated, at most, after those and if there is no response.
    retry_attempts: int = integer(0, minimum=0, maximum=1000)
    # How long the server waits before that.
    retry_interval: float = milliseconds(1000, minimum=0)
    # Keys of the credentials that are sent as headers, too.
    promote_to_header: tuple[str, ...] = option(_read_header_names, ())
    # Whether a refusal is final. False: the next authenticator is asked.
    report_invalid_parameters: bool = flag(True)
    # The largest response that is read. An addition of dstwist, like those below.
    max_response_size: int = integer(1048576)
    # How many requests may be under way at the same time.
    max_concurrent_requests: int = integer(100)
    # How many more logins may wait. Further clients are disconnected.
    max_queued_requests: int = integer(1000)


def _read_webhook_options(options: dict[str, Any], path: str, reading: Reading, report: bool) -> WebhookSettings:
    require(options, path, "endpointUrl", "permittedStatusCodes", "requestTimeout")
    settings = from_mapping(WebhookSettings, options, path, reading, report_invalid_parameters=report)
    if not settings.permitted_status_codes and options["permittedStatusCodes"] == []:
        raise ConfigError(join(path, "permittedStatusCodes"), "expected at least one; no client could log in")
    return settings


#: By algorithm: the type of its keys (RFC 7518, section 6.1). C{oct} is a shared secret.
KEY_TYPES = (
    dict.fromkeys(("HS256", "HS384", "HS512"), "oct")
    | dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA")
    | dict.fromkeys(("ES256", "ES384", "ES512"), "EC")
    | {"EdDSA": "OKP"}
)


def _read_algorithms(value: Any, path: str, reading: Reading) -> tuple[str, ...]:
    names = read_texts(value, path)
    for i, name in enumerate(names):
        if name not in KEY_TYPES:
            raise ConfigError(join(path, i), one_of(name, KEY_TYPES))
    return names


def _read_text_or_texts(value: Any, path: str, reading: Reading) -> tuple[str, ...]:
    return read_texts(value, path) if isinstance(value, list) else (read_text(value, path),)


_TOKEN_KEY: Reader = optional(read_pem)


def _read_secret(value: Any, path: str, reading: Reading) -> str:
    text = read_text(value, path)
    # A FileText knows its file.
    return value if isinstance(value, FileText) else text


@dataclass(frozen=True)
class JwtSettings:
    """
    C{jwt}: a signed token proves the identity of the client. An addition of dstwist.
    """

    # The key for the signatures is exactly one of the next three options. A secret that is shared with the issuer.
    secret: str | None = option(optional(_read_secret), None)
    # The issuer's public key (PEM, or the name of a PEM file).
    public_key: str | None = option(_TOKEN_KEY, None)
    # The URL where the issuer publishes its keys, as a JSON Web Key Set.
    jwks_url: str | None = option(optional(_read_key_url), None)
    # The signature algorithms that are accepted. There is no default.
    algorithms: tuple[str, ...] = option(_read_algorithms, ())
    # The audience of the token (aud) must be one of these. Without this option, a token that names an audience is
    # refused.
    audience: tuple[str, ...] = option(_read_text_or_texts, ())
    # The issuer of the token (iss) must be one of these.
    issuer: tuple[str, ...] = option(_read_text_or_texts, ())
    # How far the clocks of issuer and server may differ.
    leeway: float = milliseconds(5000, minimum=0)
    # Whether a token without expiry (exp) is refused. The connection is closed when the token expires.
    require_expiry: bool = flag(True)
    # The claims with the user id, the data for permission rules, and the data for the client.
    id_claim: str = text("sub")
    server_data_claim: str | None = text(None)
    client_data_claim: str | None = text(None)
    # The key of the credentials that holds the token.
    token_field: str = text("token")
    # The longest token that is accepted, in characters.
    max_token_length: int = integer(16384)
    # How long the keys of jwksUrl are kept before they are fetched again.
    jwks_cache_time: float = milliseconds(3600000)
    # After the keys were fetched, they are not fetched again for so long, even if a token names an unknown key.
    jwks_retry_interval: float = milliseconds(10000)
    # How long fetching may take, and how large the answer may be.
    request_timeout: float = milliseconds(5000)
    max_response_size: int = integer(1048576)
    # How often the server checks whether the file with the secret or the key has changed. None (false or null in the
    # file): the file is read again on SIGHUP only.
    reload_interval: float | None = option(optional(milliseconds_reader(100, 86400000), False), 60.0)

    def __repr__(self) -> str:
        # Settings may be logged; the secret must not be.
        return "<JwtSettings>"


def _read_jwt_options(options: dict[str, Any], path: str, reading: Reading, report: bool) -> JwtSettings:
    require(options, path, "algorithms")
    problems = len(reading.problems)
    settings = from_mapping(JwtSettings, options, path, reading)
    if len(reading.problems) > problems:
        return settings
    sources = {"secret": settings.secret, "publicKey": settings.public_key, "jwksUrl": settings.jwks_url}
    given = [key for key, value in sources.items() if value is not None]
    if len(given) != 1:
        raise ConfigError(path, f"expected exactly one of {', '.join(sources)}")
    where = join(path, "algorithms")
    if not settings.algorithms:
        raise ConfigError(where, "expected at least one; no token could be accepted")
    # A public key must never be used as a secret: any client could sign tokens with it.
    shared = [name for name in settings.algorithms if KEY_TYPES[name] == "oct"]
    if given == ["secret"] and len(shared) < len(settings.algorithms):
        raise ConfigError(where, "with a secret, only HS256, HS384 and HS512 are possible")
    if given != ["secret"] and shared:
        raise ConfigError(where, f"{shared[0]} needs a secret; with {given[0]} it would let any client in")
    if settings.secret is not None:
        _check_secret(settings.secret, shared, join(path, "secret"))
    return settings


def _check_secret(secret: str, algorithms: list[str], path: str) -> None:
    if "-----BEGIN " in secret:
        raise ConfigError(path, "this is a PEM file; if it is a public key, use publicKey")
    # RFC 7518, section 3.2: the key is at least as long as the digest. A shorter key can be found by trying.
    length = max(int(name[2:]) // 8 for name in algorithms)
    if len(secret.encode("utf-8", "replace")) < length:
        raise ConfigError(path, f"too short; at least {length} bytes are needed for {max(algorithms)}")


_ID_SOURCES = ("CN", "email", "DNS", "URI")


def _read_id_source(value: Any, path: str, reading: Reading) -> str:
    source = read_text(value, path)
    if source not in _ID_SOURCES:
        raise ConfigError(path, one_of(source, _ID_SOURCES))
    return source


@dataclass(frozen=True)
class CertificateSettings:
    """
    C{certificate}: a client certificate proves the identity of the client.
    """

    # The name in the client certificate that is the user id: the CN of the subject, or an alternative name.
    id_from: str = option(_read_id_source, "CN")
    # Whether a client without such a name is refused. False: the next authenticator is asked.
    report_invalid_parameters: bool = flag(True)


def _read_certificate_options(
    options: dict[str, Any], path: str, reading: Reading, report: bool
) -> CertificateSettings:
    return from_mapping(CertificateSettings, options, path, reading, report_invalid_parameters=report)


AuthSettings = (
    CertificateSettings | OpenSettings | FileSettings | StorageSettings | WebhookSettings | JwtSettings | PluginSettings
)

_READERS: Mapping[str, Callable[[dict[str, Any], str, Reading, bool], AuthSettings]] = {
    "file": read_file_options,
    "storage": read_storage_options,
    "http": _read_webhook_options,
    "jwt": _read_jwt_options,
    "certificate": _read_certificate_options,
}
_TYPES = ("none", *_READERS)
_KEYS = ("type", "name", "path", "module", "options")


def read_auth(value: Any, path: str, reading: Reading) -> tuple[AuthSettings, ...]:
    """
    The authenticators, in the order in which they are asked.
    """
    entries = [(join(path, i), entry) for i, entry in enumerate(value)] if isinstance(value, list) else [(path, value)]
    if not entries:
        raise ConfigError(path, "No authentication type specified")
    found: list[AuthSettings] = []
    for where, entry in entries:
        with reading.collecting():
            found.append(_read_entry(entry, where, reading, report=len(entries) == 1))
    return tuple(found)


def _read_entry(value: Any, path: str, reading: Reading, report: bool) -> AuthSettings:
    entry = as_section(value, path)
    for key in entry:
        if key not in _KEYS:
            raise ConfigError(join(path, key), f"unknown option{suggestion(key, _KEYS)}")
    where = join(path, "options")
    options = as_section(entry.get("options"), where)
    for kind in ("module", "path", "name"):
        if entry.get(kind) is not None:
            return read_plugin(kind, read_text(entry[kind], join(path, kind)), options, path, reading, "authentication")
    if entry.get("type") is None:
        # An empty value may be a mistake, and would open the server to all clients.
        raise ConfigError(join(path, "type"), "missing; say none if that is what is meant")
    kind = read_text(entry["type"], join(path, "type"))
    if kind == "none":
        return OpenSettings()
    if kind not in _READERS:
        raise ConfigError(join(path, "type"), f"Unknown authentication type {kind}: {one_of(kind, _TYPES)}")
    return _READERS[kind](options, where, reading, report)
