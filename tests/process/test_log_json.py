"""
Tests for L{dstwist.process.log_json}.
"""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.logger import Logger as TwistedLogger
from twisted.logger import LogLevel, LogPublisher
from twisted.python import log as old_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.log import Client, Logger, about
from dstwist.process.log_json import MAX_LINE_BYTES, json_line

ANN = Client("ann", "192.0.2.1", "/deepstream", 17)


def failed(text: str = "no such thing") -> Failure:
    try:
        raise KeyError(text)
    except KeyError:
        return Failure()


class LineTests(SynchronousTestCase):
    """
    Log events as JSON lines.
    """

    def line(self, event: dict[str, Any]) -> dict[str, Any]:
        """
        The line for C{event}, as a program reads it.
        """
        text = json_line(event)
        assert text is not None
        self.assertRegex(text, "^[ -~]+$")
        self.assertLessEqual(len(text) + 1, MAX_LINE_BYTES)
        line: dict[str, Any] = json.loads(text)
        return line

    def logged(self, format: str | None, level: Any = LogLevel.info, **fields: Any) -> dict[str, Any]:
        """
        The line for an event that one of our loggers makes.
        """
        seen: list[dict[str, Any]] = []
        Logger(namespace="dstwist.here", observer=LogPublisher(seen.append)).emit(level, format, **fields)  # type: ignore[arg-type]
        return self.line(seen[0])

    def test_whole(self) -> None:
        """
        All fields of a line about a client. The text neither has the name of the event nor the label of the node, which
        have fields of their own.
        """
        client = Client("ann", "192.0.2.1", "/deepstream", 17, "blue")
        line = self.logged("AUTH_SUCCESSFUL | {client}", event="AUTH_SUCCESSFUL", **about(client))
        time = line.pop("time")
        self.assertIsInstance(time, int)
        self.assertEqual(
            line,
            {
                "level": 30,
                "pid": os.getpid(),
                "hostname": os.uname().nodename,
                "event": "AUTH_SUCCESSFUL",
                "message": "ann (192.0.2.1, /deepstream, #17)",
                "namespace": "dstwist.here",
                "user": "ann",
                "address": "192.0.2.1",
                "path": "/deepstream",
                "connection": 17,
                "node": "blue",
            },
        )

    def test_order(self) -> None:
        """
        The fields of pino come first, in its order.
        """
        text = (
            json_line({"log_format": "INFO | up", "log_time": 1.5, "event": "INFO", "log_level": LogLevel.warn}) or ""
        )
        self.assertTrue(text.startswith('{"level":40,"time":1500,"pid":'), text)

    def test_levels(self) -> None:
        """
        The numbers of pino.
        """
        self.addCleanup(Logger.set_level, Logger.level_name())
        Logger.set_level("DEBUG")
        levels = [LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical]
        self.assertEqual([self.logged("text", level)["level"] for level in levels], [20, 30, 40, 50, 60])

    def test_missing(self) -> None:
        """
        A line about no client has no field of one. The path of a file is no path of a client.
        """
        line = self.logged("LOG_FILE | cannot open {path}", event="LOG_FILE", path="/var/log/d.log")
        self.assertEqual((line["event"], line["message"]), ("LOG_FILE", "cannot open /var/log/d.log"))
        self.assertEqual(line.keys() & {"user", "address", "path", "connection", "node", "err"}, set())

    def test_not_logged_in(self) -> None:
        """
        A request without a connection, of a client that has not logged in, has neither a number nor a user.
        """
        line = self.logged("{client}: no", **about(Client(None, "192.0.2.1", "/api", 0)))
        self.assertEqual((line["address"], line["path"]), ("192.0.2.1", "/api"))
        self.assertEqual(line.keys() & {"user", "connection", "event"}, set())

    def test_event_in_text(self) -> None:
        """
        The name of the event is found in the text, if it is nowhere else. If the field has another one, the text stays.
        """
        note = "CONFIG | showLogo has no effect"
        line = self.logged("{note}", note=note)
        self.assertEqual((line["event"], line["message"]), ("CONFIG", "showLogo has no effect"))
        line = self.logged("{note}", note=note, event="INFO")
        self.assertEqual((line["event"], line["message"]), ("INFO", note))

    def test_failure(self) -> None:
        """
        An exception is a field, with its traceback.
        """
        line = self.logged(
            "PLUGIN_ERROR | it fell", event="PLUGIN_ERROR", log_failure=failed(), level=LogLevel.critical
        )
        self.assertEqual((line["level"], line["event"], line["message"]), (60, "PLUGIN_ERROR", "it fell"))
        self.assertEqual((line["err"]["type"], line["err"]["message"]), ("KeyError", "'no such thing'"))
        self.assertIn("test_log_json.py", line["err"]["stack"])

    def test_old_failure(self) -> None:
        """
        Twisted's old way of logging an exception, whose text is the traceback, gives the same.
        """
        seen: list[dict[str, Any]] = []
        publisher = old_log.LogPublisher(publishPublisher=LogPublisher(seen.append))  # type: ignore[arg-type]
        publisher.msg(failure=failed(), why="it fell", isError=1)
        publisher.msg(failure=failed(), why=None, isError=1)
        publisher.msg("a text")
        lines = [self.line(event) for event in seen]
        self.assertEqual([line["message"] for line in lines], ["it fell", "'no such thing'", "a text"])
        self.assertEqual([line["level"] for line in lines], [60, 60, 30])
        self.assertIn("Traceback", lines[0]["err"]["stack"])
        self.assertNotIn("err", lines[2])

    def test_broken(self) -> None:
        """
        An event that cannot be shown still gives a line.
        """

        class Broken:
            def __str__(self) -> str:
                raise ValueError("no text")

        line = self.logged("{it}", it=Broken(), user=Broken(), log_failure=Broken(), connection=Broken())
        self.assertIn("Unable to format", line["message"])
        self.assertEqual(line["level"], 30)
        self.assertIn("no traceback", line["err"]["stack"])

    def test_no_text(self) -> None:
        """
        An event without a text is no line.
        """
        self.assertIsNone(json_line({"log_level": LogLevel.info, "log_namespace": "n"}))

    def test_control_characters(self) -> None:
        """
        Control characters, with which a text could steer a terminal, and halves of surrogate pairs, which other
        programs refuse, are replaced. Line breaks and other languages stay.
        """
        line = self.logged("{text}", text="a\nb\tc\0d\x1b[31me\x7f\x9b\rf\ud800g\U0001f600ü\u2028")
        self.assertEqual(line["message"], "a\nb\tc?d?[31me???f?g\U0001f600ü\u2028")

    def test_bounded(self) -> None:
        """
        A line has at most L{MAX_LINE_BYTES}, whatever its fields are. What is cut ends with dots; the end of the
        traceback stays.
        """
        for char in ("a", '"', "\n", "ü", "\U0001f600", "\0", "\ud800"):
            text = char * 50_000
            client = Client(text, text, text, 10**9, text)
            line = self.logged("{text}", text=text, log_failure=failed(text), event=text, **about(client))
            self.assertTrue(line["message"].endswith("..."))
            self.assertTrue(line["user"].endswith("..."))
            stack = line["err"]["stack"]
            self.assertTrue(stack.startswith("..."))
            self.assertGreater(len(json.dumps(stack)), 8000)
            self.assertGreater(len(json.dumps(line["message"])), 4000)
            self.assertEqual(line["connection"], 10**9)

    def test_uneven(self) -> None:
        """
        A text whose long characters are all at its beginning, or at its end, is cut as well.
        """
        for text in ("\U0001f600" * 2000 + "a" * 2000, "a" * 2000 + "\U0001f600" * 2000):
            message = self.logged("{text}", text=text)["message"]
            self.assertTrue(message.endswith("..."))
            self.assertTrue(text.startswith(message[:-3]))

    def test_just_fits(self) -> None:
        """
        A text that fits is whole.
        """
        text = "x" * 4000
        self.assertEqual(self.logged("{text}", text=text)["message"], text)

    def test_other_loggers(self) -> None:
        """
        The lines of Twisted and of plug-ins are in the same form.
        """
        seen: list[dict[str, Any]] = []
        observer: Any = seen.append
        TwistedLogger(namespace="shop.audit", observer=observer).warn("{user} was here", user="ann")
        line = self.line(seen[0])
        self.assertEqual((line["level"], line["namespace"], line["message"]), (40, "shop.audit", "ann was here"))
        self.assertEqual(line["user"], "ann")
