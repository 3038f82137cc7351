"""
Tests for L{dstwist.api.errors}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.api.errors import (
    ApiError,
    CallError,
    InvalidValue,
    LoginRefused,
    MessageDenied,
    NoRpcProvider,
    RecordNotFound,
    ResponseTimeout,
    make_error,
)
from dstwist.errors import DstwistError


class ErrorTests(SynchronousTestCase):
    """
    The errors of the API.
    """

    def test_classes(self) -> None:
        """
        The class for each name of an error.
        """
        for event, kind in (
            ("MESSAGE_DENIED", MessageDenied),
            ("MESSAGE_PERMISSION_ERROR", MessageDenied),
            ("RECORD_NOT_FOUND", RecordNotFound),
            ("NO_RPC_PROVIDER", NoRpcProvider),
            ("ACCEPT_TIMEOUT", ResponseTimeout),
            ("RESPONSE_TIMEOUT", ResponseTimeout),
            ("RECORD_LOAD_ERROR", ApiError),
        ):
            error = make_error(event, "a", "why")
            self.assertIs(type(error), kind)
            self.assertEqual((error.event, error.name, error.detail), (event, "a", "why"))
            self.assertEqual(str(error), f"{event}: a: why")

    def test_text(self) -> None:
        """
        The text has the parts that are known.
        """
        self.assertEqual(str(LoginRefused("AUTH_UNSUCCESSFUL", "", None)), "AUTH_UNSUCCESSFUL")
        self.assertEqual(str(ApiError("RECORD_UPDATE_ERROR", "a")), "RECORD_UPDATE_ERROR: a")

    def test_builtin(self) -> None:
        """
        They are errors of dstwist, and some are errors of Python as well.
        """
        self.assertIsInstance(make_error("RESPONSE_TIMEOUT", "a"), TimeoutError)
        self.assertIsInstance(InvalidValue("x"), ValueError)
        self.assertIsInstance(make_error("RECORD_NOT_FOUND", "a"), LookupError)
        self.assertIsInstance(InvalidValue("x"), DstwistError)
        self.assertEqual(str(CallError({"a": 1}, "add")), "REQUEST_ERROR: add: {'a': 1}")
        self.assertEqual(str(CallError("no")), "REQUEST_ERROR: no")
