"""
Parts that start and stop.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface


class ILifecycle(Interface):
    """
    An authenticator that has connections or threads provides this as well.
    """

    def start() -> Deferred[None]:
        """
        Get ready. Logins come only after the Deferred has fired.
        """

    def stop() -> Deferred[None]:
        """
        Release everything. No login comes after that, and logins in progress need no decision.
        """
