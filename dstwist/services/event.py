"""
The EVENT topic: fire-and-forget publish/subscribe.

An event that a client emits under a name is sent once, and in order, to every I{other} subscriber of that name on every
node. Nothing is stored: a subscriber gets only the events that are emitted after its SUBSCRIBE was served
(C{services.md} section 3).

============  ============  =====================================================
from client   fields        answer
============  ============  =====================================================
SUBSCRIBE     names         see L{dstwist.routing.subscription_requests}
UNSUBSCRIBE   names         see L{dstwist.routing.subscription_requests}
EMIT          name, data?   nothing to the sender, EMIT to the others
LISTEN, ...   name          see L{dstwist.routing.listeners}
============  ============  =====================================================

Messages arrive here decoded, well formed and permitted.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from zope.interface import implementer

from dstwist.interfaces import ICluster, IRequester, ITopicService
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry

_EVENT = Topic.EVENT
_EMIT = EventAction.EMIT


@implementer(ITopicService)
class EventService:
    """
    Sends events to the subscribers of this node, and to the other nodes.
    """

    authorizes_itself: frozenset[IntEnum] = frozenset()

    def __init__(self, subscriptions: SubscriptionRegistry, listeners: ListenerRegistry, cluster: ICluster) -> None:
        self._subscriptions = subscriptions
        self._publish = subscriptions.publish
        # With one node there is nothing to publish. Even a call that does nothing would cost each event some per cent.
        self._publish_remote = None if cluster.is_single else cluster.publish
        self._actions: dict[IntEnum, Callable[[Message, IRequester], None]] = {
            EventAction.SUBSCRIBE: subscriptions.subscribe,
            EventAction.UNSUBSCRIBE: subscriptions.unsubscribe,
            EventAction.LISTEN: listeners.handle,
            EventAction.UNLISTEN: listeners.handle,
            EventAction.LISTEN_ACCEPT: listeners.handle,
            EventAction.LISTEN_REJECT: listeners.handle,
        }

    def handle(self, message: Message, sender: IRequester) -> None:
        if message.action is not _EMIT:
            # No default: the codecs let through only what a client may send.
            self._actions[message.action](message, sender)
            return
        if message.verbatim is None:
            # The payload has fields that an event does not need. An isAck among them would make receivers take it for
            # an acknowledgement.
            message = Message(_EVENT, _EMIT, message.name, message.data)
        if self._publish_remote is not None:
            self._publish_remote(message)
        self._publish(message, sender)

    def handle_remote(self, message: Message) -> None:
        # All other nodes have this message as well, so it is never forwarded.
        self._subscriptions.publish(message)
