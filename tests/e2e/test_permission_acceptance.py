"""
The acceptance criteria of permissions that need one node: events (EP), records (RX, RDP), procedures (PX), presence
(PP).

A is a client of the first generation of each pairing, B of the second. What they may do is in
C{complex_permissions.yml}.
"""

from __future__ import annotations

from typing import Any

from tests.e2e.clients import Client
from tests.e2e.records import Record
from tests.e2e.scenario import HERE, IMPATIENT_CLIENT, QUICK, PairScenario, for_each_pairing

DENIED = "MESSAGE_DENIED"

#: What each generation calls a topic.
TOPICS = {
    "v2": {"event": "E", "record": "R", "rpc": "P", "presence": "U"},
    "v7": {"event": "EVENT", "record": "RECORD", "rpc": "RPC", "presence": "PRESENCE"},
}


class Complex(PairScenario):
    """
    Users A (of the first generation) and B (of the second), and the complex rules.
    """

    options = QUICK
    config = HERE / "complex.yml"

    def setUp(self) -> None:
        super().setUp()
        self.a = self.user(self.first, self.at, "A")
        self.b = self.user(self.second, self.at, "B")

    def known(self, generation: str, name: str) -> Client:
        """
        A client of a user who has a password.
        """
        client = self.client(generation, self.at)
        client.login({"username": name, "password": "pw"})
        return client

    def denied(self, client: Client, topic: str, count: int = 1) -> None:
        """
        That often the client was told of something on C{topic} that it is denied, as its generation tells it, and no
        more often when it has heard all that there is.
        """
        fields: dict[str, Any] = {"event": DENIED, "topic": TOPICS[client.driver.generation][topic]}
        client.wait_for_report(count, "error", **fields)
        self.fence(client, client)
        self.assertEqual(len(client.filter("error", **fields)), count, client.reports)
        client.expect_error(DENIED)

    def at_once(self, event: str, *clients: Client) -> None:
        """
        Have clients subscribe, and do not wait: what is refused has no acknowledgement.
        """
        for client in clients:
            client.do("subscribe", event)


