"""
Sets of texts that two nodes keep alike, and the digests by which they compare them.

A digest is the number of texts and the exclusive or of their hashes. It is kept with each change, so that it costs
nothing to compare sets that are large.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from hashlib import blake2b


def hash_of(text: str) -> int:
    """
    A hash that is the same on all nodes: 63 bits, so that JSON keeps it.
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def part_of(text: str, parts: int) -> int:
    """
    The number of the part that has C{text}, if a set is sent in C{parts} parts.
    """
    return hash_of(text) % parts if parts > 1 else 0


class DigestedSet:
    """
    A set of texts with its digest.
    """

    __slots__ = ("_texts", "_xor")

    def __init__(self) -> None:
        # A dict keeps the order of insertion, so that a simulation can be repeated.
        self._texts: dict[str, None] = {}
        self._xor = 0

    def __contains__(self, text: str) -> bool:
        return text in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def digest(self) -> tuple[int, int]:
        """
        The number of texts, and the exclusive or of their hashes.
        """
        return len(self._texts), self._xor

    def add(self, text: str) -> bool:
        """
        @return: whether it was missing.
        """
        if text in self._texts:
            return False
        self._texts[text] = None
        self._xor ^= hash_of(text)
        return True

    def remove(self, text: str) -> bool:
        """
        @return: whether it was there.
        """
        if text not in self._texts:
            return False
        del self._texts[text]
        self._xor ^= hash_of(text)
        return True


class Entries:
    """
    The entries of one node in one partition, with their digest: which keys it holds or watches
    (L{dstwist.cluster.directory_messages}). An entry is a verb and a key. All entries with one key share its text.
    """

    __slots__ = ("_keys", "_xor")

    def __init__(self) -> None:
        # By verb. A dict keeps the order of insertion, so that a simulation can be repeated; a key is also the value,
        # so that it can be found.
        self._keys: dict[str, dict[str, str]] = {}
        self._xor = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for verb, keys in self._keys.items():
            for key in keys:
                yield verb, key

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))

    def has(self, verb: str, key: str) -> bool:
        """
        Whether there is an entry.
        """
        return key in self._keys.get(verb, ())

    def shared(self, key: str) -> str:
        """
        The text that an entry has for C{key}; C{key} if there is none.
        """
        for keys in self._keys.values():
            found = keys.get(key)
            if found is not None:
                return found
        return key

    @property
    def digest(self) -> tuple[int, int]:
        """
        The number of entries, and the exclusive or of their hashes.
        """
        return len(self), self._xor

    def add(self, verb: str, key: str) -> bool:
        """
        @return: whether it was missing.
        """
        if self.has(verb, key):
            return False
        key = self.shared(key)
        self._keys.setdefault(verb, {})[key] = key
        self._xor ^= hash_of(verb + key)
        return True

    def remove(self, verb: str, key: str) -> bool:
        """
        @return: whether it was there.
        """
        if not self.has(verb, key):
            return False
        del self._keys[verb][key]
        self._xor ^= hash_of(verb + key)
        return True


class DigestedStates:
    """
    A state for each of some names, with the digest of all.
    """

    __slots__ = ("_states", "_xor")

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._xor = 0

    def __contains__(self, key: str) -> bool:
        return key in self._states

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    @property
    def digest(self) -> tuple[int, int]:
        """
        As of L{DigestedSet}, of the names with their states.
        """
        return len(self._states), self._xor

    def items(self) -> ItemsView[str, State]:
        """
        The names with their states.
        """
        return self._states.items()

    def get(self, key: str) -> State | None:
        """
        The state of C{key}; C{None} if it has none.
        """
        return self._states.get(key)

    def put(self, key: str, state: State) -> None:
        """
        The state of C{key} is C{state} now.
        """
        self.drop(key)
        self._states[key] = state
        self._xor ^= hash_of(_line(key, state))

    def drop(self, key: str) -> None:
        """
        Nothing is known of C{key} any more.
        """
        state = self._states.pop(key, None)
        if state is not None:
            self._xor ^= hash_of(_line(key, state))


#: Whether a name is there, and the nodes that hold it. For some names only the first matters, and no nodes are given.
State = tuple[bool, tuple[str, ...]]

GONE: State = (False, ())


def _line(key: str, state: State) -> str:
    there, holders = state
    return "\0".join((key, "1" if there else "0", *holders))
