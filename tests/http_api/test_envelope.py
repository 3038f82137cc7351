"""
Tests for L{dstwist.http_api.envelope}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.endpoints import HttpEndpoint
from dstwist.http_api.body import BadRequest
from dstwist.http_api.envelope import Envelope, open_envelope

MISSING = 'Invalid message: the "body" parameter must exist.'
EMPTY = 'Invalid message: the "body" parameter must be a non-empty array of Objects.'
NO_OBJECT = 'Invalid message: the "authData" parameter must be an object'
NO_TOKEN = 'Invalid message: the "token" parameter must be a non-empty string'
DISABLED = "Authentication using authData is disabled. Try using a token instead."


class EnvelopeTests(SynchronousTestCase):
    """
    The parts of a request.
    """

    def refusal(self, value: Any, **settings: Any) -> str:
        problem = self.assertRaises(BadRequest, open_envelope, value, HttpEndpoint(**settings))
        self.assertEqual(problem.answer.status, 400)
        text: str = problem.answer.body.decode().removesuffix("\r\n\r\n")
        return text

    def test_credentials(self) -> None:
        """
        The credentials are those of the request, its token, or none. Other properties do not matter.
        """
        examples: list[tuple[dict[str, Any], bytes]] = [
            ({}, b"{}"),
            ({"token": "t"}, b'{"token":"t"}'),
            ({"authData": {"a": 1}}, b'{"a":1}'),
            ({"authData": {"a": 1}, "token": 5}, b'{"a":1}'),
            ({"authData": []}, b"[]"),
            ({"authdata": 1, "x": 2}, b"{}"),
        ]
        for value, credentials in examples:
            self.assertEqual(open_envelope({**value, "body": [1]}, HttpEndpoint()), Envelope(credentials, [1]), value)

    def test_refused(self) -> None:
        """
        The first mistake is the answer.
        """
        for value, text in [
            ({}, MISSING),
            ([], MISSING),
            ([{"body": [1]}], MISSING),
            ({"body": None}, MISSING),
            ({"body": False, "authData": 1}, MISSING),
            ({"body": 0}, MISSING),
            ({"body": ""}, MISSING),
            ({"body": []}, EMPTY),
            ({"body": {}}, EMPTY),
            ({"body": {"0": 1}}, EMPTY),
            ({"body": "x", "token": ""}, EMPTY),
            ({"body": 1}, EMPTY),
            ({"body": True}, EMPTY),
            ({"body": [1], "authData": None, "token": "t"}, NO_OBJECT),
            ({"body": [1], "authData": "x"}, NO_OBJECT),
            ({"body": [1], "token": ""}, NO_TOKEN),
            ({"body": [1], "token": None}, NO_TOKEN),
            ({"body": [1], "token": {}}, NO_TOKEN),
        ]:
            self.assertEqual(self.refusal(value), text, value)

    def test_tokens_only(self) -> None:
        """
        With C{allowAuthData: false}, credentials are refused whatever they are. A token is good.
        """
        for credentials in ("{}", None, 1):
            value = {"body": [1], "authData": credentials, "token": "t"}
            self.assertEqual(self.refusal(value, allow_auth_data=False), DISABLED)
        found = open_envelope({"body": [1], "token": "t"}, HttpEndpoint(allow_auth_data=False))
        self.assertEqual(found.credentials, b'{"token":"t"}')

    def test_most_items(self) -> None:
        """
        C{maxBatchLength} items are good, one more is not; 0 is no limit.
        """
        self.assertEqual(open_envelope({"body": [1, 2]}, HttpEndpoint(max_batch_length=2)).items, [1, 2])
        self.assertEqual(
            self.refusal({"body": [1, 2, 3]}, max_batch_length=2),
            'Invalid message: the "body" parameter has 3 items, more than 2.',
        )
        self.assertEqual(len(open_envelope({"body": [1] * 20000}, HttpEndpoint(max_batch_length=0)).items), 20000)