@for_each_pairing
class EventTests(Complex):
    """
    EP.
    """

    def test_ep1_open(self) -> None:
        """
        EP1: Where everybody may do everything, an emit reaches the subscriber.
        """
        name = self.name("open")
        self.b.subscribe(name)
        self.a.emit(name, "1")
        self.assertEqual(self.b.wait_for_values(name, 1), ["1"])

    def test_ep2_closed(self) -> None:
        """
        EP2: Where nobody may do anything, subscriber and emitter are told so, once each, and nothing is delivered.
        """
        name = f"closed/{self.name('')}"
        self.at_once(name, self.b)
        self.denied(self.b, "event")
        self.a.emit(name, "1")
        self.denied(self.a, "event")
        self.fence(self.a, self.b)
        self.assertEqual(self.b.values(name), [])

    def test_ep3_one_way(self) -> None:
        """
        EP3: Only A may publish and only B subscribe: A's emit reaches B.
        """
        name = f"a-to-b/{self.name('')}"
        self.b.subscribe(name)
        self.a.emit(name, '"hello"')
        self.assertEqual(self.b.wait_for_values(name, 1), ['"hello"'])

    def test_ep4_other_way(self) -> None:
        """
        EP4: The other way round both are denied.
        """
        name = f"a-to-b/{self.name('')}"
        self.at_once(name, self.a)
        self.denied(self.a, "event")
        self.b.emit(name, '"hello"')
        self.denied(self.b, "event")
        self.fence(self.b, self.a)
        self.assertEqual(self.a.values(name), [])

    def test_ep5_ep6_path_variable(self) -> None:
        """
        EP5, EP6: A rule about a part of the name refuses one value of it, and lets others through.
        """
        red, blue = (f"not-red/{colour}/{self.name('')}" for colour in ("red", "blue"))
        for name in (red, blue):
            self.b.subscribe(name)
            self.a.emit(name, "1")
        self.assertEqual(self.b.wait_for_values(blue, 1), ["1"])
        self.denied(self.a, "event")
        self.assertEqual(self.b.values(red), [])

    def test_ep7_no_data(self) -> None:
        """
        EP7: A rule that wants data above 10 refuses an emit without data.
        """
        name = f"above-10/{self.name('')}"
        self.b.subscribe(name)
        self.a.emit(name)
        self.denied(self.a, "event")
        self.fence(self.a, self.b)
        self.assertEqual(self.b.values(name), [])

    def test_ep8_text_as_number(self) -> None:
        """
        EP8: The same rule takes the text "12", as JavaScript compares texts with numbers; not 10.
        """
        name = f"above-10/{self.name('')}"
        self.b.subscribe(name)
        self.a.emit(name, '"12"')
        self.assertEqual(self.b.wait_for_values(name, 1), ['"12"'])
        self.a.emit(name, "10")
        self.denied(self.a, "event")

    def test_ep9_ep10_name_and_data(self) -> None:
        """
        EP9, EP10: A rule compares the name with the data, in whatever case: what fits passes, what does not is denied.
        """
        name = f"in/Berlin/{self.name('')}"
        self.b.subscribe(name)
        self.a.emit(name, '{"city":"BERLIN"}')
        self.assertEqual(self.b.wait_for_values(name, 1), ['{"city":"BERLIN"}'])
        self.a.emit(name, '{"city":"Paris"}')
        self.denied(self.a, "event")
        self.fence(self.a, self.b)
        self.assertEqual(len(self.b.values(name)), 1)

    def test_ep11_role(self) -> None:
        """
        EP11: By a rule about what the server knows of its users, both may subscribe, but only the admin's emit is
        delivered. The other is denied, and has only what it said itself.
        """
        name = f"admins/{self.name('')}"
        user, admin = self.known(self.first, "userA"), self.known(self.second, "userB")
        for client in (user, admin):
            client.subscribe(name)
        user.emit(name, '"from user"')
        self.denied(user, "event")
        admin.emit(name, '"from admin"')
        self.assertEqual(user.wait_for_values(name, 2), ['"from user"', '"from admin"'])
        self.fence(user, admin)
        self.assertEqual(admin.values(name), ['"from admin"'])


