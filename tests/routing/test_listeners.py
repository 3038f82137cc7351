"""
Tests for L{dstwist.routing.listeners}.
"""

from __future__ import annotations

import random
from typing import Any

from zope.interface.verify import verifyObject

from dstwist.interfaces import IRevocable
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT
from dstwist.protocol.message import Message
from dstwist.routing.registrations import MAX_UNANSWERED_OFFERS
from tests.fakes import FakeConnection
from tests.requesters import RequesterTestCase, for_each_requester
from tests.routing.stage import Stage, entries


@for_each_requester
class ListeningTests(RequesterTestCase):
    """
    L{ListenerRegistry} of records, with C{services.md} section 7 beside it.
    """

    topic = Topic.RECORD

    def setUp(self) -> None:
        self.stage = self.make()

    def make(self, **options: Any) -> Stage:
        return Stage(self.topic, connect=self.connect, **options)

    def hears(self, connection: FakeConnection, *expected: str) -> None:
        """
        C{connection} was sent exactly this; only subscribers of records are told of providers.
        """
        if self.topic is Topic.EVENT:
            expected = tuple(words for words in expected if not words.startswith(("PROVIDED", "UNPROVIDED")))
        self.assertEqual(self.stage.heard(connection), list(expected))

    # -- who listens

    def test_listen(self) -> None:
        """
        Listening is acknowledged, and nothing else happens while no name has a subscriber.
        """
        for dialect in (TEXT, PROTOBUF):
            connection = self.connect(dialect=dialect)
            self.stage.listen(connection, "a.*")
            self.hears(connection, "ACK LISTEN a.*")

    def test_invalid_pattern(self) -> None:
        """
        Text that is not a regular expression is refused with the reason, and not acknowledged.
        """
        connection = self.connect()
        self.stage.listen(connection, "a[")
        (error,) = connection.take()
        self.assertEqual((error.action.name, error.name, error.is_error), ("INVALID_LISTEN_REGEX", "a[", True))
        self.assertEqual(error.detail, "SyntaxError: Invalid regular expression: /a[/: unterminated character class")
        self.stage.subscriber("a[")
        self.hears(connection)
        self.assertEqual(connection.callbacks, [])

    def test_w4_duplicate_listen(self) -> None:
        """
        W4: a pattern listened to twice is complained about; it counts once. v4+ clients get their acknowledgement.
        """
        for dialect, ack in ((TEXT, []), (PROTOBUF, ["ACK LISTEN a.*"])):
            listener = self.stage.listener("a.*", dialect=dialect)
            self.stage.listen(listener, "a.*")
            self.hears(listener, "MULTIPLE_SUBSCRIPTIONS a.*", *ack)
            subscriber = self.stage.subscriber("abc")
            self.stage.reject(listener, "a.*", "abc")
            self.hears(listener, "FOUND a.* abc")
            subscriber.close()
            listener.close()

    def test_w4_names_the_request(self) -> None:
        """
        W4: the complaint is on the topic of the request, says what it is about, and is not marked as an error.
        """
        listener = self.stage.listener("a")
        self.stage.listen(listener, "a")
        complaint = listener.take()[0]
        self.assertEqual(complaint.original_action, ACTIONS[self.topic]["LISTEN"])
        self.assertIsNone(complaint.is_error)

    def test_w5_hostile_pattern(self) -> None:
        """
        W5: a pattern that is too long, or could not be matched in linear time, is refused; another that would stop a
        backtracking server is served in no time.
        """
        stage = self.make(max_pattern_length=10)
        connection = self.connect()
        for pattern in ("a" * 11, r"(a)\1", "(?=a)"):
            stage.listen(connection, pattern)
            self.assertEqual(stage.heard(connection), [f"INVALID_LISTEN_REGEX {pattern}"])
        stage.listen(connection, "(a+)+$")
        stage.subscriber("a" * 10000 + "b")
        self.assertEqual(stage.heard(connection), ["ACK LISTEN (a+)+$"])

    def test_too_many(self) -> None:
        """
        A connection that listens to one pattern too many is refused it, and keeps what it has; one that it listens to
        already it may ask for again.
        """
        stage = self.make(max_patterns=2)
        connection = self.connect()
        for pattern in ("a", "b", "b"):
            stage.listen(connection, pattern)
        stage.heard(connection)
        stage.listen(connection, "c")
        self.assertEqual(stage.heard(connection), ["MESSAGE_DENIED c"])
        other = self.connect()
        stage.listen(other, "c")
        self.assertEqual(stage.heard(other), ["ACK LISTEN c"])
        stage.unlisten(connection, "a")
        stage.listen(connection, "c")
        self.assertEqual(stage.heard(connection), ["ACK UNLISTEN a", "ACK LISTEN c"])

    def test_w55_closed_meanwhile(self) -> None:
        """
        W55: a listener whose permission took longer than it stayed is not registered.
        """
        connection = self.connect()
        connection.close()
        self.stage.listen(connection, "a")
        other = self.stage.listener("a")
        self.stage.subscriber("a")
        self.hears(other, "FOUND a a")
        self.assertEqual(connection.callbacks, [])

    def test_unlisten(self) -> None:
        """
        After the acknowledgement of its end a listener is asked nothing more.
        """
        listener = self.stage.listener("a")
        self.stage.unlisten(listener, "a")
        self.stage.subscriber("a")
        self.hears(listener, "ACK UNLISTEN a")

    def test_w37_unlisten_unknown(self) -> None:
        """
        W37: the end of a listening that never was is acknowledged: the client may have ended it while it was offline.
        """
        for dialect in (TEXT, PROTOBUF):
            stranger, listener = self.connect(dialect=dialect), self.stage.listener("a", dialect=dialect)
            for connection in (stranger, listener):
                self.stage.unlisten(connection, "b")
                self.hears(connection, "ACK UNLISTEN b")
        self.stage.unlisten(listener, "a")
        self.stage.unlisten(listener, "a")
        self.hears(listener, "ACK UNLISTEN a", "ACK UNLISTEN a")

    # -- asking

    def test_accept(self) -> None:
        """
        A listener that accepts provides the name. Its subscribers are told, and the provider is told of the end, once.
        """
        for dialect in (TEXT, PROTOBUF):
            listener = self.stage.listener("a.*", dialect=dialect)
            ann = self.stage.subscriber("abc", dialect)
            self.hears(listener, "FOUND a.* abc")
            self.assertFalse(self.stage.listeners.provided("abc"))
            self.stage.accept(listener, "a.*", "abc")
            self.hears(ann, "PROVIDED abc")
            self.assertTrue(self.stage.listeners.provided("abc"))
            bob = self.stage.subscriber("abc", dialect)
            ann.close()
            self.hears(listener)
            self.stage.unsubscribe(bob, "abc")
            self.hears(listener, "REMOVED a.* abc")
            self.assertFalse(self.stage.listeners.provided("abc"))
            listener.close()
            self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_accept_twice(self) -> None:
        """
        A provider that accepts again has said nothing new.
        """
        for dialect in (TEXT, PROTOBUF):
            listener, ann = self.stage.listener("a", dialect=dialect), self.stage.subscriber("a")
            self.stage.accept(listener, "a", "a")
            self.stage.accept(listener, "a", "a")
            self.hears(listener, "FOUND a a")
            self.hears(ann, "PROVIDED a")
            listener.close()
            ann.close()

    def test_only_what_matches(self) -> None:
        """
        One listener may provide many names; what its pattern does not match it is not offered.
        """
        listener = self.stage.listener("a/[0-9]")
        for name in ("a/1", "a/x", "a/2"):
            self.stage.subscriber(name)
        self.hears(listener, "FOUND a/[0-9] a/1", "FOUND a/[0-9] a/2")
        for name in ("a/1", "a/2"):
            self.stage.accept(listener, "a/[0-9]", name)
            self.assertTrue(self.stage.listeners.provided(name))

    def test_reject(self) -> None:
        """
        When all listeners have declined, nothing more happens; subscribers are told nothing.
        """
        for dialect in (TEXT, PROTOBUF):
            listener, ann = self.stage.listener("a", dialect=dialect), self.stage.subscriber("a")
            self.stage.reject(listener, "a", "a")
            self.stage.clock.advance(1)
            self.hears(listener, "FOUND a a")
            self.hears(ann)
            ann.close()
            self.hears(listener)
            listener.close()

    def test_reject_next(self) -> None:
        """
        When a listener declines, the next one is asked, in the order of listening; when one accepts, no other is asked.
        """
        cat, ann, bob = (self.stage.listener(pattern) for pattern in ("a.*", "b", "a.*"))
        self.stage.listen(ann, "ab")
        ann.take()
        subscriber = self.stage.subscriber("ab")
        self.hears(cat, "FOUND a.* ab")
        self.stage.reject(cat, "a.*", "ab")
        self.hears(bob, "FOUND a.* ab")
        self.stage.reject(bob, "a.*", "ab")
        self.hears(ann, "FOUND b ab")
        self.stage.accept(ann, "b", "ab")
        self.stage.clock.advance(1)
        self.hears(subscriber, "PROVIDED ab")
        for connection in (ann, bob, cat):
            self.hears(connection)

    def test_timeout_next(self) -> None:
        """
        A listener that does not answer in time is told so, and the next one is asked.
        """
        slow, fast = self.stage.listener("a.*"), self.stage.listener("a.*")
        subscriber = self.stage.subscriber("abc")
        self.stage.clock.advance(0.49)
        self.hears(slow, "FOUND a.* abc")
        self.hears(fast)
        self.stage.clock.advance(0.01)
        (timeout,) = slow.take()
        self.assertEqual(timeout, self.stage.message("LISTEN_RESPONSE_TIMEOUT", subscription="abc"))
        self.hears(fast, "FOUND a.* abc")
        self.stage.accept(fast, "a.*", "abc")
        self.hears(subscriber, "PROVIDED abc")

    def test_order(self) -> None:
        """
        Unless they are to be shuffled, listeners are asked in the order in which they came; one with two patterns
        that match is asked twice.
        """
        ann = self.stage.listener("a", "ab")
        bob = self.stage.listener("ab", "a")
        self.stage.subscriber("ab")
        for connection, pattern in ((ann, "a"), (bob, "a"), (ann, "ab"), (bob, "ab")):
            self.hears(connection, f"FOUND {pattern} ab")
            self.stage.reject(connection, pattern, "ab")
        self.hears(ann)
        self.hears(bob)

    def test_shuffle(self) -> None:
        """
        Shuffling decides who is asked first.
        """
        self.stage = self.make(choose=lambda registrations: registrations[-1])
        ann, bob = self.stage.listener("a"), self.stage.listener("a")
        self.stage.subscriber("a")
        self.hears(ann)
        self.hears(bob, "FOUND a a")

    def test_shuffled_fairly(self) -> None:
        """
        With the configuration as it comes every listener gets its share.
        """
        stage = self.make(choose=random.Random(3).choice)
        listeners = [stage.listener("a") for _ in range(3)]
        for number in range(300):
            stage.subscriber(f"a{number}")
        for listener in listeners:
            self.assertTrue(70 < len(stage.heard(listener)) < 130)

    def test_existing_subscriptions(self) -> None:
        """
        A new listener is offered the names that match, have a subscriber and have no provider.
        """
        for name in ("a1", "a2", "b"):
            self.stage.subscriber(name)
        first = self.stage.listener("a1")
        self.stage.accept(first, "a1", "a1")
        listener = self.stage.listener("a")
        self.hears(listener, "FOUND a a2")
        self.stage.accept(listener, "a", "a2")
        self.assertTrue(self.stage.listeners.provided("a2"))

    def test_existing_subscription_rejected(self) -> None:
        """
        Also what was offered to a new listener may be declined.
        """
        self.stage.subscriber("a")
        listener = self.stage.listener("a")
        self.stage.reject(listener, "a", "a")
        self.hears(listener, "FOUND a a")
        self.assertFalse(self.stage.listeners.provided("a"))

    def test_new_listener_waits(self) -> None:
        """
        A client that begins to listen while another is being asked is asked after that one.
        """
        first = self.stage.listener("a")
        self.stage.subscriber("a")
        second = self.stage.listener("a")
        self.hears(second)
        self.stage.reject(first, "a", "a")
        self.hears(second, "FOUND a a")

    def test_new_listener_only(self) -> None:
        """
        A listener that has declined is not asked again because a new listener comes.
        """
        first = self.stage.listener("a")
        self.stage.subscriber("a")
        self.stage.reject(first, "a", "a")
        first.take()
        second = self.stage.listener("a")
        self.stage.reject(second, "a", "a")
        self.hears(first)
        self.hears(second, "FOUND a a")

    def test_own_subscription(self) -> None:
        """
        A listener of v4+ may provide what it alone subscribes to. See test_sole_subscribers for others.
        """
        both = self.stage.listener("a")
        self.stage.subscribe(both, "a")
        self.hears(both, "FOUND a a", "ACK SUBSCRIBE")
        self.stage.accept(both, "a", "a")
        self.hears(both, "PROVIDED a")
        self.stage.unsubscribe(both, "a")
        self.hears(both, "REMOVED a a", "ACK UNSUBSCRIBE")
        self.stage.subscribe(both, "a")
        self.stage.accept(both, "a", "a")
        both.close()
        self.assertFalse(self.stage.listeners.provided("a"))
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    # -- endings

    def test_offered_again(self) -> None:
        """
        A name that is wanted again is offered again, to the same listener as well.
        """
        listener = self.stage.listener("a")
        for _ in range(3):
            subscriber = self.stage.subscriber("a")
            self.hears(listener, "FOUND a a")
            self.stage.accept(listener, "a", "a")
            subscriber.close()
            self.hears(listener, "REMOVED a a")

    def test_provider_unlistens(self) -> None:
        """
        A provider that stops listening is told nothing. Before it gets its acknowledgement, the subscribers are told
        that their name has no provider, and the next listener is asked.
        """
        said: list[str] = []

        class Speaking(FakeConnection):
            def write(self, frame: Message) -> None:
                said.append(frame.action.name)

        ann, bob, subscriber = Speaking(), Speaking(), Speaking()
        for connection in (ann, bob):
            self.stage.listen(connection, "a")
        self.stage.subscribe(subscriber, "a")
        self.stage.accept(ann, "a", "a")
        said.clear()
        self.stage.unlisten(ann, "a")
        told = ["SUBSCRIPTION_HAS_NO_PROVIDER"] if self.topic is Topic.RECORD else []
        self.assertEqual(said, [*told, "SUBSCRIPTION_FOR_PATTERN_FOUND", "UNLISTEN"])

    def test_listen_again(self) -> None:
        """
        A client that stopped listening and began again is offered the name a second time.
        """
        listener, subscriber = self.stage.listener("a"), self.stage.subscriber("a")
        self.stage.accept(listener, "a", "a")
        self.stage.unlisten(listener, "a")
        self.stage.listen(listener, "a")
        self.hears(listener, "FOUND a a", "ACK UNLISTEN a", "ACK LISTEN a", "FOUND a a")
        self.stage.accept(listener, "a", "a")
        self.hears(subscriber, "PROVIDED a", "UNPROVIDED a", "PROVIDED a")

    def test_provider_disconnects(self) -> None:
        """
        When a provider is gone the subscribers are told, and the next one is asked, also about other names.
        """
        ann, bob = self.stage.listener("a"), self.stage.listener("a")
        subscribers = [self.stage.subscriber(name) for name in ("a1", "a2")]
        for name in ("a1", "a2"):
            self.stage.accept(ann, "a", name)
        ann.close()
        self.hears(bob, "FOUND a a1", "FOUND a a2")
        self.stage.accept(bob, "a", "a1")
        self.stage.reject(bob, "a", "a2")
        self.hears(subscribers[0], "PROVIDED a1", "UNPROVIDED a1", "PROVIDED a1")
        self.hears(subscribers[1], "PROVIDED a2", "UNPROVIDED a2")

    def test_provider_keeps_other_pattern(self) -> None:
        """
        A client that stops listening to one pattern keeps the names that it provides under another.
        """
        listener = self.stage.listener("a", "b")
        subscriber = self.stage.subscriber("a")
        self.stage.accept(listener, "a", "a")
        self.stage.unlisten(listener, "b")
        self.assertTrue(self.stage.listeners.provided("a"))
        self.hears(subscriber, "PROVIDED a")

    def test_asked_under_other_pattern(self) -> None:
        """
        A provider that stops listening to one pattern may be asked again under another one.
        """
        listener = self.stage.listener("a", "ab")
        self.stage.subscriber("ab")
        self.stage.accept(listener, "a", "ab")
        self.stage.unlisten(listener, "a")
        self.hears(listener, "FOUND a ab", "FOUND ab ab", "ACK UNLISTEN a")

    def test_last_subscriber_while_asking(self) -> None:
        """
        When the last subscriber leaves, no other listener is asked, and one that accepts after that is told to stop.
        """
        ann, bob = self.stage.listener("a"), self.stage.listener("a")
        self.stage.subscriber("a").close()
        self.stage.accept(ann, "a", "a")
        self.stage.clock.advance(1)
        self.hears(ann, "FOUND a a", "REMOVED a a")
        self.hears(bob)

    def test_reply_to_first_question(self) -> None:
        """
        A listener that was asked, lost the subscriber, and is asked again, may answer either question.
        """
        for dialect in (TEXT, PROTOBUF):
            listener = self.stage.listener("a", dialect=dialect)
            self.stage.subscriber("a").close()
            subscriber = self.stage.subscriber("a")
            self.stage.accept(listener, "a", "a")
            self.stage.accept(listener, "a", "a")
            self.hears(listener, "FOUND a a", "FOUND a a")
            self.hears(subscriber, "PROVIDED a")
            listener.close()
            subscriber.close()

    # -- answers nobody waits for

    def test_w7_accept_only_from_the_asked(self) -> None:
        """
        W7: only a listener that was asked can get a name. v4+ clients are told to stop, text clients that this was
        invalid.
        """
        for dialect, answer in ((TEXT, "INVALID_MESSAGE a"), (PROTOBUF, "REMOVED a a")):
            asked = self.stage.listener("a")
            waiting = self.stage.listener("a", dialect=dialect)
            stranger = self.connect(dialect=dialect)
            subscriber = self.stage.subscriber("a")
            for connection in (waiting, stranger):
                self.stage.accept(connection, "a", "a")
                self.hears(connection, answer)
            self.stage.accept(asked, ".*", "a")
            self.hears(subscriber)
            self.hears(asked, "FOUND a a", "REMOVED .* a")
            self.stage.accept(asked, "a", "a")
            self.stage.accept(waiting, "a", "a")
            self.hears(waiting, answer)
            self.hears(subscriber, "PROVIDED a")
            for connection in (asked, waiting, subscriber):
                connection.close()

    def test_w7_reject_only_from_the_asked(self) -> None:
        """
        W7: a listener cannot decline for another. Text clients are told; v4+ clients have nothing to stop.
        """
        for dialect, answers in ((TEXT, ["INVALID_MESSAGE a"]), (PROTOBUF, [])):
            asked, stranger = self.stage.listener("a"), self.stage.listener("a", dialect=dialect)
            subscriber = self.stage.subscriber("a")
            self.stage.reject(stranger, "a", "a")
            self.hears(stranger, *answers)
            self.stage.accept(asked, "a", "a")
            self.stage.reject(asked, "a", "a")
            self.assertTrue(self.stage.listeners.provided("a"))
            for connection in (asked, stranger, subscriber):
                connection.close()

    def test_w37_unasked(self) -> None:
        """
        W37: an answer about a name without subscribers is answered, too.
        """
        young, old = self.connect(), self.connect(dialect=TEXT)
        for connection in (young, old):
            self.stage.accept(connection, "a", "b")
            self.stage.reject(connection, "a", "b")
        self.hears(young, "REMOVED a b")
        self.hears(old, "INVALID_MESSAGE a", "INVALID_MESSAGE a")

    def test_w34_late_accept_of_free_name(self) -> None:
        """
        W34: who accepts too late gets the name if it is still free.
        """
        for dialect in (TEXT, PROTOBUF):
            listener, subscriber = self.stage.listener("a", dialect=dialect), self.stage.subscriber("a")
            self.stage.clock.advance(0.5)
            self.hears(listener, "FOUND a a", "TIMEOUT a")
            self.stage.accept(listener, "a", "a")
            self.hears(subscriber, "PROVIDED a")
            subscriber.close()
            self.hears(listener, "REMOVED a a")
            listener.close()

    def test_w34_late_accept_of_taken_name(self) -> None:
        """
        W34: a listener that accepts too late is told to stop if another one provides the name or is being asked, or if
        the name has no subscriber.
        """
        for dialect in (TEXT, PROTOBUF):
            slow, fast = self.stage.listener("a", dialect=dialect), self.stage.listener("a")
            subscriber = self.stage.subscriber("a")
            self.stage.clock.advance(0.5)
            slow.take()
            self.stage.accept(slow, "a", "a")
            self.hears(slow, "REMOVED a a")
            self.stage.accept(fast, "a", "a")
            self.hears(subscriber, "PROVIDED a")
            for connection in (slow, fast, subscriber):
                connection.close()
            slow, fast = self.stage.listener("a", dialect=dialect), self.stage.listener("a")
            subscriber = self.stage.subscriber("a")
            self.stage.clock.advance(0.5)
            self.stage.accept(fast, "a", "a")
            slow.take()
            self.stage.accept(slow, "a", "a")
            self.hears(slow, "REMOVED a a")
            subscriber.close()
            for connection in (slow, fast):
                connection.close()

    def test_w34_late_accept_counts_once(self) -> None:
        """
        W34: an answer that came late is settled; the next one is unasked.
        """
        slow, fast = self.stage.listener("a", dialect=TEXT), self.stage.listener("a")
        self.stage.subscriber("a")
        self.stage.clock.advance(0.5)
        self.stage.accept(fast, "a", "a")
        slow.take()
        self.stage.accept(slow, "a", "a")
        self.stage.accept(slow, "a", "a")
        self.hears(slow, "REMOVED a a", "INVALID_MESSAGE a")

    def test_late_reject(self) -> None:
        """
        A late rejection changes nothing and is not complained about.
        """
        for dialect in (TEXT, PROTOBUF):
            slow, fast = self.stage.listener("a", dialect=dialect), self.stage.listener("a")
            subscriber = self.stage.subscriber("a")
            self.stage.clock.advance(0.5)
            slow.take()
            self.stage.reject(slow, "a", "a")
            self.hears(slow)
            self.stage.accept(fast, "a", "a")
            self.hears(subscriber, "PROVIDED a")
            for connection in (slow, fast, subscriber):
                connection.close()

    def test_unlisten_settles(self) -> None:
        """
        A client that stopped listening cannot accept names late that it was asked about before. Unanswered offers under
        other patterns stay.
        """
        listener, subscriber = self.stage.listener("a", "aa"), self.stage.subscriber("aa")
        self.stage.clock.pump([0.5, 0.5])
        self.stage.unlisten(listener, "a")
        listener.take()
        self.stage.accept(listener, "a", "aa")
        self.hears(listener, "REMOVED a aa")
        self.hears(subscriber)
        self.stage.accept(listener, "aa", "aa")
        self.hears(subscriber, "PROVIDED aa")

    def test_w56_unanswered_bounded(self) -> None:
        """
        W56: of a listener that never answers only so many questions are remembered, the latest ones.
        """
        listener = self.stage.listener("a", dialect=TEXT)
        names = [f"a{number}" for number in range(MAX_UNANSWERED_OFFERS + 1)]
        for name in names:
            self.stage.subscriber(name)
        self.stage.clock.advance(0.5)
        listener.take()
        for name in names:
            self.stage.reject(listener, "a", name)
        self.hears(listener, "INVALID_MESSAGE a")

    def test_unanswered_keeps_the_latest(self) -> None:
        """
        A question that was asked again counts as new when the oldest are forgotten.
        """
        listener = self.stage.listener("a", dialect=TEXT)
        self.stage.subscriber("a0").close()
        self.stage.subscriber("a1").close()
        self.stage.subscriber("a0").close()
        for number in range(2, MAX_UNANSWERED_OFFERS + 1):
            self.stage.subscriber(f"a{number}").close()
        listener.take()
        self.stage.reject(listener, "a", "a0")
        self.hears(listener)
        self.stage.reject(listener, "a", "a1")
        self.hears(listener, "INVALID_MESSAGE a")

    # -- weaknesses of the Node server

    def test_w33_unrelated_unlisten(self) -> None:
        """
        W33: who stops listening to something else, or leaves, does not disturb a search.
        """
        first, second, other = (self.stage.listener(pattern) for pattern in ("a", "a", "b"))
        gone = self.stage.listener("c")
        self.stage.listen(first, "d")
        first.take()
        subscriber = self.stage.subscriber("a")
        self.stage.unlisten(first, "d")
        self.stage.unlisten(other, "b")
        gone.close()
        self.hears(second)
        self.stage.reject(first, "a", "a")
        self.hears(second, "FOUND a a")
        self.stage.accept(second, "a", "a")
        self.hears(subscriber, "PROVIDED a")

    def test_w33_waiting_leaves(self) -> None:
        """
        W33: just who leaves is not asked any more; the others are.
        """
        for leave in (self.stage.unlisten, lambda connection, _: connection.close()):
            first, leaver, last = (self.stage.listener("a") for _ in range(3))
            subscriber = self.stage.subscriber("a")
            leave(leaver, "a")
            leaver.take()
            self.stage.reject(first, "a", "a")
            self.hears(leaver)
            self.hears(last, "FOUND a a")
            for connection in (first, last, subscriber, leaver):
                connection.close()

    def test_comes_back_while_waiting(self) -> None:
        """
        A listener that stops while it waits to be asked, and listens again, waits behind the others, and is asked once.
        """
        first, back, last = (self.stage.listener("a") for _ in range(3))
        self.stage.subscriber("a")
        self.stage.unlisten(back, "a")
        self.stage.listen(back, "a")
        back.take()
        self.stage.reject(first, "a", "a")
        self.hears(back)
        self.hears(last, "FOUND a a")
        self.stage.reject(last, "a", "a")
        self.hears(back, "FOUND a a")
        self.stage.reject(back, "a", "a")
        self.hears(back)

    def test_w33_asked_leaves(self) -> None:
        """
        W33: when the one that is being asked leaves, the next is asked at once.
        """
        for leave in (self.stage.unlisten, lambda connection, _: connection.close()):
            leaver, last = self.stage.listener("a"), self.stage.listener("a")
            subscriber = self.stage.subscriber("a")
            leave(leaver, "a")
            self.hears(last, "FOUND a a")
            self.stage.clock.advance(0.4)
            self.stage.accept(last, "a", "a")
            self.hears(subscriber, "PROVIDED a")
            for connection in (last, subscriber, leaver):
                connection.close()

    def test_w33_all_leave(self) -> None:
        """
        W33: when a listener leaves all searches go on without it, under whatever patterns it listened.
        """
        leaver, last = self.stage.listener("a", "b"), self.stage.listener("ab")
        for name in ("ab", "b"):
            self.stage.subscriber(name)
        leaver.close()
        self.hears(leaver, "FOUND a ab", "FOUND b b")
        self.hears(last, "FOUND ab ab")

    def test_w35_one_search_a_name(self) -> None:
        """
        W35: however long a search takes, whatever comes meanwhile, one listener at a time is asked about a name.
        """
        self.stage = self.make(rematch_interval=2.0, match_cooldown=0.0)
        silent = [self.stage.listener("a") for _ in range(20)]
        self.stage.subscriber("a")
        asked = []
        for number in range(20):
            self.stage.subscriber("a")
            self.assertEqual(self.stage.heard(self.stage.listener("a")), [])
            asked.append([index for index, connection in enumerate(silent) if connection.take()[-1:]])
            self.stage.clock.advance(0.5)
            self.assertEqual(self.stage.heard(silent[number])[-1:], ["TIMEOUT a"])
        self.assertEqual(asked, [[number] for number in range(20)])

    def test_w39_one_close_callback(self) -> None:
        """
        W39: thousands of short-lived names leave nothing behind at their provider.
        """
        listener, subscriber = self.stage.listener("a"), self.connect()
        before = entries(self.stage.listeners)
        for number in range(3000):
            name = f"a{number}"
            self.stage.subscribe(subscriber, name)
            self.stage.accept(listener, "a", name)
            self.stage.unsubscribe(subscriber, name)
            self.stage.unlisten(listener, "b")
            if number % 100 == 0:
                self.stage.unlisten(listener, "a")
                self.stage.listen(listener, "a")
        self.assertEqual(len(listener.callbacks), 1)
        self.assertEqual(entries(self.stage.listeners), before)

    def test_stop(self) -> None:
        """
        Stopping leaves no timer, whatever goes on, and a second stop does no harm.
        """
        self.stage.listener("a", "b")
        for name in ("a", "b", "ab"):
            self.stage.subscriber(name)
        self.assertEqual(len(self.stage.clock.getDelayedCalls()), 2)
        self.stage.listeners.stop()
        self.stage.listeners.stop()
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])

    def test_leave_after_stop(self) -> None:
        """
        Clients that go after the stop leave no timer either.
        """
        ann, bob = self.stage.listener("a"), self.stage.listener("a")
        subscribers = [self.stage.subscriber(name) for name in ("a1", "a2")]
        self.stage.accept(ann, "a", "a1")
        self.stage.listeners.stop()
        for connection in (ann, bob, *subscribers):
            connection.close()
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])


