"""
Other nodes.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface

from dstwist.protocol.message import Message


class ICluster(Interface):
    """
    The other nodes. A message reaches each of them at most once, and messages of one node arrive in order. No caller
    waits for them.
    """

    is_single: bool = Attribute("Whether there are never other nodes. L{publish} does nothing then.")

    def publish(message: Message) -> None:
        """
        Send C{message} to all other nodes.
        """
