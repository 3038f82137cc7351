"""
The loggers, and every line that is logged anywhere in the tree.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

import dstwist
from dstwist import log
from dstwist.log import (
    Logger,
    OperatorLogger,
    change_level,
    count_lines,
    count_no_lines,
    enforce,
    labelled,
    lift,
    shown,
    without_controls,
)
from tests.logs import Lines

ROOT = Path(dstwist.__file__).parent

LEVELS = {"debug", "info", "warn", "error", "critical", "failure", "emit"}

#: Where L{OperatorLogger} may be used: no line of these modules is caused by a client.
#: The last line of a process is caused once.
OF_THE_OPERATOR = {
    "log.py",
    "startup_checks.py",
    "limits/log_lines.py",
    "client_side.py",
    "connections/client_drain.py",
    "figures/log_monitor.py",
    "dependencies.py",
    "lifecycle.py",
    "process/log_file.py",
    "process/server.py",
    "permission/reload.py",
    "reload/on_sighup.py",
    "process/out_of_memory.py",
    "admin/server.py",
}

#: What other modules use of Twisted's log; no logger.
NO_LOGGERS = {
    "cli/transfer.py": {
        "FilteringLogObserver",
        "LogLevel",
        "LogLevelFilterPredicate",
        "globalLogBeginner",
        "textFileLogObserver",
    },
    "process/log_file.py": {"ILogObserver", "LogBeginner"},
    "process/log_format.py": {"FileLogObserver", "ILogObserver", "LogBeginner"},
    "process/log_json.py": {"LogLevel", "formatEvent"},
    "process/log_priorities.py": {"ILogObserver", "LogLevel", "eventAsText"},
    "tap.py": {"globalLogBeginner", "globalLogPublisher"},
    "process/out_of_memory.py": {"ILogObserver", "LogPublisher"},
}

#: Calls whose format is not a constant on the spot, by module and function. Each takes one of a few constants.
NOT_ON_THE_SPOT = {
    ("tls/certificates.py", "_say"),
    ("client_side.py", "_say"),
    ("lifecycle.py", "_say"),
    ("routing/providers.py", "log_stopped"),
    ("transports/websocket.py", "fail"),
}


class NothingPasses:
    """
    A limit that remembers what it was asked.
    """

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def admits(self, namespace: str, level: object, format: str | None, fields: dict[str, Any]) -> bool:
        self.asked.append(format)
        return False


@contextmanager
def counting(counted: list[str], node: str) -> Iterator[None]:
    """
    Have C{node} in C{counted} for each warning of that node.
    """

    def count(fields: dict[str, Any]) -> None:
        counted.append(node)

    count_lines(count, node)
    try:
        yield
    finally:
        count_no_lines(count)


class LoggerTests(SynchronousTestCase):
    """
    L{Logger} and L{OperatorLogger}.
    """

    _log = Logger()
    _operator_log = OperatorLogger()

    def setUp(self) -> None:
        self.limit = NothingPasses()
        self.lines = Lines(self)

    def restrict(self) -> None:
        enforce(self.limit)
        self.addCleanup(lift, self.limit)

    def test_no_limit(self) -> None:
        """
        Without a limit in force all lines are written.
        """
        for number in range(1000):
            self._log.info("number {number}", number=number)
        self.assertEqual(len(self.lines.of("info")), 1000)

    def test_all_levels(self) -> None:
        """
        The limit decides about lines of every kind, failures too.
        """
        self.restrict()
        for level in ("info", "warn", "error", "critical"):
            getattr(self._log, level)(level)
        try:
            raise ValueError
        except ValueError:
            self._log.failure("failure")
        self._log.emit(LogLevel.info, "emit")
        self.assertEqual(self.limit.asked, ["info", "warn", "error", "critical", "failure", "emit"])
        self.assertEqual(self.lines.of("info") + self.lines.of("critical"), [])

    def test_level_first(self) -> None:
        """
        What is below the level of the process is not counted.
        """
        self.restrict()
        self._log.debug("debug")
        self.assertEqual(self.limit.asked, [])

    def test_counted(self) -> None:
        """
        Warnings and errors are counted with their fields, also those that the level or the limit leaves out.
        """
        counted: list[object] = []

        def count(fields: dict[str, Any]) -> None:
            counted.append(fields.get("event"))

        count_lines(count)
        self.restrict()
        Logger.set_level("OFF")
        self.addCleanup(Logger.set_level, "INFO")
        self._log.info("info", event="INFO")
        self._log.warn("warn", event="WARNED")
        self._operator_log.error("error", event="FAILED")
        try:
            raise ValueError
        except ValueError:
            self._log.failure("failure")
        self.assertEqual(counted, ["WARNED", "FAILED", None])
        count_no_lines(count)
        self._log.warn("warn", event="WARNED")
        self.assertEqual(len(counted), 3)

    def test_counted_by_node(self) -> None:
        """
        A line counts for its node. A line of no node counts for the node that started last.
        """
        counted: list[str] = []
        # Other tests may have nodes that run.
        self.patch(log, "_counters", [])
        for node in ("one", "two"):
            self.enterContext(counting(counted, node))
        self._log.warn("warn", node="one")
        with labelled("one"):
            self._log.warn("warn")
        self._log.warn("warn")
        self.assertEqual(counted, ["one", "one", "two"])

    def test_operator(self) -> None:
        """
        The lines of a start or a reload have no limit.
        """
        self.restrict()
        self._operator_log.warn("warn")
        self.assertEqual((self.limit.asked, self.lines.of("warn")), ([], ["warn"]))

    def test_shown(self) -> None:
        """
        What a client sent cannot forge lines, and is not long.
        """
        self.assertEqual(shown("a\nb\x1b[0m" + "c" * 300), "a?b?[0m" + "c" * 193)

    def test_without_controls(self) -> None:
        """
        A text of several lines keeps them, and can be encoded.
        """
        self.assertEqual(without_controls("a\n\tb\x1b\0\x85\udc00\U0001f600"), "a\n\tb????\U0001f600")

    def test_change_level(self) -> None:
        """
        The log has a line about each change of the level, by the more talkative one of the two levels; but not if
        the level stays, nor if neither of the two has such lines.
        """
        self.addCleanup(Logger.set_level, Logger.level_name())
        Logger.set_level("INFO")
        for name in ("INFO", "WARN", "OFF", "ERROR", "DEBUG", "INFO"):
            change_level(name)
            self.assertEqual(Logger.level_name(), name)
        self.assertEqual(change_level("ERROR"), "INFO")
        self.assertEqual(
            self.lines.of("info"),
            [
                "INFO | the log level is WARN now, it was INFO",
                "INFO | the log level is DEBUG now, it was ERROR",
                "INFO | the log level is INFO now, it was DEBUG",
                "INFO | the log level is ERROR now, it was INFO",
            ],
        )
        self._log.warn("not written")
        self.assertEqual(self.lines.of("warn"), [])


class TreeTests(SynchronousTestCase):
    """
    All calls of loggers in the tree.
    """

    def test_one_way(self) -> None:
        """
        Only the modules of the log use other loggers than ours, so no line gets past the limit.
        """
        for path, tree in trees():
            if path in ("log.py", "limits/log_lines.py"):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module == "twisted.logger":
                    names = {each.name for each in node.names}
                    self.assertEqual(names, NO_LOGGERS.get(path), path)
                elif isinstance(node, ast.Import | ast.ImportFrom):
                    modules = {each.name for each in node.names} | {getattr(node, "module", None)}
                    self.assertFalse(modules & {"logging", "twisted.python.log", "twisted.logger", "warnings"}, path)

    def test_operators(self) -> None:
        """
        Loggers without a limit are only where no client can cause a line.
        """
        found = {
            path
            for path, tree in trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "OperatorLogger"
        }
        self.assertEqual(found, OF_THE_OPERATOR)

    def test_formats(self) -> None:
        """
        The format of a line is a constant. One that is put together from what a client sent would be a new kind of line
        each time.
        """
        found = set()
        for path, tree in trees():
            for function in ast.walk(tree):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    found |= {(path, function.name) for call in log_calls(function) if not is_constant(call)}
        self.assertEqual(found, NOT_ON_THE_SPOT)

    def test_found(self) -> None:
        """
        The calls are found at all.
        """
        self.assertGreater(sum(len(list(log_calls(tree))) for _, tree in trees()), 60)


def trees() -> Iterator[tuple[str, ast.Module]]:
    """
    Each module of the package.
    """
    for source in sorted(ROOT.rglob("*.py")):
        yield source.relative_to(ROOT).as_posix(), ast.parse(source.read_bytes())


def log_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """
    The calls of loggers in C{tree}.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name.endswith("_log"):
                yield node


