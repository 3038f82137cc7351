"""
Other nodes.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface

from dstwist.protocol.message import Message


class ICluster(Interface):
    """
    The other nodes. Messages reach each of them at most once, in order per sending node, and are not waited for.
    """

    is_single: bool = Attribute("Whether there are no other nodes, ever: L{publish} does nothing then.")

    def publish(message: Message) -> None:
        """
        Tell all other nodes.
        """
