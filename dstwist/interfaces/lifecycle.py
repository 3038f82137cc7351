"""
Parts that start and stop.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface


class ILifecycle(Interface):
    """
    What an authenticator may be besides, if it has connections or threads.
    """

    def start() -> Deferred[None]:
        """
        Get ready. Logins come only after the Deferred has fired.
        """

    def stop() -> Deferred[None]:
        """
        Let go of everything. No login comes after that, and those under way need not be decided.
        """
