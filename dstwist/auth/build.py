"""
From the settings to the authenticators.
"""

from __future__ import annotations

from typing import Any

from dstwist.auth.chain import ChainAuthentication
from dstwist.auth.fetch import make_fetcher
from dstwist.auth.file import FileAuthentication
from dstwist.auth.http import WebhookAuthentication
from dstwist.auth.open import OpenAuthentication
from dstwist.auth.pool import HashPool
from dstwist.config_auth import AuthSettings, OpenSettings, WebhookSettings
from dstwist.config_users import FileSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IAuthenticator


def build(settings: tuple[AuthSettings, ...], reactor: Any) -> ChainAuthentication:
    """
    All authenticators, as one.
    """
    return ChainAuthentication([_build(entry, reactor) for entry in settings])


def _build(settings: AuthSettings, reactor: Any) -> IAuthenticator:
    if isinstance(settings, OpenSettings):
        return OpenAuthentication()
    if isinstance(settings, FileSettings):
        pool = HashPool(reactor, settings.max_concurrent_hashes, settings.max_queued_hashes)
        return FileAuthentication(settings, pool)
    if isinstance(settings, WebhookSettings):
        fetcher = make_fetcher(reactor, settings.request_timeout, settings.max_response_size)
        return WebhookAuthentication(settings, fetcher, reactor)
    raise ConfigError("auth", f"{type(settings).__name__} is not built yet")
