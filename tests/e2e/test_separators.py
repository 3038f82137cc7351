"""
U+001E and U+001F, which end a message and a field of the text protocol, in the hands of both generations.
"""

from __future__ import annotations

import time

from tests.e2e.records import Record
from tests.e2e.scenario import PATIENT, Scenario
from tests.e2e.server import PATIENCE

#: A text with both, in JavaScript's spelling.
TEXT = '"a\\u001eb\\u001fc"'


class SeparatorTests(Scenario):
    """
    A client of v7 has them in values, keys, names and paths; a client of v2 hears of that.
    """

    def setUp(self) -> None:
        super().setUp()
        at = self.server(config=PATIENT)
        self.new, self.old = self.logged_in("v7", at), self.logged_in("v2", at)

    def test_records(self) -> None:
        """
        A record is the same to both, wherever in it they are.
        """
        name = self.name("record")
        writer, reader = Record(self.new, name), Record(self.old, name)
        merges = reader.merges
        reader.set_merge_strategy("remote")
        writer.set(TEXT, "value")
        reader.until(f'{{"value":{TEXT}}}')
        writer.set(TEXT, "key\x1ewith\x1fboth")
        writer.set("1", "end")
        expected = f'{{"value":{TEXT},"key\\u001ewith\\u001fboth":{TEXT},"end":1}}'
        reader.until(expected)
        self.assertEqual((reader.version, merges()), (writer.version, []))
        reader.set("2", "end")
        writer.until(expected.replace('"end":1', '"end":2'))
        self.assertEqual(self.old.look("snapshot", name), writer.get())

    def test_events(self) -> None:
        """
        The data of an event arrives as it was.
        """
        name = self.name("event")
        self.old.subscribe(name)
        for value in (TEXT, f"[{TEXT}]"):
            self.new.emit(name, value)
        self.assertEqual(self.old.wait_for_values(name, 2), [TEXT, f"[{TEXT}]"])

    def test_calls(self) -> None:
        """
        So do the data and the result of a call, in both directions, and the error of a procedure is shown as JSON.
        """
        name = self.name("rpc")
        self.old.provide(f"{name}/old")
        self.new.provide(f"{name}/new")
        for number in range(2):
            self.assertEqual(self.new.call(f"{name}/old", f"[{TEXT},{number}]"), f"[{TEXT},{number}]")
            self.assertEqual(self.old.call(f"{name}/new", f"[{TEXT},{number}]"), f"[{TEXT},{number}]")
        self.new.provide(f"{name}/hold", "hold")
        call = self.old.start_call(f"{name}/hold")
        self.new.wait_for_report(1, "request", name=f"{name}/hold")
        self.new.answer(f"{name}/hold", TEXT)
        self.assertEqual(call.wait(), TEXT)
        self.new.provide(f"{name}/error", {"error": "a\x1eb"})
        self.assertEqual(self.old.start_call(f"{name}/error").error(), '"a\\u001eb"')

    def test_listening(self) -> None:
        """
        The client of v2 is offered the names that it can be told, and no others.
        """
        for topic in ("event", "record"):
            pattern = self.name(topic) + ".*"
            self.old.listen(pattern, topic=topic)
            for name in (f"{topic}\x1fa", f"{topic}\x1ea", f"{topic}a"):
                if topic == "event":
                    self.new.subscribe(self.name(name))
                else:
                    Record(self.new, self.name(name))
            self.old.wait_for_report(1, "offer", name=self.name(f"{topic}a"))
            self.assertEqual([name for asked, name in self.old.offers() if asked == pattern], [self.name(f"{topic}a")])

    def test_lost_writes(self) -> None:
        """
        A value that client 2.3.4 cannot send is refused, and not cut off; with its next write it is in step again.
        """
        name = self.name("lost")
        writer, reader = Record(self.old, name), Record(self.new, name)
        writer.set('"x\\u001fy"', "a")
        self.old.expect_error("INVALID_MESSAGE_DATA")
        writer.set("1", "b")
        writer.set("2", "c")
        # Whether these are lost with the first depends on when the client hears of that; in the end both have the same.
        deadline = time.monotonic() + PATIENCE
        while writer.get() != reader.get() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(writer.get(), reader.get())
        writer.set("3", "d")
        reader.until(writer.get())
