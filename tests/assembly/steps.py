"""
The first steps of the assembly of a node, for the tests of each.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.assembly.clients import ClientParts
from dstwist.assembly.logins import LoginParts
from dstwist.assembly.requests import PermissionParts, RequestParts
from dstwist.config.settings import Settings
from dstwist.store.from_settings import build_stores


class StepsTestCase(SynchronousTestCase):
    """
    @ivar kicked: who was kicked, and why.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.kicked: list[tuple[str, str]] = []
        self.settings = Settings()
        self.assemble()

    def assemble(self, **settings: Any) -> None:
        """
        Take the steps up to the clients.
        """
        self.settings = settings_ = Settings(**settings)
        self.stores = build_stores(settings_.cache, settings_.storage, None, self.reactor, settings_.record, False)
        self.logins = LoginParts(settings_, None, lambda user: 0, self.kick, self.reactor)
        self.permitted = PermissionParts(settings_, self.stores, self.reactor)
        self.requests = RequestParts(settings_, self.stores, self.logins.users, self.permitted, self.reactor)
        self.clients = ClientParts(
            settings_, self.logins, self.requests, self.stores.cache, self.kick, dict, self.reactor, ""
        )
        self.clients.hub.start()

    def kick(self, user: str, reason: str) -> int:
        self.kicked.append((user, reason))
        return 0