@for_each_requester
class EventListeningTests(ListeningTests):
    """
    L{ListenerRegistry} of events: the same, except that subscribers are not told of providers.
    """

    topic = Topic.EVENT


@for_each_requester
class RevocationTests(RequesterTestCase):
    """
    Listeners that end although their client did not ask for that.
    """

    def setUp(self) -> None:
        self.stage = Stage(connect=self.connect)
        self.listeners = self.stage.listeners

    def test_interface(self) -> None:
        """
        L{ListenerRegistry} provides L{IRevocable}.
        """
        verifyObject(IRevocable, self.listeners)

    def test_provider(self) -> None:
        """
        A provider is told what to provide no longer, and the next listener is asked.
        """
        ann, bob = self.stage.listener("a.*", "b.*"), self.stage.listener("a.*")
        cat = self.stage.subscriber("abc")
        self.stage.accept(ann, "a.*", "abc")
        ann.take(), cat.take()
        self.assertTrue(self.listeners.revoke("a.*", ann))
        self.assertEqual(self.stage.heard(ann), ["REMOVED a.* abc"])
        self.assertEqual(self.stage.heard(bob), ["FOUND a.* abc"])
        self.assertEqual(self.stage.heard(cat), ["UNPROVIDED abc"])
        self.assertEqual(self.listeners.names_of(ann), ["b.*"])
        self.assertEqual((self.listeners.holds("a.*", ann), self.listeners.holds("b.*", ann)), (False, True))
        self.assertEqual(list(self.listeners.connections()), [ann, bob])

    def test_being_asked(self) -> None:
        """
        A listener that is being asked is asked no more; if it accepts all the same it is told to stop.
        """
        ann, bob = self.stage.listener("a.*"), self.stage.listener("a.*")
        self.stage.subscriber("abc")
        ann.take()
        self.listeners.revoke("a.*", ann)
        self.assertEqual(self.stage.heard(bob), ["FOUND a.* abc"])
        self.stage.accept(ann, "a.*", "abc")
        self.assertEqual(self.stage.heard(ann), ["REMOVED a.* abc"])
        self.stage.accept(bob, "a.*", "abc")
        self.assertTrue(self.listeners.provided("abc"))

    def test_unlisten(self) -> None:
        """
        A client that ends what it has lost gets the acknowledgement that it waits for, each time.
        """
        ann = self.stage.listener("a.*", dialect=TEXT)
        self.listeners.revoke("a.*", ann)
        self.stage.unlisten(ann, "a.*")
        self.stage.unlisten(ann, "a.*")
        self.assertEqual(self.stage.heard(ann), ["ACK UNLISTEN a.*", "ACK UNLISTEN a.*"])

    def test_listen_again(self) -> None:
        """
        A client that is permitted to listen again listens like any other.
        """
        ann = self.stage.listener("a.*", dialect=TEXT)
        self.listeners.revoke("a.*", ann)
        self.stage.listen(ann, "a.*")
        self.stage.unlisten(ann, "a.*")
        self.stage.unlisten(ann, "a.*")
        self.assertEqual(self.stage.heard(ann), ["ACK LISTEN a.*", "ACK UNLISTEN a.*", "ACK UNLISTEN a.*"])

    def test_bound(self) -> None:
        """
        A client's revoked listeners are remembered up to the number of patterns that it may have, and until it is gone.
        """
        stage = Stage(connect=self.connect, max_patterns=2)
        before = entries(stage.listeners)
        ann = stage.listener(dialect=TEXT)
        for pattern in "abc":
            stage.listen(ann, pattern)
            stage.listeners.revoke(pattern, ann)
        ann.take()
        for pattern in "abc":
            stage.unlisten(ann, pattern)
        self.assertEqual(stage.heard(ann), ["ACK UNLISTEN a", "ACK UNLISTEN b", "ACK UNLISTEN c"])
        ann.close()
        self.assertEqual(entries(stage.listeners), before)

    def test_unknown(self) -> None:
        """
        A client that does not listen loses nothing.
        """
        ann, bob = self.stage.listener("a.*"), self.connect()
        self.assertEqual([self.listeners.revoke("b", ann), self.listeners.revoke("a.*", bob)], [False, False])
        self.assertEqual((self.listeners.names_of(bob), self.listeners.holds("a.*", bob)), ([], False))
