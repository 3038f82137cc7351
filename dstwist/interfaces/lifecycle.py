"""
Parts that start and stop.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface


class ILifecycle(Interface):
    """
    A part that starts and stops: each store, and an authenticator that has connections or threads.

    The node cancels the Deferred of C{start} if it takes too long, or if the node has to stop. It calls C{stop} then,
    whether C{start} ends or not.
    """

    def start() -> Deferred[None]:
        """
        Get ready. The part is used only after the Deferred has fired.
        """

    def stop() -> Deferred[None]:
        """
        Release everything. The part is not used after that. An authenticator need not decide on logins in progress.
        """
