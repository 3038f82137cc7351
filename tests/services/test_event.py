"""
The EVENT topic on a single node.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from dstwist.config.settings import ListenSettings
from dstwist.interfaces import ITopicService
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.event import EventService
from tests.fakes import FakeConnection, FakeWire
from tests.requesters import RequesterTestCase, for_each_requester

HELLO = Message(Topic.EVENT, EventAction.EMIT, name="news", data=b'"hello"')


@for_each_requester
class EventServiceTests(RequesterTestCase):
    """
    L{EventService}.
    """

    def setUp(self) -> None:
        subscriptions = SubscriptionRegistry(Topic.EVENT)
        listeners = ListenerRegistry(Topic.EVENT, subscriptions, ListenSettings(), Clock())
        self.service = EventService(subscriptions, listeners, None)
        self.wire = FakeWire()

    def subscriber(self, user: str) -> FakeConnection:
        connection = self.connect(user, self.wire)
        request = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",))
        self.service.handle(request, connection)
        self.assertEqual(connection.take(), [request.ack()])
        return connection

    def test_interface(self) -> None:
        """
        L{EventService} provides L{ITopicService}.
        """
        verifyObject(ITopicService, self.service)

    def test_emit(self) -> None:
        """
        An emit reaches every other subscriber, encoded once for all of them; the sender gets no echo.
        """
        ann, bob, cat = map(self.subscriber, ("ann", "bob", "cat"))
        self.wire.encoded = 0
        self.service.handle(HELLO, ann)
        self.assertEqual([c.take() for c in (ann, bob, cat)], [[], [HELLO], [HELLO]])
        self.assertEqual(self.wire.encoded, 1)

    def test_other_sockets_of_the_sender(self) -> None:
        """
        Only the sending connection is left out: another one of the same user gets the event.
        """
        here, there = self.subscriber("ann"), self.subscriber("ann")
        self.service.handle(HELLO, here)
        self.assertEqual((here.take(), there.take()), ([], [HELLO]))

    def test_nothing_but_the_event(self) -> None:
        """
        What a sender wrote besides name and data stays with it.
        """
        ann = self.subscriber("ann")
        stray = Message(Topic.EVENT, EventAction.EMIT, "news", b'"hello"', is_ack=True, correlation_id="1")
        self.service.handle(stray, self.connect())
        self.assertEqual(ann.take(), [HELLO])

    def test_verbatim(self) -> None:
        """
        What a codec says can be forwarded as it came is not rebuilt.
        """
        ann = self.subscriber("ann")
        clean = Message(Topic.EVENT, EventAction.EMIT, "news", b"1", b"raw", object())
        self.service.handle(clean, self.connect())
        self.assertIs(ann.take()[0], clean)

    def test_unsubscribe(self) -> None:
        """
        Who unsubscribed hears nothing more.
        """
        ann = self.subscriber("ann")
        request = Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=("news",))
        self.service.handle(request, ann)
        self.service.handle(HELLO, self.connect())
        self.assertEqual(ann.take(), [request.ack()])

    def test_listening(self) -> None:
        """
        The listen family reaches the listeners, and providers of events are never announced to subscribers.
        """
        ann, pat = self.subscriber("ann"), self.connect("pat")
        listen = Message(Topic.EVENT, EventAction.LISTEN, name="^n")
        self.service.handle(listen, pat)
        found = Message(Topic.EVENT, EventAction.SUBSCRIPTION_FOR_PATTERN_FOUND, name="^n", subscription="news")
        self.assertEqual(pat.take(), [listen.ack(), found])
        for action in (EventAction.LISTEN_ACCEPT, EventAction.LISTEN_REJECT):
            self.service.handle(Message(Topic.EVENT, action, name="^n", subscription="news"), pat)
        unlisten = Message(Topic.EVENT, EventAction.UNLISTEN, name="^n")
        self.service.handle(unlisten, pat)
        self.assertEqual((ann.take(), pat.take()), ([], [unlisten.ack()]))