@for_each_pairing
class RecordTests(Complex):
    """
    RX.
    """

    def test_rx1_public(self) -> None:
        """
        RX1: A public record is there for both, and what A writes reaches B.
        """
        name = self.name("public")
        mine, theirs = Record(self.a, name), Record(self.b, name)
        mine.set('"x"', "a.b")
        theirs.until('{"a":{"b":"x"}}')

    def test_rx2_rx3_owner(self) -> None:
        """
        RX2, RX3: A record that is named after A: what A writes B sees; what B writes is denied, and A does not see it.
        """
        name = f"of/A/{self.name('')}"
        mine, theirs = Record(self.a, name), Record(self.b, name)
        mine.set('"mine"', "text")
        theirs.until('{"text":"mine"}')
        theirs.set('"theirs"', "text")
        self.denied(self.b, "record")
        self.fence(self.b, self.a)
        self.assertEqual((mine.get(), mine.version), ('{"text":"mine"}', 1))

    def test_rx4_old_value(self) -> None:
        """
        RX4: A rule compares what is written with what is there: of 0, 1, 3 and 2, set in one go, the last is denied.
        """
        name = f"only-up/{self.name('')}"
        mine, theirs = Record(self.a, name), Record(self.b, name)
        mine.set_all(*((None, f'{{"value":{value}}}') for value in (0, 1, 3, 2)))
        self.denied(self.a, "record")
        self.fence(self.a, self.b)
        self.assertEqual((theirs.get(), theirs.version), ('{"value":3}', 3))
        self.assertEqual(self.b.look("snapshot", name), '{"value":3}')

    def test_rx5_delete(self) -> None:
        """
        RX5: A rule for deleting looks at two parts of the name, in whatever case: either wrong part is denied.
        """
        # A v7 client waits for the end of a deletion even when it is denied; this one does so for a moment only.
        a = self.user(self.first, self.at, "A", recordDeleteTimeout=300)
        self.tolerate_output("RECORD_DELETE_TIMEOUT")
        a.tolerate_error("DELETE_TIMEOUT")
        for count, (first, last) in enumerate((("John", "Dough"), ("Jane", "Doe")), 1):
            wrong = Record(a, f"person/{first}/{last}/{self.name('')}")
            a.do("deleteRecord", wrong.key)
            a.wait_for_report(count, "error", event=DENIED)
            a.tolerate_error(DENIED)
            self.assertEqual(self.b.look("has", wrong.name), "true")
        right = f"person/jOHN/DOE/{self.name('')}"
        mine, theirs = Record(self.a, right), Record(self.b, right)
        mine.delete()
        theirs.wait_for_event("delete")
        self.assertEqual(self.b.look("has", right), "false")

    def test_rx6_other_record(self) -> None:
        """
        RX6: A rule reads another record: while there is stock it can be sold, and not if there is none, or no more.
        """
        apple, pear = (f"{fruit}-{self.serial}-{self.first}-{self.second}" for fruit in ("apple", "pear"))
        stock = Record(self.b, f"stock/{apple}")
        self.assertIn(stock.set_with_ack('{"stock":1}'), (None, "null"))
        self.assertIn(self.b.set_data_with_ack(f"stock/{pear}", '{"stock":0}'), (None, "null"))
        sale = Record(self.a, f"sale/{apple}")
        theirs = Record(self.b, f"sale/{apple}")
        sale.set('"to bob"', "sold")
        theirs.until('{"sold":"to bob"}')
        Record(self.a, f"sale/{pear}").set('"to bob"', "sold")
        self.denied(self.a, "record")
        self.assertIn(stock.set_with_ack('{"stock":0}'), (None, "null"))
        sale.set('"to eve"', "sold")
        self.denied(self.a, "record", 2)
        self.fence(self.a, self.b)
        self.assertEqual(theirs.get(), '{"sold":"to bob"}')

    def test_rx7_create(self) -> None:
        """
        RX7: Without the right to create, getting what is not there is denied, and it is not there afterwards.
        """
        name = f"not-made/{self.name('')}"
        Record(self.a, name, wait=False)
        self.a.expect_error(DENIED)
        self.assertEqual(self.b.look("has", name), "false")

    def test_rx8_read(self) -> None:
        """
        RX8: Without the right to read, getting what is there is denied, and its news do not come.
        """
        name = f"not-read/{self.name('')}"
        self.assertIn(self.b.set_data_with_ack(name, '{"n":1}'), (None, "null"))
        held = Record(self.a, name, wait=False)
        self.a.expect_error(DENIED)
        self.assertIn(self.b.set_data_with_ack(name, "2", "n"), (None, "null"))
        self.fence(self.b, self.a)
        self.assertNotIn("2", str(held.get()))
        self.assertNotIn("1", str(held.get()))

    def test_rx9_records_for_both(self) -> None:
        """
        RX9: Rules for creating and reading that both read another record let through what that allows.
        """
        name = f"{self.serial}-{self.first}-{self.second}"
        self.assertIn(self.b.set_data_with_ack(f"licence/{name}", '{"create":true,"read":true}'), (None, "null"))
        mine = Record(self.a, f"licensed/{name}")
        theirs = Record(self.b, f"licensed/{name}")
        mine.set("1", "n")
        theirs.until('{"n":1}')


@for_each_pairing
class SetDataTests(Complex):
    """
    RDP.
    """

    def test_rdp1_without_acknowledgement(self) -> None:
        """
        RDP1: A setData that is denied is told so as an error of the client, and its subscriber sees nothing.
        """
        name = f"not-written/{self.name('')}"
        held = Record(self.b, name)
        self.a.set_data(name, '{"n":1}')
        self.denied(self.a, "record")
        self.fence(self.a, self.b)
        self.assertEqual((held.get(), held.version), ("{}", 0))

    def test_rdp2_with_acknowledgement(self) -> None:
        """
        RDP2: With an acknowledgement its callback is told so, and its subscriber sees nothing. A v2 client tells those
        of denials who listen for errors, but no callback.
        """
        name = f"not-written/{self.name('')}"
        held = Record(self.b, name)
        outcome = self.a.start("setDataWithAck", name, None, '{"n":1}', "callback")
        if self.first == "v7":
            self.assertEqual(outcome.error(), DENIED)
        else:
            self.denied(self.a, "record")
        self.fence(self.a, self.b)
        self.assertEqual((held.get(), held.version), ("{}", 0))