def is_constant(call: ast.Call) -> bool:
    """
    Whether the format of a line is a constant.
    """
    assert isinstance(call.func, ast.Attribute)
    format_ = call.args[1 if call.func.attr == "emit" else 0]
    return isinstance(format_, ast.Constant)


class TableTests(SynchronousTestCase):
    """
    The table of events in the manual.
    """

    def test_complete(self) -> None:
        """
        It has each event that the code logs, with its levels, and no other.
        """
        found: dict[str, set[str]] = {}
        for path, tree in trees():
            for call in log_calls(tree):
                for event in events_of(path, call):
                    found.setdefault(event, set()).update(levels_of(path, call))
            for event, level in NOTED.items():
                if any(text.startswith(f"{event} | ") for text in texts(tree)):
                    found.setdefault(event, set()).add(level)
        self.assertEqual(documented(), found)

    def test_all_named(self) -> None:
        """
        A line without an event's name is about a mistake of ours, with its traceback.
        """
        for path, tree in trees():
            for call in log_calls(tree):
                if not events_of(path, call):
                    self.assertEqual(getattr(call.func, "attr", None), "failure", f"{path}:{call.lineno}")


#: Events of lines that are made when the configuration is read, and logged at the start.
NOTED = {"CONFIG": "warn", "INVALID_CONFIG_DATA": "warn", "CONFIG_TRANSFORM": "info"}

