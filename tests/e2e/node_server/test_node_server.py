"""
The Node server that tests start.
"""

from __future__ import annotations

from tests.e2e.records import Record
from tests.e2e.scenario import GENERATIONS, Scenario


class NodeServerTests(Scenario):
    """
    The Node server with the official clients.
    """

    def test_records(self) -> None:
        """
        It serves clients of both generations, keeps their records in the Redis, and has them after a start.
        """
        redis = self.own_redis()
        server = self.node_server(redis)
        for generation in GENERATIONS:
            record = Record(self.logged_in(generation, server), generation)
            self.assertIsNone(record.set_with_ack('{"a":1}'))
        self.assertEqual(redis.contents(), {"v2_d": b'{"a":1}', "v2_v": b"1", "v7_d": b'{"a":1}', "v7_v": b"1"})

        for client in self.clients:
            client.close()
        server.stop()
        server.start()
        for generation in GENERATIONS:
            client = self.logged_in(generation, server)
            self.assertEqual(client.look("snapshot", generation), '{"a":1}')