@for_each_pairing
class RpcTests(Complex):
    """
    PX.
    """

    def test_px1_open(self) -> None:
        """
        PX1: What everybody may provide and request works.
        """
        name = self.name("open")
        self.a.provide(name)
        self.assertEqual(self.b.call(name, '{"n":1}'), '{"n":1}')

    def test_px2_one_way(self) -> None:
        """
        PX2: Where A may provide and B may request, that works.
        """
        name = f"a-for-b/{self.name('')}"
        self.a.provide(name)
        self.assertEqual(self.b.call(name, "1"), "1")

    def test_px3_provide(self) -> None:
        """
        PX3: B is denied to provide it, and gets no requests.
        """
        name = f"a-for-b/{self.name('')}"
        self.b.do("provide", name, "echo")
        self.denied(self.b, "rpc")
        self.assertEqual(self.b.call(name, "1"), "NO_RPC_PROVIDER")
        self.assertEqual(self.b.requests(name), [])

    def test_px4_request(self) -> None:
        """
        PX4: A is denied to request it, and its provider hears nothing of that.
        """
        name = f"a-for-b/{self.name('')}"
        self.a.provide(name)
        self.assertIn(DENIED, str(self.a.start_call(name, "1").error()))
        self.a.tolerate_error(DENIED)
        self.assertEqual(self.a.requests(name), [])

    def test_px5_to_px7_data(self) -> None:
        """
        PX5, PX6, PX7: A rule about the data denies an empty and a half filled object, and lets the full one through.
        """
        name = f"full-name/{self.name('')}"
        full = '{"first":"John","last":"Doe"}'
        self.a.provide(name)
        for data in ("{}", '{"first":"John"}'):
            self.assertIn(DENIED, str(self.b.start_call(name, data).error()))
        self.b.tolerate_error(DENIED)
        self.assertEqual(self.b.call(name, full), full)
        self.assertEqual(self.a.requests(name), [full])


@for_each_pairing
class PresenceTests(Complex):
    """
    PP.
    """

    def setUp(self) -> None:
        super().setUp()
        # Client 2.3.4 looks for what to stop waiting for in the wrong place.
        options = IMPATIENT_CLIENT if self.first == "v2" else {}
        self.outcast = self.user(self.first, self.at, f"outcast-{self.serial}", **options)
        if self.first == "v2":
            self.outcast.tolerate_error("ACK_TIMEOUT")

    def test_pp1_subscribe(self) -> None:
        """
        PP1: Whoever may not watch is told so, once a request, and hears of nobody; who may hears of a login.
        """
        cat = self.name("cat")
        self.b.watch_users()
        self.outcast.start_watching()
        self.denied(self.outcast, "presence")
        self.outcast.start_watching(cat)
        self.denied(self.outcast, "presence", 2)
        self.user(self.second, self.at, cat)
        self.b.wait_for_report(1, "presence", user=cat, online=True)
        self.fence(self.b, self.outcast)
        self.assertEqual(self.outcast.filter("presence"), [])

    def test_pp2_query(self) -> None:
        """
        PP2: Whoever may not ask is told so, v7 by its callback, v2 by one error a request, however many users it is
        about. Who may gets the answer.
        """
        for users in (None, [self.name(user) for user in ("cat", "dan", "eve")]):
            self.assertIsNotNone(self.b.online(users))
            outcome = self.outcast.start("online", users)
            if self.first == "v7":
                self.assertEqual(outcome.error(), DENIED)
        if self.first == "v2":
            self.denied(self.outcast, "presence", 2)
