"""
Listening (active data providers) for records, in every pairing of the generations: one provides, the other holds.
"""

from __future__ import annotations

from tests.e2e.clients import Client
from tests.e2e.records import Record, RecordList
from tests.e2e.scenario import HERE, PATIENT, PairScenario, for_each_pairing_and_codec

#: Discarded records are unsubscribed at once.
EAGER = {"v7": {"subscriptionInterval": 10, "recordDiscardTimeout": 1}}

HASTY = HERE / "hasty.yml"


class Providing(PairScenario):
    """
    What both kinds of server are asked.
    """

    options = EAGER
    config = PATIENT

    def setUp(self) -> None:
        super().setUp()
        self.provider, self.holder = self.one(), self.other()
        self.pattern, self.wanted = self.name("p/.*"), self.name("p/x")

    def listen(self, client: Client, otherwise: str | list[str] = "accept") -> None:
        client.listen(self.pattern, otherwise, "record")

    def offered(self, client: Client, count: int = 1) -> None:
        client.wait_for_report(count, "offer", name=self.wanted)

    def stopped(self, client: Client, count: int = 1) -> None:
        client.wait_for_report(count, "stop", name=self.wanted)

    def has_provider(self, record: Record, *changes: bool) -> None:
        """
        Come back when the record's holder was told, in turn, that there is a provider, or is none.
        """
        record.wait_for_event("hasProviderChanged", len(changes))
        self.assertEqual(record.events("hasProviderChanged"), [str(change).lower() for change in changes])
        self.assertEqual(record.has_provider, changes[-1])


