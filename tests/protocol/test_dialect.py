"""
Tests for L{dstwist.protocol.dialect}. The steps of the handshake are tested in C{tests/connections/test_handshake.py}.
"""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.dialect import (
    FOREIGN,
    IN_PROCESS,
    JAVASCRIPT,
    JSON,
    JSON_FOREIGN,
    JSON_JAVASCRIPT,
    PROTOBUF,
    TEXT,
    Dialect,
    Step,
    refined,
)


class RefinedTests(SynchronousTestCase):
    """
    L{refined}.
    """

    def test_libraries(self) -> None:
        """
        A client of v4 or later that names its library gets the dialect of that library; others keep theirs.
        """
        for dialect, sdk_type, expected in (
            (PROTOBUF, None, PROTOBUF),
            (PROTOBUF, "", PROTOBUF),
            (PROTOBUF, "javascript", JAVASCRIPT),
            (PROTOBUF, "java", FOREIGN),
            (TEXT, "javascript", TEXT),
            (JAVASCRIPT, "java", JAVASCRIPT),
            (JSON, None, JSON),
            (JSON, "javascript", JSON_JAVASCRIPT),
            (JSON, "java", JSON_FOREIGN),
        ):
            self.assertIs(refined(dialect, sdk_type), expected)


class DialectTests(SynchronousTestCase):
    """
    The dialects.
    """

    def test_documented(self) -> None:
        """
        Each behaviour in which generations differ is explained.
        """
        documented = Dialect.__doc__ or ""
        for field in dataclasses.fields(Dialect):
            if field.name not in ("name", "handshake"):
                self.assertIn(f"@ivar {field.name}:", documented)

    def test_differ(self) -> None:
        """
        Each behaviour differs between two of the dialects; otherwise there is no need to ask for it.
        """
        for field in dataclasses.fields(Dialect):
            values = [getattr(dialect, field.name) for dialect in (TEXT, PROTOBUF, JAVASCRIPT, FOREIGN, IN_PROCESS)]
            self.assertTrue(any(value != values[0] for value in values), field.name)

    def test_json(self) -> None:
        """
        In JSON, clients of v4 and later behave as in binary.
        """
        for json, binary in ((JSON, PROTOBUF), (JSON_JAVASCRIPT, JAVASCRIPT), (JSON_FOREIGN, FOREIGN)):
            changed = dataclasses.replace(binary, name=json.name, endpoint="ws-json")
            self.assertEqual(dataclasses.asdict(json), dataclasses.asdict(changed))

    def test_handshake(self) -> None:
        """
        No message before the login leads further than the login, and each step is taken by some client.
        """
        steps = {*TEXT.handshake.values(), *PROTOBUF.handshake.values()}
        self.assertEqual(steps, set(Step))
        self.assertEqual(TEXT.handshake.keys(), PROTOBUF.handshake.keys())
