"""
Clients that insist on what they wrote too late: in the end all are in step again.
"""

from __future__ import annotations

from tests.e2e import test_conflicts
from tests.e2e.scenario import for_each_pairing


@for_each_pairing
class InsistingTests(test_conflicts.Contested):
    """
    The loser has a merge strategy of its own.
    """

    def settled(self, value: str) -> None:
        self.all_agree(value)
        if self.first == "v2":
            # Told of a conflict, this client keeps the version as a text, and so misjudges the next update: it merges
            # once more. Insisting on its own data then would undo what others wrote.
            self.mine.set_merge_strategy("remote")
        self.all_go_on(value)

    def test_local_wins(self) -> None:
        """
        The loser's data is written over the winner's, and everybody can write on.
        """
        self.lose("local")
        self.settled('{"loser":1}')

    def test_join(self) -> None:
        """
        Both sides are joined, and everybody can write on.
        """
        self.lose("join")
        self.settled('{"winner":1,"loser":1}')

    def test_paths(self) -> None:
        """
        A write to a path loses to a write to another path, and both are there in the end.
        """
        self.mine.set_merge_strategy("join")
        self.mine.client.deafen()
        self.assertIsNone(self.theirs.set_with_ack('"winner"', "w"))
        self.mine.set('"loser"', "l")
        self.mine.client.hear()
        self.settled('{"start":1,"w":"winner","l":"loser"}')

    def test_acknowledged(self) -> None:
        """
        An acknowledged write is settled once, and its data is there in the end.
        """
        self.mine.set_merge_strategy("local")
        self.mine.client.deafen()
        self.assertIsNone(self.theirs.set_with_ack('{"winner":1}'))
        write = self.mine.start_set('{"loser":1}')
        self.mine.client.hear()
        write.wait()
        self.settled('{"loser":1}')
