"""
Events between the official clients, in every pairing of their generations, over plain sockets and over TLS.
"""

from __future__ import annotations

import json

from tests.e2e.scenario import PairScenario, for_each_pairing_and_transport

# Everything that can be emitted, in JavaScript's own spelling.
VALUES = [
    '"text"',
    '""',
    '" "',
    '"0"',
    '"true"',
    '"null"',
    '"undefined"',
    '"{}"',
    '"a|b+c"',
    json.dumps("\"quoted\" \\ and 'single'"),
    json.dumps("Grüße, мир, 世界", ensure_ascii=False),
    json.dumps("👩‍💻 🎉", ensure_ascii=False),
    '"\u2028\u2029\ufeff"',
    '"tab\\tline\\nreturn\\rnul\\u0000bell\\u0007escape\\u001bdelete\x7fnext\x85"',
    '"' + "long " * 5000 + '"',
    "0",
    "1",
    "-1",
    "1.5",
    "0.1",
    "0.30000000000000004",
    "1e+21",
    "123456789012345680000",
    "9007199254740991",
    "-9007199254740991",
    "1e-7",
    "5e-324",
    "1.7976931348623157e+308",
    "true",
    "false",
    "null",
    "undefined",
    "{}",
    "[]",
    '[[],{},null,0,false,""]',
    '{"a":{"b":[1,{"c":null}],"ü":"é"},"":"empty key","n":1e+21,"s":"a\\u001eb\\u001fc"}',
    '[1,"two",true,null,{"five":5}]',
]

# JavaScript spells it like that on its way to any server.
MINUS_ZERO = ("-0", "0")

#: NaN and the infinities: JSON has nothing for them, so they arrive as null.
NO_NUMBERS = ["NaN", "1e400", "-1e400"]


@for_each_pairing_and_transport
class EventTests(PairScenario):
    """
    Publish and subscribe.
    """

    def test_values(self) -> None:
        """
        Every kind of value arrives as what it was, once and in order.
        """
        emitter, subscriber = self.one(), self.other()
        name = self.name("values")
        subscriber.subscribe(name)
        for value in VALUES:
            emitter.emit(name, value)
        emitter.emit(name, MINUS_ZERO[0])
        self.assertEqual(subscriber.wait_for_values(name, len(VALUES) + 1), [*VALUES, MINUS_ZERO[1]])

    def test_no_numbers(self) -> None:
        """
        Numbers that JSON cannot keep are null to everybody, whichever client sends them.
        """
        emitter, subscriber = self.one(), self.other()
        name = self.name("no numbers")
        subscriber.subscribe(name)
        for value in NO_NUMBERS:
            emitter.emit(name, value)
        self.assertEqual(subscriber.wait_for_values(name, len(NO_NUMBERS)), ["null"] * len(NO_NUMBERS))

    def test_no_value(self) -> None:
        """
        An emit without a value calls the subscriber with undefined.
        """
        emitter, subscriber = self.one(), self.other()
        name = self.name("nothing")
        subscriber.subscribe(name)
        emitter.emit(name)
        self.assertEqual(subscriber.wait_for_values(name, 1), ["undefined"])

    def test_everybody(self) -> None:
        """
        E1, E3: One emit reaches all subscribers of both generations exactly once, the emitter included.
        """
        clients = [self.one(), self.other(), self.one(), self.other()]
        name = self.name("all")
        for client in clients:
            client.subscribe(name)
        for number, emitter in enumerate(clients):
            emitter.emit(name, str(100 + number))
        for client in clients:
            client.wait_for_values(name, 4)
        for client in clients:
            self.fence(clients[0], client)
            self.assertEqual(sorted(client.values(name)), ["100", "101", "102", "103"], client.name)

    def test_no_echo(self) -> None:
        """
        The emitter hears itself once, from its own library, and not again from the server.
        """
        emitter, subscriber = self.one(), self.other()
        name = self.name("echo")
        emitter.subscribe(name)
        subscriber.subscribe(name)
        emitter.emit(name, '"once"')
        subscriber.wait_for_values(name, 1)
        self.fence(subscriber, emitter)
        self.assertEqual(emitter.values(name), ['"once"'])

    def test_unsubscribe(self) -> None:
        """
        E2: After unsubscribing a client hears nothing more, while others do; and it can subscribe again.
        """
        leaver, stayer = self.one(), self.other()
        name = self.name("left")
        leaver.subscribe(name)
        stayer.subscribe(name)
        stayer.emit(name, '{"an":["object"]}')
        leaver.wait_for_values(name, 1)
        leaver.unsubscribe(name)
        leaver.emit(name, '"mine"')
        self.assertEqual(stayer.wait_for_values(name, 2), ['{"an":["object"]}', '"mine"'])
        stayer.emit(name, '"yours"')
        self.fence(stayer, leaver)
        self.assertEqual(leaver.values(name), ['{"an":["object"]}'])
        leaver.subscribe(name)
        stayer.emit(name, '"again"')
        self.assertEqual(leaver.wait_for_values(name, 2), ['{"an":["object"]}', '"again"'])

    def test_names(self) -> None:
        """
        Names are taken as they are, whatever letters they have, and only the very name is heard.
        """
        emitter, subscriber = self.one(), self.other()
        names = [
            self.name(rest) for rest in ("a b", "a.b", "a*", "ü/世界", "🎉", "A", "a", 'q"q', "S1", "__proto__", "%20")
        ]
        for name in names:
            subscriber.subscribe(name)
        for name in names:
            emitter.emit(name, json.dumps(name, ensure_ascii=False))
        for name in names:
            self.assertEqual(subscriber.wait_for_values(name, 1), [json.dumps(name, ensure_ascii=False)])

    def test_burst(self) -> None:
        """
        A thousand emits in one go arrive in order and complete.
        """
        emitter, subscriber = self.one(), self.other()
        name = self.name("burst")
        subscriber.subscribe(name)
        emitter.burst(name, 1000)
        self.assertEqual(subscriber.wait_for_values(name, 1000), [str(number) for number in range(1000)])

    def test_logout(self) -> None:
        """
        A client that closed hears nothing and harms nobody.
        """
        leaver, emitter = self.one(), self.other()
        name = self.name("logout")
        leaver.subscribe(name)
        leaver.close()
        emitter.subscribe(name)
        emitter.emit(name, "1")
        witness = self.one()
        self.fence(emitter, witness)
        self.assertEqual((leaver.values(name), emitter.values(name)), ([], ["1"]))
