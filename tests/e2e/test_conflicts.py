"""
Two clients of any generations write to the same version of a record: one wins, and the other does as it was told.

The loser is deaf while the winner writes, so that it always loses, and always in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.clients import OTHER_CLIENT, Client
from tests.e2e.records import Record
from tests.e2e.scenario import PATIENT, QUICK, PairScenario, for_each_pairing


class Contested(PairScenario):
    """
    A record in four hands. The loser is of the first generation, the winner of the second.
    """

    options = QUICK
    config = PATIENT

    def setUp(self) -> None:
        super().setUp()
        name = self.name("contested")
        self.mine, self.theirs = Record(self.one(), name), Record(self.other(), name)
        self.witnesses = [Record(client, name) for client in (self.one(), self.other())]
        self.theirs.set('{"start":1}')
        self.all_see('{"start":1}')
        # A client of v7 says so if it has already merged what it is told of again.
        self.tolerate_output("Warning: RECORD (VERSION_EXISTS)")
        if OTHER_CLIENT:
            # A client of v5.2 says so when it has read a record twice, and has merged already.
            self.tolerate_output("Invalid state transition")

    def all_see(self, value: str) -> None:
        for record in (self.mine, self.theirs, *self.witnesses):
            record.until(value)

    def lose(self, strategy: str | None) -> None:
        """
        Write in vain.
        """
        if strategy is not None:
            self.mine.set_merge_strategy(strategy)
        self.mine.client.deafen()
        self.assertIsNone(self.theirs.set_with_ack('{"winner":1}'))
        self.mine.set('{"loser":1}')
        self.mine.client.hear()

    def all_agree(self, value: str) -> None:
        """
        All have C{value}, and the server has it too.
        """
        self.all_see(value)
        self.assertEqual(Record(self.logged_in("v2", self.at), self.mine.name).get(), value)

    def all_go_on(self, value: str) -> None:
        """
        The same, and everybody can write on.
        """
        self.all_agree(value)
        for number, record in enumerate((self.theirs, *self.witnesses, self.mine)):
            record.set(f'{{"on":{number}}}')
            self.all_see(f'{{"on":{number}}}')
        versions = [record.version for record in (self.mine, self.theirs, *self.witnesses)]
        self.assertEqual(len(set(versions)), 1, versions)


@for_each_pairing
class ConflictTests(Contested):
    """
    Writes that come too late.
    """

    def test_remote_wins(self) -> None:
        """
        By default the winner's data replaces the loser's.
        """
        self.lose(None)
        self.all_go_on('{"winner":1}')

    def test_remote_wins_by_strategy(self) -> None:
        """
        The same by a strategy of the application, which is shown both sides.
        """
        self.lose("remote")
        self.all_see('{"winner":1}')
        self.assertEqual(self.mine.merges()[0], ('{"loser":1}', '{"winner":1}'))
        self.all_go_on('{"winner":1}')

    def test_local_wins(self) -> None:
        """
        The loser insists: its data is written over the winner's.
        """
        self.lose("local")
        self.all_agree('{"loser":1}')

    def test_join(self) -> None:
        """
        Both sides are joined.
        """
        self.lose("join")
        self.all_agree('{"winner":1,"loser":1}')

    def test_no_merge(self) -> None:
        """
        A strategy that fails raises an error at the loser, whose data is as it was until the next update.
        """
        self.lose("fail")
        # A client of v7 does not find the name of its own error.
        self.mine.client.expect_error({"v2": "VERSION_EXISTS", "v7": "undefined"}[self.first])
        for record in (self.theirs, *self.witnesses):
            record.until('{"winner":1}')
        self.assertEqual(self.theirs.version, 2)

    def test_acknowledged(self) -> None:
        """
        The loser's acknowledged write is settled once.
        """
        self.mine.client.deafen()
        self.assertIsNone(self.theirs.set_with_ack('{"winner":1}'))
        write = self.mine.start_set('{"loser":1}')
        self.mine.client.hear()
        # A client of v2 has merged, and calls that a success.
        self.assertEqual(write.error(), {"v2": None, "v7": "RECORD_UPDATE_ERROR"}[self.first])
        self.all_go_on('{"winner":1}')

    def test_acknowledged_and_merged(self) -> None:
        """
        The same with a strategy that joins both sides: the result is written once.
        """
        self.mine.set_merge_strategy("join")
        self.mine.client.deafen()
        self.assertIsNone(self.theirs.set_with_ack('{"winner":1}'))
        write = self.mine.start_set('{"loser":1}')
        self.fence(self.theirs.client, self.witnesses[0].client)
        self.mine.client.hear()
        other_version = f"another version of {self.mine.name} exists"
        self.assertEqual(write.error(), {"v2": other_version, "v7": "RECORD_UPDATE_ERROR"}[self.first])
        self.all_agree('{"winner":1,"loser":1}')
        self.fence(self.mine.client, self.theirs.client)
        versions = [record.version for record in (self.theirs, *self.witnesses)]
        self.assertEqual(versions, [3] * len(versions))

    def test_acknowledged_storm(self) -> None:
        """
        All write at once, again and again, with callbacks: in the end all hold what the server has.
        """
        everybody = (self.mine, self.theirs, *self.witnesses)
        for round_ in range(10):
            for number, record in enumerate(everybody):
                record.start_set(f'"{round_}"', f"n{number}")
        self.calm_down(everybody)
        self.all_agree(self.truth())
        self.theirs.client.set_data(self.mine.name, '{"calm":true}')
        self.all_go_on('{"calm":true}')

    def test_several_behind(self) -> None:
        """
        A loser that is several versions behind catches up.
        """
        self.mine.client.deafen()
        for number in range(5):
            self.assertIsNone(self.theirs.set_with_ack(f'{{"winner":{number}}}'))
        self.mine.set_all((None, '{"loser":1}'), ("more", "2"), ("again", "3"))
        self.mine.client.hear()
        self.all_go_on('{"winner":4}')

    def test_same_data(self) -> None:
        """
        Both write the same: nothing is left to merge.
        """
        self.mine.client.deafen()
        self.assertIsNone(self.theirs.set_with_ack('{"same":1}'))
        self.mine.set('{"same":1}')
        self.mine.client.hear()
        self.all_go_on('{"same":1}')

    def test_storm(self) -> None:
        """
        All write at once, again and again: in the end all hold what the server has.
        """
        everybody = (self.mine, self.theirs, *self.witnesses)
        for round_ in range(10):
            for number, record in enumerate(everybody):
                record.set(f'"{round_}"', f"n{number}")
        self.calm_down(everybody)
        self.all_agree(self.truth())
        self.theirs.client.set_data(self.mine.name, '{"calm":true}')
        self.all_go_on('{"calm":true}')

    def test_storm_of_records(self) -> None:
        """
        The same with whole records, several in one turn of each client.
        """
        everybody = (self.mine, self.theirs, *self.witnesses)
        for round_ in range(10):
            for number, record in enumerate(everybody):
                record.set_all(*((None, f'{{"by":{number},"round":{round_},"write":{write}}}') for write in range(3)))
        self.calm_down(everybody)
        self.all_agree(self.truth())
        self.all_go_on(self.truth())

    def test_won_by_accident(self) -> None:
        """
        A client loses, but what it had sent right behind is accepted as the next version. It holds that in the end, as
        everybody else does, though it had given up on it when it heard of the winner.
        """
        self.mine.client.deafen()
        self.assertIsNone(self.theirs.set_with_ack('{"winner":1}'))
        self.mine.set_all((None, '{"loser":1}'), (None, '{"loser":2}'))
        self.theirs.until('{"loser":2}')
        self.mine.client.hear()
        self.all_go_on('{"loser":2}')

    def test_won_a_path_by_accident(self) -> None:
        """
        The same with paths: all that was accepted is there.
        """
        self.mine.client.deafen()
        self.assertIsNone(self.theirs.set_with_ack('{"winner":1}'))
        self.mine.set_all(("loser", "1"), ("second", "2"))
        self.theirs.until('{"winner":1,"second":2}')
        self.mine.client.hear()
        self.all_go_on('{"winner":1,"second":2}')

    def test_deleted_meanwhile(self) -> None:
        """
        An acknowledged write that comes after another's deletion fails, and the client goes on.
        """
        self.mine.client.deafen()
        self.theirs.delete()
        write = self.mine.start_set('{"late":1}')
        self.fence(self.theirs.client, self.witnesses[0].client)
        self.mine.client.hear()
        self.fence(self.theirs.client, self.mine.client)
        if self.first == "v2":
            # Its callback went with the record; an acknowledgement would make it throw.
            self.mine.client.expect_error("RECORD_UPDATE_ERROR")
        else:
            self.assertEqual(write.error(), "INVALID_VERSION")

    def calm_down(self, everybody: Sequence[Record]) -> None:
        """
        Come back when each has heard of all that the others have sent so far.
        """
        for record in everybody:
            for other in everybody:
                if other is not record:
                    self.fence(record.client, other.client)

    def truth(self) -> str:
        return self.theirs.client.look("snapshot", self.mine.name)


@for_each_pairing
class SeveralPathsTests(PairScenario):
    """
    Several paths in one step, as clients of v7.1 and later write. These here are older, and hear of it all the same.
    """

    options = QUICK
    config = PATIENT

    def several(self, writer: Client, name: str, version: int, *changes: tuple[str, object]) -> str | None:
        listed = [{"path": path} if data is None else {"path": path, "data": data} for path, data in changes]
        return writer.start("patchMulti", name, version, listed, True).error()

    def test_patch_multi(self) -> None:
        """
        All paths are written in one version, for subscribers of every generation.
        """
        name = self.name("several")
        readers = [Record(self.one(), name), Record(self.other(), name)]
        readers[0].set('{"a":{"b":1},"gone":1}')
        readers[1].until('{"a":{"b":1},"gone":1}')
        writer = self.logged_in("v7", self.at)
        changes = [("a.b", 2), ("a.c[1]", "x"), ("gone", None)]
        self.assertIsNone(self.several(writer, name, -1, *changes))
        for record in readers:
            record.until('{"a":{"b":2,"c":[null,"x"]}}')
            self.assertEqual(record.version, 2)
        self.assertEqual(writer.look("snapshot", name), '{"a":{"b":2,"c":[null,"x"]}}')
        for number, record in enumerate(readers):
            record.set(str(number), "on")
            for other in readers:
                other.until(str(number), "on")

    def test_all_or_nothing(self) -> None:
        """
        If one path is bad nothing is written, and the writer is told.
        """
        name = self.name("refused")
        readers = [Record(self.one(), name), Record(self.other(), name)]
        readers[0].set('{"a":1}')
        readers[1].until('{"a":1}')
        writer = self.logged_in("v7", self.at)
        self.assertEqual(self.several(writer, name, -1, ("a", 2), ("__proto__.x", 1)), "INVALID_MESSAGE_DATA")
        self.assertEqual(writer.look("snapshot", name), '{"a":1}')
        self.assertEqual(writer.look("head", name), "1")
        self.assertIsNone(self.several(writer, name, 2, ("a", 2)))
        for record in readers:
            record.until('{"a":2}')
