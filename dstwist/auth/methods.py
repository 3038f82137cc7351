"""
Builds the authenticators from the settings.
"""

from __future__ import annotations

from typing import Any

from dstwist.auth.certificate import CertificateAuthentication
from dstwist.auth.chain import ChainAuthentication
from dstwist.auth.file import FileAuthentication
from dstwist.auth.hash_pool import HashPool
from dstwist.auth.http_client import make_http_client
from dstwist.auth.jwt import TokenAuthentication
from dstwist.auth.keys import ConfiguredKey, IKeys, PublishedKeys, fits, read_public_key
from dstwist.auth.open import OpenAuthentication
from dstwist.auth.storage import StorageAuthentication
from dstwist.auth.webhook import WebhookAuthentication
from dstwist.config.auth import AuthSettings, CertificateSettings, JwtSettings, OpenSettings, WebhookSettings
from dstwist.config.users import FileSettings, PasswordSettings, StorageSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IAuthenticator, IStore
from dstwist.plugins import PluginContext, load_plugin

#: The group of the entry points of authenticators.
AUTHENTICATION_GROUP = "dstwist.authentication"


def build_authentication(
    settings: tuple[AuthSettings, ...], reactor: Any, storage: IStore | None = None
) -> ChainAuthentication:
    """
    All authenticators, as one chain.

    @param storage: the storage of records, if there is one. It must be started before the first login.
    @raise ConfigError: an authenticator cannot be made.
    """
    return ChainAuthentication([_build_authenticator(entry, reactor, storage) for entry in settings])


def describe(settings: tuple[AuthSettings, ...]) -> str:
    """
    The authenticators as the start-up log names them, in deepstream's words.
    """
    texts = [_describe(entry) for entry in settings]
    return texts[0] if len(texts) == 1 else "".join(f"\n\t{i}) {text}" for i, text in enumerate(texts, 1))


def _build_authenticator(settings: AuthSettings, reactor: Any, storage: IStore | None) -> IAuthenticator:
    if isinstance(settings, OpenSettings):
        return OpenAuthentication()
    if isinstance(settings, CertificateSettings):
        return CertificateAuthentication(settings)
    if isinstance(settings, FileSettings):
        return FileAuthentication(settings, _pool(settings, reactor))
    if isinstance(settings, StorageSettings):
        if storage is None:
            raise ConfigError("auth", "type storage needs a storage that keeps records for good; see storage")
        return StorageAuthentication(settings, storage, _pool(settings, reactor), reactor)
    if isinstance(settings, WebhookSettings):
        http_client = make_http_client(reactor, settings.request_timeout, settings.max_response_size)
        return WebhookAuthentication(settings, http_client, reactor)
    if isinstance(settings, JwtSettings):
        return TokenAuthentication(settings, _keys(settings, reactor), reactor)
    plugin: IAuthenticator = load_plugin(
        settings, AUTHENTICATION_GROUP, IAuthenticator, PluginContext(reactor, storage)
    )
    return plugin


def _pool(settings: PasswordSettings, reactor: Any) -> HashPool:
    return HashPool(reactor, settings.max_concurrent_hashes, settings.max_queued_hashes)


def _keys(settings: JwtSettings, reactor: Any) -> IKeys:
    if settings.jwks_url is not None:
        return PublishedKeys(
            settings, make_http_client(reactor, settings.request_timeout, settings.max_response_size), reactor
        )
    return configured_key(settings)


def configured_key(settings: JwtSettings) -> ConfiguredKey:
    """
    The key in the settings: the secret or the public key.

    @raise ConfigError: the public key cannot be read, or does not fit the algorithms.
    """
    if settings.secret is not None:
        return ConfiguredKey(settings.secret)
    assert settings.public_key is not None
    try:
        key = read_public_key(settings.public_key)
    except ValueError as error:
        raise ConfigError("auth", f"jwt: publicKey is not a public key: {error}") from None
    for algorithm in settings.algorithms:
        if not fits(key, algorithm):
            raise ConfigError("auth", f"jwt: publicKey is of the wrong type or too weak for {algorithm}")
    return ConfiguredKey(key)


def _describe(settings: AuthSettings) -> str:
    if isinstance(settings, OpenSettings):
        return "Open Authentication"
    if isinstance(settings, CertificateSettings):
        return f"client certificates, user id from {settings.id_from}"
    if isinstance(settings, FileSettings):
        return "File Authentication"
    if isinstance(settings, StorageSettings):
        return f"Storage using table: {settings.table}"
    if isinstance(settings, WebhookSettings):
        return f"http webhook to {settings.endpoint_url}"
    if isinstance(settings, JwtSettings):
        return "JSON Web Tokens"
    return f"{settings.kind} {settings.source}"
