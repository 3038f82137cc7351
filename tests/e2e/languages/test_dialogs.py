"""
The dialogs of clients of other languages, written down from what the sources of these clients send and wait for.

==========  =============================================================  ==========================================
client      what it has                                                    where
==========  =============================================================  ==========================================
Java        all; no registry has it any more                               C{java.txt}
Python      deepstreampy: all, by itself (C{make clients})                 L{tests.e2e.languages.installed}
Ruby        deepstream-ruby: events, listening, records                    C{ruby.txt}
C++         events, listening, presence                                    C{cpp.txt}
.NET        DeepStreamNet: all but the reconnect                           C{dotnet.txt}
==========  =============================================================  ==========================================

The client for Go has the login only, which is that of the Java client.
"""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path

from tests.e2e.languages.dialog import QUIET, Dialog
from tests.e2e.languages.java_record import JavaRecord
from tests.e2e.languages.wire import Wire
from tests.e2e.on_nodes import OnNodes
from tests.e2e.records import Record
from tests.e2e.scenario import GENERATIONS, PATIENT, QUICK, Scenario, scratch_directory
from tests.e2e.server import PATIENCE


@cache
def pinging() -> Path:
    """
    The configuration of a server that pings every second. It ends a connection after two seconds without an answer, so
    a shorter period would be too short on a busy machine.
    """
    path = scratch_directory() / "config.yml"
    options = "{urlPath: /deepstream-v3, heartbeatInterval: 1000}"
    path.write_text(f"connectionEndpoints: [{{type: ws-text, options: {options}}}]\n")
    return path


class DialogTests(Scenario):
    """
    Login, event, record, RPC, listening, presence and reconnect, as far as a client supports them.
    """

    options = QUICK

    def converse(self, name: str, path: str = "/deepstream") -> None:
        server = self.server(config=PATIENT)
        dialog = Dialog(name, lambda: server.port, path, lambda user: self.user("v7", server, user), self.name)
        try:
            dialog.run()
        finally:
            dialog.close()

    def test_java(self) -> None:
        """
        The client for Java and Android.
        """
        self.converse("java")

    def test_ruby(self) -> None:
        """
        deepstream-ruby.
        """
        self.converse("ruby")

    def test_cpp(self) -> None:
        """
        The client for C++.
        """
        self.converse("cpp")

    def test_dotnet(self) -> None:
        """
        DeepStreamNet.
        """
        self.converse("dotnet")


class HeartbeatTests(Scenario):
    """
    All these clients leave it to the server to ping.
    """

    def test_answered(self) -> None:
        """
        A client that answers stays. A client that only answers is not closed either.
        """
        server = self.server(config=pinging())
        wire = Wire(server.port, "/deepstream-v3", single=True)
        self.assertEqual(wire.hear(), "C|CH")
        wire.say("C|CHR|" + wire.url)
        self.assertEqual(wire.hear(), "C|A")
        wire.say("A|REQ|{}")
        self.assertEqual(wire.hear(), "A|A")
        while wire.pings < 3:
            self.assertIsNone(wire.hear(0.5))
        wire.say("E|S|" + self.name("event"))
        self.assertEqual(wire.hear(), "E|A|S|" + self.name("event"))
        wire.cut()


class JavaRecordTests(Scenario):
    """
    The client for Java writes again after each unexpected version, so the server must stop sending it updates at some
    point.
    """

    options = QUICK

    def test_concurrent_writers(self) -> None:
        """
        Two such clients and two official ones write at the same time, again and again. In the end all hold the same,
        and the server says nothing any more.
        """
        server = self.server()
        name = self.name("record")
        mine = [JavaRecord(server.port, name) for _ in range(2)]
        theirs = [Record(self.logged_in(generation, server), name) for generation in GENERATIONS]
        for round_ in range(5):
            for number, record in enumerate(mine):
                record.set({"n": round_, "java": number})
            for other in theirs:
                other.set(str(round_), "by")
            for record in mine:
                record.pump(0.02)
        # A busy server may be silent for a while before it has said all.
        late = time.monotonic() + PATIENCE
        while True:
            heard = [record.pump(QUIET) for record in mine]
            self.assertLess(sum(record.writes for record in mine), 1000)
            copies = [record.data for record in mine] + [json.loads(other.get()) for other in theirs]
            expected = [json.loads(theirs[0].client.look("snapshot", name))] * 4
            if (not any(heard) and copies == expected) or time.monotonic() > late:
                break
        self.assertEqual((heard, copies), ([0, 0], expected))
        for record in mine:
            record.close()


class DialogsOnNodesTests(OnNodes, DialogTests):
    """
    The same, with the client of a dialog and the official ones at the two nodes of a cluster in turn. The client
    reconnects to the other node.
    """

    count = 2


class JavaRecordOnNodesTests(OnNodes, JavaRecordTests):
    """
    The same, with a client for Java and an official one at each of two nodes.
    """

    count = 2
