"""
Tests for L{dstwist.cluster.digest}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.digest import GONE, DigestedSet, DigestedStates, Entries, hash_of, part_of


class DigestedSetTests(SynchronousTestCase):
    """
    L{DigestedSet}.
    """

    def test_changes(self) -> None:
        """
        A text is in the set once.
        """
        texts = DigestedSet()
        self.assertEqual([texts.add("a"), texts.add("a"), "a" in texts, len(texts)], [True, False, True, 1])
        self.assertEqual([texts.remove("a"), texts.remove("a"), "a" in texts, len(texts)], [True, False, False, 0])
        self.assertEqual(texts.digest, (0, 0))

    def test_digest(self) -> None:
        """
        The digest is that of the texts, in whatever order they came.
        """
        one, other = DigestedSet(), DigestedSet()
        for text in "abc":
            one.add(text)
        for text in "cxba":
            other.add(text)
        self.assertNotEqual(one.digest, other.digest)
        other.remove("x")
        self.assertEqual(one.digest, other.digest)
        self.assertEqual((list(one), list(other)), (["a", "b", "c"], ["c", "b", "a"]))

    def test_hash(self) -> None:
        """
        All nodes have the same hashes, which JSON can keep. Lone surrogates have one, too.
        """
        self.assertEqual([hash_of("a"), hash_of("\ud800")], [2340832890917691671, 2379092608228951732])
        self.assertEqual(part_of("a", 7), hash_of("a") % 7)


class EntriesTests(SynchronousTestCase):
    """
    L{Entries}.
    """

    def test_changes(self) -> None:
        """
        An entry is there once, and has the digest of its text.
        """
        entries, texts = Entries(), DigestedSet()
        for verb, key in (("h", "ua"), ("w", "ua"), ("h", "ub"), ("a", "u")):
            self.assertFalse(entries.has(verb, key))
            self.assertEqual((entries.add(verb, key), entries.add(verb, key)), (True, False))
            self.assertTrue(entries.has(verb, key))
            texts.add(verb + key)
        self.assertEqual((len(entries), entries.digest), (4, texts.digest))
        self.assertEqual(list(entries), [("h", "ua"), ("h", "ub"), ("w", "ua"), ("a", "u")])
        self.assertEqual((entries.remove("h", "ua"), entries.remove("h", "ua")), (True, False))
        self.assertEqual(list(entries), [("h", "ub"), ("w", "ua"), ("a", "u")])
        for verb, key in list(entries):
            entries.remove(verb, key)
        self.assertEqual((len(entries), entries.digest), (0, (0, 0)))

    def test_shared(self) -> None:
        """
        The entries with one key share its text.
        """
        entries = Entries()
        first, second = (str([1, 2]) for _ in range(2))
        self.assertIs(entries.shared(first), first)
        entries.add("h", first)
        entries.add("w", second)
        self.assertTrue(all(key is first for _, key in entries))
        self.assertIs(entries.shared(second), first)


class DigestedStatesTests(SynchronousTestCase):
    """
    L{DigestedStates}.
    """

    def test_changes(self) -> None:
        """
        A name has one state.
        """
        states = DigestedStates()
        states.put("a", (True, ("n",)))
        states.put("a", GONE)
        self.assertEqual((states.get("a"), states.get("b"), len(states)), (GONE, None, 1))
        self.assertEqual((list(states), list(states.items()), "a" in states), (["a"], [("a", GONE)], True))
        states.drop("a")
        states.drop("a")
        self.assertEqual((states.digest, "a" in states), ((0, 0), False))

    def test_digest(self) -> None:
        """
        The digest tells states and holders apart.
        """
        digests = set()
        for state in (GONE, (True, ()), (True, ("n",)), (True, ("m",)), (True, ("m", "n"))):
            states = DigestedStates()
            states.put("a", state)
            digests.add(states.digest)
        self.assertEqual(len(digests), 5)