@for_each_pairing_and_codec
class RecordListeningTests(Providing):
    """
    A provider is asked for what others hold, and they are told that there is one.
    """

    def test_accept(self) -> None:
        """
        Who holds the record is told of the provider, and gets what it writes; so does who gets the record later.
        """
        record = Record(self.holder, self.wanted)
        self.assertFalse(record.has_provider)
        self.listen(self.provider)
        self.has_provider(record, True)
        self.provider.set_data(self.wanted, '{"provided":1}')
        record.until('{"provided":1}')
        for late in (self.one(), self.other()):
            other = Record(late, self.wanted)
            other.until('{"provided":1}')
            self.has_provider(other, True)
        self.assertEqual(self.provider.offers(), [(self.pattern, self.wanted)])

    def test_own_subscription(self) -> None:
        """
        A provider that holds what it provides is told to stop when the other holder leaves, if it is of v2; it is asked
        again when that one comes back. A provider of v7 counts like any other holder.
        """
        self.listen(self.provider)
        record = Record(self.holder, self.wanted)
        self.offered(self.provider)
        own = Record(self.provider, self.wanted)
        own.set('{"provided":1}')
        record.until('{"provided":1}')
        for count in (1, 2):
            record.drop()
            self.fence(self.holder, self.provider)
            self.fence(self.provider, self.holder)
            if self.first == "v2":
                self.stopped(self.provider, count)
                self.assertFalse(own.has_provider)
            else:
                self.assertEqual(self.provider.stops(), [])
            record = Record(self.holder, self.wanted)
            if self.first == "v2":
                self.offered(self.provider, count + 1)
            record.wait_for_event("hasProviderChanged")
        own.drop()
        self.fence(self.provider, self.holder)
        self.assertEqual(len(self.provider.stops()), 2 if self.first == "v2" else 0)
        record.drop()
        self.stopped(self.provider, 3 if self.first == "v2" else 1)

    def test_listened_before(self) -> None:
        """
        A listener that was there before is asked when the record is got; a name that does not match is not offered.
        """
        self.listen(self.provider)
        other = Record(self.holder, self.name("other"))
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.fence(self.holder, self.provider)
        self.assertEqual(self.provider.offers(), [(self.pattern, self.wanted)])
        self.assertFalse(other.has_provider)

    def test_two_names(self) -> None:
        """
        One listener provides several names of one pattern.
        """
        self.listen(self.provider)
        for rest in ("p/x", "p/y"):
            self.has_provider(Record(self.holder, self.name(rest)), True)
        offers = [(self.pattern, self.name("p/x")), (self.pattern, self.name("p/y"))]
        self.assertEqual(self.provider.offers(), offers)

    def test_last_one_leaves(self) -> None:
        """
        The last one who discards the record ends the provision, and not before; got again, it is offered again.
        """
        another = self.one()
        self.listen(self.provider)
        records = [Record(client, self.wanted) for client in (self.holder, another)]
        for record in records:
            self.has_provider(record, True)
        records[0].drop()
        self.fence(self.holder, self.provider)
        self.assertEqual(self.provider.stops(), [])
        records[1].drop()
        self.stopped(self.provider)
        self.has_provider(Record(another, self.wanted, key="again"), True, True)
        # In a cluster the node of the holder may not know yet that there was no provider for a moment.
        self.offered(self.provider, 2)
        self.assertEqual(self.provider.offers(), [(self.pattern, self.wanted)] * 2)

    def test_holder_gone(self) -> None:
        """
        A holder whose connection closes counts as one that discarded.
        """
        self.listen(self.provider)
        Record(self.holder, self.wanted)
        self.offered(self.provider)
        self.holder.close()
        self.stopped(self.provider)

    def test_deleted(self) -> None:
        """
        Nobody holds a deleted record, so its provision ends.
        """
        self.listen(self.provider)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        record.delete()
        self.stopped(self.provider)

    def test_reject(self) -> None:
        """
        Of two listeners the first rejects: the second is asked, and is the provider.
        """
        second = self.other()
        self.listen(self.provider, "reject")
        self.listen(second)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.assertEqual([len(client.offers()) for client in (self.provider, second)], [1, 1])
        record.discard()
        self.stopped(second)
        self.fence(self.holder, self.provider)
        self.assertEqual(self.provider.stops(), [])

    def test_all_reject(self) -> None:
        """
        If all reject there is no provider, and each was asked once.
        """
        second = self.other()
        self.listen(self.provider, "reject")
        self.listen(second, "reject")
        record = Record(self.holder, self.wanted)
        self.offered(second)
        self.fence(second, self.holder)
        self.assertEqual(record.events("hasProviderChanged"), [])
        self.assertFalse(record.has_provider)
        self.assertEqual([len(client.offers()) for client in (self.provider, second)], [1, 1])

    def test_first_accepts(self) -> None:
        """
        Of two listeners the first accepts: the second is not asked.
        """
        spare = self.other()
        self.listen(self.provider)
        self.listen(spare)
        self.has_provider(Record(self.holder, self.wanted), True)
        self.fence(self.holder, spare)
        self.assertEqual(spare.offers(), [])

    def test_listen_again(self) -> None:
        """
        Unlisten, and listen again: holders are told of both, and the name is offered again.
        """
        self.listen(self.provider)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.provider.unlisten(self.pattern, "record")
        self.has_provider(record, True, False)
        self.listen(self.provider)
        self.has_provider(record, True, False, True)
        self.assertEqual((len(self.provider.offers()), self.provider.stops()), (2, []))

    def test_handover(self) -> None:
        """
        The provider unlistens: holders are told that there is none, another is asked, and they are told of that one.
        """
        spare = self.other()
        self.listen(self.provider)
        self.listen(spare)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.provider.unlisten(self.pattern, "record")
        self.has_provider(record, True, False, True)
        spare.set_data(self.wanted, '{"from":"spare"}')
        record.until('{"from":"spare"}')

    def test_provider_gone(self) -> None:
        """
        The same if the provider's connection closes.
        """
        spare = self.other()
        self.listen(self.provider)
        self.listen(spare)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.provider.close()
        self.has_provider(record, True, False, True)
        self.offered(spare)

    def test_lists(self) -> None:
        """
        Lists are provided as records are.
        """
        self.listen(self.provider)
        held = RecordList(self.holder, self.wanted)
        self.has_provider(held, True)
        RecordList(self.provider, self.wanted).set_entries(["a", "b"])
        held.until('["a","b"]')

    def test_looking_asks_nobody(self) -> None:
        """
        Snapshots, versions and writes of records that nobody holds are offered to nobody.
        """
        self.listen(self.provider)
        self.assertEqual(self.holder.look("has", self.wanted), "false")
        self.assertIsNone(self.holder.set_data_with_ack(self.wanted, '{"a":1}'))
        self.assertEqual(self.holder.look("head", self.wanted), "1")
        self.assertEqual(self.holder.look("snapshot", self.wanted), '{"a":1}')
        self.fence(self.holder, self.provider)
        self.assertEqual(self.provider.offers(), [])

    def test_invalid_pattern(self) -> None:
        """
        A pattern that is no regular expression is refused with an error, and the client goes on.
        """
        self.provider.start_listen(self.name("broken("), topic="record")
        self.provider.expect_error({"v2": "INVALID_MESSAGE_DATA", "v7": "INVALID_LISTEN_REGEX"}[self.first])
        record = Record(self.provider, self.wanted)
        record.set('{"a":1}')
        Record(self.holder, self.wanted).until('{"a":1}')
        # Neither library takes that error for an answer, so both would complain of the missing one in a moment.
        self.provider.close()


@for_each_pairing_and_codec
class HastyTests(Providing):
    """
    Providers that do not answer, change their mind, or die.
    """

    config = HASTY

    def test_silence(self) -> None:
        """
        A listener that does not answer in time is passed over, and is no provider.
        """
        second = self.other()
        # A v7 client has no notion of that answer, and raises whatever it does not know.
        self.provider.tolerate_error("UNSOLICITED_MESSAGE")
        self.listen(self.provider, "silence")
        self.listen(second)
        record = Record(self.holder, self.wanted)
        self.offered(second)
        self.has_provider(record, True)
        self.provider.close()
        second.unlisten(self.pattern, "record")
        self.has_provider(record, True, False)

    def test_rematch(self) -> None:
        """
        Who rejected is asked again after a while, and may accept then.
        """
        self.listen(self.provider, ["reject", "accept"])
        record = Record(self.holder, self.wanted)
        self.offered(self.provider, 2)
        self.has_provider(record, True)

    def test_provider_killed(self) -> None:
        """
        The provider's process dies, without a word: holders are told, and another provider is asked.
        """
        mortal, spare = self.mortal(self.first, self.at), self.other()
        self.listen(mortal)
        record = Record(self.holder, self.wanted)
        self.has_provider(record, True)
        self.listen(spare)
        self.kill(mortal)
        self.has_provider(record, True, False, True)
        self.offered(spare)
