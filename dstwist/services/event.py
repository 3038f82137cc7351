r"""
The EVENT topic: fire-and-forget publish/subscribe.

An event that a client emits under a name is sent once, and in order, to every I{other} subscriber of that name on every
node. Nothing is stored: a subscriber gets the events that are emitted after the ack of its SUBSCRIBE. It may get some
that are emitted between its SUBSCRIBE and the ack (C{services.md} section 3).

::

    EMIT --> subscribers of this node
        \--> bus, under the subject of the name --> nodes with subscribers --> their subscribers

If the bus is lost, events reach the subscribers of their own node only, but for the few that the bus keeps meanwhile.

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

from dstwist.cluster import event_news
from dstwist.cluster.kinds import EVENT
from dstwist.cluster.node import ClusterNode
from dstwist.interfaces import IRequester, ITopicService
from dstwist.log import Logger, shown
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry

_EVENT = Topic.EVENT
_EMIT = EventAction.EMIT
_encode = event_news.encode


@implementer(ITopicService)
class EventService:
    """
    Sends events to the subscribers of this node, and to the other nodes.

    @param cluster: C{None}: there are no other nodes.
    """

    authorizes_itself: frozenset[IntEnum] = frozenset()

    _log = Logger()

    def __init__(
        self, subscriptions: SubscriptionRegistry, listeners: ListenerRegistry, cluster: ClusterNode | None
    ) -> None:
        self._publish = subscriptions.publish
        # With one node there is nothing to publish. Even a call that does nothing would cost each event some per cent.
        self._publish_remote: Callable[[str, bytes], object] | None = None
        if cluster is not None:
            subjects = cluster.subjects(EVENT, self._received, _missed)
            subscriptions.use_subjects(subjects)
            self._publish_remote = subjects.publish
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
            self._publish_remote(message.name, _encode(message.data))  # type: ignore[arg-type]  # an EMIT has a name
        self._publish(message, sender)

    def _received(self, name: str, payload: bytes) -> None:
        """
        Another node has published an event. All other nodes have it as well, so it is never forwarded.
        """
        try:
            message = event_news.decode(name, payload)
        except ValueError as error:
            self._log.warn(
                "CLUSTER | an event of another node cannot be read: {problem}",
                problem=shown(str(error)),
                event="CLUSTER",
            )
            return
        self._publish(message)


def _missed(name: str) -> None:
    """
    Subscribers of C{name} were answered while the bus could not have it yet. Nodes do not keep events: the missed ones
    stay missed.
    """
