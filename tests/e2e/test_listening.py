"""
Listening (active data providers) for events, in every pairing of the generations: one provides, the other subscribes.
"""

from __future__ import annotations

from tests.e2e.scenario import ORDERLY, PairScenario, for_each_pairing_and_codec


@for_each_pairing_and_codec
class ListeningTests(PairScenario):
    """
    A provider is asked for what others want, and told when nobody wants it any more.
    """

    def test_two_names(self) -> None:
        """
        EL2: One listener accepts two names of one pattern; a name that does not match is not offered.
        """
        provider, subscriber = self.one(), self.other()
        pattern = self.name("one/.*")
        provider.listen(pattern)
        for name in ("one/a", "two/a", "one/b"):
            subscriber.subscribe(self.name(name))
        provider.wait_for_report(2, "offer")
        self.fence(subscriber, provider)
        self.assertEqual(provider.offers(), [(pattern, self.name("one/a")), (pattern, self.name("one/b"))])
        self.assertEqual(provider.stops(), [])

    def test_provide(self) -> None:
        """
        EL1: What an accepted provider emits reaches the subscriber; the last subscriber that leaves ends the provision,
        and a renewed subscription is offered again.
        """
        provider, subscriber, another = self.one(), self.other(), self.one()
        pattern, name = self.name("p/.*"), self.name("p/x")
        provider.listen(pattern)
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        another.subscribe(name)
        provider.emit(name, "[1]")
        self.assertEqual(subscriber.wait_for_values(name, 1), ["[1]"])
        subscriber.unsubscribe(name)
        self.fence(subscriber, provider)
        self.assertEqual((provider.offers(), provider.stops()), ([(pattern, name)], []))
        another.unsubscribe(name)
        provider.wait_for_report(1, "stop", name=name)
        subscriber.subscribe(name)
        provider.wait_for_report(2, "offer", name=name)
        self.assertEqual(provider.stops(), [(pattern, name)])

    def test_subscribed_before(self) -> None:
        """
        A listener that comes later is offered what is subscribed already.
        """
        provider, subscriber = self.one(), self.other()
        pattern, name = self.name("early/.*"), self.name("early/x")
        subscriber.subscribe(name)
        provider.listen(pattern)
        provider.wait_for_report(1, "offer", name=name)
        self.fence(subscriber, provider)
        self.assertEqual(provider.offers(), [(pattern, name)])

    def test_subscriber_gone(self) -> None:
        """
        A subscriber whose connection closes counts as one that unsubscribed.
        """
        provider, subscriber = self.one(), self.other()
        pattern, name = self.name("gone/.*"), self.name("gone/x")
        provider.listen(pattern)
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        subscriber.close()
        provider.wait_for_report(1, "stop", name=name)

    def test_listen_again(self) -> None:
        """
        EL3: Listen, accept, unlisten, listen again: the name is offered a second time.
        """
        provider, subscriber = self.one(), self.other()
        pattern, name = self.name("again/.*"), self.name("again/x")
        provider.listen(pattern)
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        provider.unlisten(pattern)
        provider.listen(pattern)
        provider.wait_for_report(2, "offer", name=name)
        self.fence(subscriber, provider)
        self.assertEqual((provider.offers(), provider.stops()), ([(pattern, name)] * 2, []))

    def test_reject(self) -> None:
        """
        EL4: Of two listeners the first rejects: the second is asked, and accepts.
        """
        refuser, provider, subscriber = self.one(), self.other(), self.other()
        pattern, name = self.name("r/.*"), self.name("r/x")
        refuser.listen(pattern, "reject")
        provider.listen(pattern)
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        self.fence(subscriber, refuser)
        self.assertEqual((refuser.offers(), provider.offers()), ([(pattern, name)], [(pattern, name)]))
        subscriber.unsubscribe(name)
        provider.wait_for_report(1, "stop", name=name)
        self.fence(subscriber, refuser)
        self.assertEqual(refuser.stops(), [])

    def test_several_reject(self) -> None:
        """
        EL7, EL8: Of three listeners, and of four, all but the last reject: each is asked exactly once, in turn.
        """
        for count in (3, 4):
            listeners = [(self.one, self.other)[number % 2]() for number in range(count)]
            pattern, name = self.name(f"m{count}/.*"), self.name(f"m{count}/x")
            for listener in listeners[:-1]:
                listener.listen(pattern, "reject")
            listeners[-1].listen(pattern)
            subscriber = self.other()
            subscriber.subscribe(name)
            listeners[-1].wait_for_report(1, "offer", name=name)
            for listener in listeners:
                self.fence(listeners[-1], listener)
            self.assertEqual([listener.offers() for listener in listeners], [[(pattern, name)]] * count)

    def test_accept(self) -> None:
        """
        EL5: Of two listeners the first accepts: the second is not asked.
        """
        provider, spare, subscriber = self.one(), self.other(), self.other()
        pattern, name = self.name("a/.*"), self.name("a/x")
        provider.listen(pattern)
        spare.listen(pattern)
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        # The answer of the provider has been handled when something it sent after it has arrived.
        self.fence(provider, spare)
        self.assertEqual(spare.offers(), [])

    def test_handover(self) -> None:
        """
        EL9: The active provider unlistens: another listener is asked.
        """
        provider, spare, subscriber = self.one(), self.other(), self.other()
        pattern, name = self.name("h/.*"), self.name("h/x")
        provider.listen(pattern)
        spare.listen(pattern)
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        provider.unlisten(pattern)
        spare.wait_for_report(1, "offer", name=name)
        self.assertEqual((provider.offers(), provider.stops()), ([(pattern, name)], []))

    def test_provider_gone(self) -> None:
        """
        The active provider's connection closes: another listener is asked.
        """
        provider, spare, subscriber = self.one(), self.other(), self.other()
        pattern, name = self.name("g/.*"), self.name("g/x")
        provider.listen(pattern)
        spare.listen(pattern)
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        provider.close()
        spare.wait_for_report(1, "offer", name=name)

    def test_invalid_pattern(self) -> None:
        """
        A pattern that is no regular expression is refused with an error, and the client goes on.
        """
        provider, subscriber = self.one(), self.other()
        name = self.name("still")
        provider.subscribe(name)
        provider.start_listen(self.name("broken("))
        provider.expect_error({"v2": "INVALID_MESSAGE_DATA", "v7": "INVALID_LISTEN_REGEX"}[self.first])
        subscriber.emit(name, "1")
        self.assertEqual(provider.wait_for_values(name, 1), ["1"])
        # Neither library takes that error for an answer, so both would complain of the missing one in a moment.
        provider.close()


@for_each_pairing_and_codec
class SilenceTests(PairScenario):
    """
    A provider that does not say whether it accepts.
    """

    config = ORDERLY

    def test_silence(self) -> None:
        """
        A listener that does not answer in time is passed over.
        """
        sleeper, provider, subscriber = self.one(), self.other(), self.other()
        pattern, name = self.name("s/.*"), self.name("s/x")
        sleeper.listen(pattern, "silence")
        provider.listen(pattern)
        # A v7 client has no notion of that answer, and raises whatever it does not know.
        sleeper.tolerate_error("UNSOLICITED_MESSAGE")
        subscriber.subscribe(name)
        provider.wait_for_report(1, "offer", name=name)
        self.assertEqual(sleeper.offers(), [(pattern, name)])
