"""
A Deferred for the caller of an operation that tells its outcome by a callback.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred


def fire(deferred: Deferred[Any], error: Exception | None, result: Any) -> None:
    """
    The operation has ended: C{deferred} fires with its result, or fails with its error.
    """
    if error is None:
        deferred.callback(result)
    else:
        deferred.errback(error)
