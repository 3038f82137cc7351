"""
The RPC topic on several nodes: the whole course of calls.
"""

from __future__ import annotations

from tests.services.rpc.nodes import ACCEPT, REQUEST, RESPONSE, NodesTestCase, rpc


class CallTests(NodesTestCase):
    """
    Calls that a provider of another node answers.
    """

    def test_accept_and_response(self) -> None:
        """
        The provider gets the request as it was made; the requestor hears that it is accepted, and the result.
        """
        provider = self.provider(1)
        requestor = self.request(0)
        self.assertEqual(provider.take(), [rpc(REQUEST, data=b"1")])
        self.say(1, provider, ACCEPT)
        self.assertEqual(requestor.take(), [rpc(ACCEPT)])
        self.say(1, provider, RESPONSE, data=b"3")
        self.assertEqual(requestor.take(), [rpc(RESPONSE, data=b"3")])
        self.assertEqual(provider.take(), [])
        self.nothing_left()