#: Events of calls whose format does not say them, by module.
ELSEWHERE = {
    ("services/record/failures.py", "{event} | {where}, record {name}: {problem}"): {
        "RECORD_LOAD_ERROR",
        "RECORD_UPDATE_ERROR",
        "RECORD_DELETE_ERROR",
        "CACHE_RETRIEVAL_TIMEOUT",
        "STORAGE_RETRIEVAL_TIMEOUT",
    },
    ("services/record/failures.py", "{event} | {where}: {problem}; requests for records fail"): {
        "RECORD_LOAD_ERROR",
        "RECORD_UPDATE_ERROR",
        "RECORD_DELETE_ERROR",
    },
    (
        "api/ongoing.py",
        "{event} | the {kind} {name} of {owner} has ended, and the application does not wait for its end",
    ): {
        "MESSAGE_DENIED",
        "MESSAGE_PERMISSION_ERROR",
        "RECORD_LOAD_ERROR",
        "CACHE_RETRIEVAL_TIMEOUT",
        "STORAGE_RETRIEVAL_TIMEOUT",
        "RESPONSE_TIMEOUT",
        "TOO_MANY_REQUESTS",
    },
    ("lifecycle.py", "{event} | {reason}"): {
        "PLUGIN_INITIALIZATION_ERROR",
        "PLUGIN_INITIALIZATION_TIMEOUT",
    },
    ("connections/handshake.py", "{event} | {problem} from {client}"): {
        "INVALID_MESSAGE",
        "INVALID_MESSAGE_DATA",
        "MESSAGE_PARSE_ERROR",
    },
}

#: Lines that have been named already: notes of the configuration, and counts of lines.
REPEATED = {"{note}", "{line} ... and {count} more like this{source} in the last {seconds:.0f} s"}


def format_of(call: ast.Call) -> str:
    """
    The format of a line, as far as it is said on the spot.
    """
    assert isinstance(call.func, ast.Attribute)
    node = call.args[1 if call.func.attr == "emit" else 0]
    return next(texts(node), "")


def texts(tree: ast.AST) -> Iterator[str]:
    """
    All texts in C{tree}.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def events_of(path: str, call: ast.Call) -> set[str]:
    """
    The events that a line may be about.
    """
    text = format_of(call)
    if text in REPEATED:
        return {"INFO"} if path == "limits/log_lines.py" else {"CONFIG"}
    if (path, text) in ELSEWHERE:
        return ELSEWHERE[path, text]
    if found := re.match("([A-Z_]+) \\| ", text):
        return {found[1]}
    named = [keyword.value for keyword in call.keywords if keyword.arg == "event"]
    return {value.value for value in named if isinstance(value, ast.Constant) and isinstance(value.value, str)}


def levels_of(path: str, call: ast.Call) -> set[str]:
    """
    The levels that a line may have.
    """
    assert isinstance(call.func, ast.Attribute)
    level = call.func.attr
    if level == "emit":
        return {"debug", "info"} if path == "permission/denials.py" else set()
    return {"critical" if level == "failure" else level}


def documented() -> dict[str, set[str]]:
    """
    The table of the manual.
    """
    text = (ROOT.parent / "docs" / "operations.rst").read_text(encoding="utf-8")
    rows: dict[str, set[str]] = {}
    event = ""
    table = text[text.index("\nevent  ") :]
    for line in table[: table.index("\n\n")].splitlines():
        if found := re.match("``([A-Z_]+)``", line):
            event = found[1]
            rows[event] = set()
        if event:
            rows[event] |= set(re.findall("[a-z]+", line[35:52]))
    return rows
