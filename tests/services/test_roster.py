"""
The users who are online, in blocks.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import PresenceAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.name_parts import NamePart, NameParts
from dstwist.services.roster import BLOCK_USERS, Roster


def answer(names: object) -> Message:
    return Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=names)  # type: ignore[arg-type]


class RosterTests(SynchronousTestCase):
    """
    L{Roster}.
    """

    def test_like_a_set(self) -> None:
        """
        Whoever comes and goes, it has exactly the users that are there, each once.
        """
        chance, roster = Random(1), Roster()
        there: set[str] = set()
        for number in range(6000):
            if there and chance.random() < (0.3 if number < 3000 else 0.8):
                user = chance.choice(sorted(there)) if number % 10 == 0 else next(iter(there))
                there.remove(user)
                roster.remove(user)
            else:
                user = f"u{number}"
                there.add(user)
                roster.add(user)
            if not number % 500:
                found = list(roster.all_but(user))
                self.assertEqual(sorted(found), sorted(there - {user}))
        self.assertEqual((len(roster), "nobody" in roster), (len(there), False))

    def test_few_blocks(self) -> None:
        """
        When most of very many users have gone, what is kept of them is not spread over many blocks.
        """
        roster = Roster()
        for number in range(40 * BLOCK_USERS):
            roster.add(str(number))
        for number in range(40 * BLOCK_USERS):
            if number % BLOCK_USERS:
                roster.remove(str(number))
        parts = roster.all_but(None).encoded("count", len)
        self.assertEqual(sum(parts), 40)
        self.assertLess(len(parts), 4)

    def test_encoded_once(self) -> None:
        """
        A block is encoded once for all who ask, until one of its users goes or another comes; nothing is as long as
        nobody asks.
        """
        roster = Roster()
        users = [f"u{number}" for number in range(10 * BLOCK_USERS)]
        for user in users:
            roster.add(user)
        encoded: list[int] = []

        def encode(names: tuple[str, ...]) -> int:
            encoded.append(len(names))
            return len(names)

        def ask(user: str | None) -> int:
            encoded.clear()
            return sum(roster.all_but(user).encoded("k", encode))

        self.assertEqual((ask(None), len(encoded)), (len(users), 10))
        self.assertEqual((ask(None), len(encoded)), (len(users), 0))
        # The block of the one who asks is encoded without him.
        self.assertEqual((ask("u5"), encoded), (len(users) - 1, [BLOCK_USERS - 1]))
        roster.remove("u700")
        self.assertEqual((ask(None), encoded), (len(users) - 1, [BLOCK_USERS - 1]))
        roster.add("new")
        self.assertEqual((ask(None), encoded), (len(users), [1]))

    def test_same_bytes(self) -> None:
        """
        Both protocols say the same of users in parts as of a tuple, whatever the users are called.
        """
        odd = ("\u20ac", "x" * 300, "a\x1fb", "a\x1eb", "")
        for names in ((), ("ann",), ("ann", *odd), tuple(f"u{number}" for number in range(1000))):
            for cut in (1, 3, 300):
                parts = NameParts([NamePart(names[start : start + cut]) for start in range(0, len(names), cut)])
                self.assertEqual((len(parts), list(parts)), (len(names), list(names)))
                for codec in (protobuf.SERVER, text.SERVER):
                    self.assertEqual(codec.encode(answer(parts)), codec.encode(answer(names)))
