"""
A storage that never answers: ``storage: {module: tests.e2e.hanging_store:HangingStore}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.interfaces import IStore, Record


@implementer(IStore)
class HangingStore:
    """
    It starts and stops, and does nothing else.
    """

    def __init__(self, options: Mapping[str, Any], context: Any) -> None:
        pass

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def get(self, name: str) -> Deferred[Record | None]:
        return Deferred()

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return Deferred()

    def delete(self, name: str) -> Deferred[None]:
        return Deferred()
