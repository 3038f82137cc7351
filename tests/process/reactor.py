"""
A reactor in memory that signals can reach.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.testing import MemoryReactorClock


class SignalledReactor(MemoryReactorClock):
    """
    Does at once what comes from threads.
    """

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        callable(*args, **kwargs)
