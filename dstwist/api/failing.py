"""
Functions that report each error in one way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail

from dstwist.api.errors import ApiError

P = ParamSpec("P")
T = TypeVar("T")


def failing(function: Callable[P, Deferred[T]]) -> Callable[P, Deferred[T]]:
    """
    A function that does the same as C{function}. If that raises an L{ApiError}, the Deferred fails with it.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        try:
            return function(*args, **kwargs)
        except ApiError:
            return fail()

    return wrapped
